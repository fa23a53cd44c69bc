"""Private endpoints and private DNS zones."""

from __future__ import annotations

from collections.abc import Mapping

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import accept_locations, arm_model
from rehearsal.simulator.azure.network import check_name
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceRequest
from rehearsal.simulator.core.rules import describe_unlisted, list_objects, matches, require_any
from rehearsal.simulator.core.transitions import refuse_change

# The group IDs (sub-resources) of private endpoints, keyed by their target's type in lower case. Some of the list at
# https://learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource
_ENDPOINT_GROUPS: Mapping[str, frozenset[str]] = {
    "microsoft.keyvault/vaults": frozenset({"vault"}),
    "microsoft.containerregistry/registries": frozenset({"registry"}),
    "microsoft.storage/storageaccounts": frozenset({"blob", "dfs", "file", "queue", "table", "web"}),
    "microsoft.documentdb/databaseaccounts": frozenset({"Sql", "MongoDB", "Cassandra", "Gremlin", "Table"}),
    "microsoft.machinelearningservices/workspaces": frozenset({"amlworkspace"}),
}


# Documented at https://azure.github.io/PSRule.Rules.Azure/en/rules/Azure.ACR.MinSku; the message is not Azure's own.
def _check_endpoint_target(request: ResourceRequest) -> str | None:
    for connection in list_objects(request, "privateLinkServiceConnections"):
        target = request.state.find(str(connection.get("privateLinkServiceId")))
        if target is None:
            continue
        if target.type.endswith(":Registry") and target.inputs["sku"]["name"] != "Premium":
            return (
                f"The registry {target.inputs['registryName']} does not support private endpoint connections: its SKU "
                f"is {target.inputs['sku']['name']}, and only Premium supports them."
            )
    return None


def _note_endpoint_groups(request: ResourceRequest) -> str | None:
    for connection in list_objects(request, "privateLinkServiceConnections"):
        kind = "/".join(str(connection.get("privateLinkServiceId")).split("/")[-3:-1])
        known, groups = _ENDPOINT_GROUPS.get(kind.lower(), frozenset()), connection.get("groupIds")
        for group in groups if isinstance(groups, list) else ():
            if group is not UNKNOWN and group not in known:
                return describe_unlisted(f"whether {kind} has the group ID", group, known)
    return None


# Documented at https://github.com/MicrosoftDocs/azure-docs/issues/47048; the message is not Azure's own.
def _refuse_delegated_subnet(request: ResourceRequest) -> str | None:
    subnet = request.state.find(str(request.get("subnet.id")))
    if subnet and subnet.inputs.get("delegations"):
        service = subnet.inputs["delegations"][0]["serviceName"]
        return (
            f"Private endpoint {request.name} cannot be created in subnet {subnet.id}, which is delegated to {service}."
        )
    return None


# Source: https://github.com/Azure/ARO-RP/issues/796
def _refuse_overlapping_zones(request: ResourceRequest) -> str | None:
    for other in request.state.all("azure-native:privatedns:VirtualNetworkLink"):
        is_same_pair = all(other.inputs[key] == request.get(key) for key in ("privateZoneName", "virtualNetwork"))
        if is_same_pair and other.id != request.id:
            return (
                "BadRequest: A virtual network cannot be linked to multiple zones with overlapping namespaces. You "
                f"tried to link virtual network with '{request.get('privateZoneName')}' and "
                f"'{other.inputs['privateZoneName']}' zones. It is linked by {other.id}."
            )
    return None


MODELS = (
    arm_model(
        "network:PrivateEndpoint",
        "Microsoft.Network/privateEndpoints/{privateEndpointName}",
        located=True,
        stays_in_place=True,
        outputs={
            "networkInterfaces": lambda request: [{"id": request.fill("{privateEndpointName}.nic.{uuid}")}],
            "provisioningState": "Succeeded",
        },
        # Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
        replace_on_changes=("subnet",),
        transitions=(
            # Source: https://github.com/Azure/bicep-registry-modules/issues/7285
            refuse_change(
                "privateLinkServiceConnections[0].privateLinkServiceId",
                "CannotChangePrivateLinkConnectionOnPrivateEndpoint: Cannot change the private link connection on "
                "private endpoint. Please ensure you are not updating the details of existing private link connection. "
                "That is not allowed. It connects {old}, not {new}.",
            ),
        ),
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/network/private_endpoint_resource.go
            require_any(["subnet.id"], "The private endpoint has no subnet: set subnet.id."),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/network/private_endpoint_resource.go
            require_any(
                ["privateLinkServiceConnections", "manualPrivateLinkServiceConnections"],
                "The private endpoint has no target: set privateLinkServiceConnections.",
            ),
            check_name("privateEndpointName", 64),
        ),
        state_rules=(_check_endpoint_target, _refuse_delegated_subnet),
        notes=(_note_endpoint_groups,),
    ),
    arm_model(
        "network:PrivateDnsZoneGroup",
        "Microsoft.Network/privateEndpoints/{privateEndpointName}/privateDnsZoneGroups/{privateDnsZoneGroupName}",
        transitions=UNRESTRICTED,
    ),
    arm_model(
        "privatedns:PrivateZone",
        "Microsoft.Network/privateDnsZones/{privateZoneName}",
        located=True,
        outputs={"numberOfRecordSets": lambda _: 1},
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/privatedns/private_dns_zone_resource.go
            accept_locations("Microsoft.Network/privateDnsZones", ("global",)),
            # Source: https://learn.microsoft.com/azure/dns/private-dns-privatednszone
            matches(
                "privateZoneName",
                r"([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.){1,33}[A-Za-z0-9]{2,63}",
                "BadRequest: The domain name '{value}' is invalid: a private zone's name has two to 34 labels.",
            ),
        ),
    ),
    arm_model(
        "privatedns:VirtualNetworkLink",
        "Microsoft.Network/privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}",
        located=True,
        outputs={"virtualNetworkLinkState": "Completed"},
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/privatedns/private_dns_zone_virtual_network_link_resource.go
            require_any(["virtualNetwork.id"], "The link has no virtual network: set virtualNetwork.id."),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/privatedns/private_dns_zone_virtual_network_link_resource.go
            accept_locations("Microsoft.Network/privateDnsZones/virtualNetworkLinks", ("global",)),
            check_name("virtualNetworkLinkName", 80),
        ),
        state_rules=(_refuse_overlapping_zones,),
    ),
)
