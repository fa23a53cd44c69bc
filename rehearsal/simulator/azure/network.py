"""Networks, private endpoints and private DNS.

Sources of names and limits:
https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from rehearsal.simulator.azure.arm import arm, block, items, sibling
from rehearsal.simulator.core.resource_model import (
    Resource,
    ResourceRequest,
    Rule,
    in_range,
    matches,
    one_of,
    refuse_when,
)
from rehearsal.simulator.core.values import UNKNOWN, strings

_SUBNET = "azure-native:network:Subnet"
_VNET = "Microsoft.Network/virtualNetworks/{virtualNetworkName}"

# What a private endpoint may stand for, by the type of its target; some of the groups documented at
# https://learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource
_GROUPS: Mapping[str, frozenset[str]] = {
    "azure-native:keyvault:Vault": frozenset({"vault"}),
    "azure-native:containerregistry:Registry": frozenset({"registry"}),
    "azure-native:storage:StorageAccount": frozenset({"blob", "dfs", "file", "queue", "table", "web"}),
    "azure-native:cosmosdb:DatabaseAccount": frozenset({"Sql", "MongoDB", "Cassandra", "Gremlin", "Table"}),
    "azure-native:machinelearningservices:Workspace": frozenset({"amlworkspace"}),
}


def _name(path: str, longest: int) -> Rule:
    return matches(
        path,
        rf"[A-Za-z0-9]([\w.-]{{0,{longest - 2}}}\w)?",
        "InvalidResourceName: Resource name {value} is invalid. The name can be up to "
        f"{longest} characters long. It must begin with a word character, and it must end with a word character or "
        "with '_'. The name may contain word characters or '.', '-', '_'.",
    )


def _cidr(value: Any) -> str | None:
    """What is wrong with an address prefix; None when nothing is, or it is not known."""
    if not isinstance(value, str) or block(value):
        return None
    try:
        loose = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        return (
            f"InvalidAddressPrefixFormat: Address prefix {value} is not formatted correctly. It should follow CIDR "
            "notation, for example 10.0.0.0/24."
        )
    return (
        f"InvalidCIDRNotation: The address prefix {value} has an invalid CIDR notation. For the given prefix length, "
        f"the address prefix should be {loose}."
    )


def _spaces_are_cidrs(request: ResourceRequest) -> str | None:
    prefixes = request.get("addressSpace.addressPrefixes", [])
    return next(filter(None, map(_cidr, prefixes if isinstance(prefixes, list) else [])), None)


def _prefix_is_cidr(request: ResourceRequest) -> str | None:
    prefix = block(request.get("addressPrefix"))
    if prefix and prefix.prefixlen > 29:
        return f"Subnet {request.name} is too small: {prefix}. Azure keeps five addresses of each subnet."
    return _cidr(request.get("addressPrefix"))


def _lies_in_network(request: ResourceRequest) -> str | None:
    network, own = sibling(request, _VNET), block(request.get("addressPrefix"))
    if network is None or own is None:
        return None
    spaces = filter(None, map(block, network.inputs["addressSpace"]["addressPrefixes"]))
    if any(own.subnet_of(space) for space in spaces):
        return None
    return request.fill(
        "NetcfgInvalidSubnet: Subnet '{subnetName}' is not valid in virtual network '{virtualNetworkName}'."
    )


def _overlaps_no_other(request: ResourceRequest) -> str | None:
    own = block(request.get("addressPrefix"))
    for other in request.state.all(_SUBNET):
        theirs = block(other.inputs.get("addressPrefix"))
        if not own or not theirs or not _same_network(request, other):
            continue
        if other.inputs["subnetName"] != request.get("subnetName") and own.overlaps(theirs):
            return request.fill(
                "NetcfgSubnetRangesOverlap: Subnet '{subnetName}' is not valid because its IP address range overlaps "
                f"with that of an existing subnet in virtual network '{request.get('virtualNetworkName')}'."
            )
    return None


def _same_network(request: ResourceRequest, other: Resource) -> bool:
    return all(other.inputs[key] == request.get(key) for key in ("resourceGroupName", "virtualNetworkName"))


def _moves_only_when_empty(request: ResourceRequest) -> str | None:
    before = request.state.find(request.id) if request.id else None
    if before is None or before.inputs["addressPrefix"] == request.get("addressPrefix"):
        return None
    tenants = (
        "azure-native:network:PrivateEndpoint",
        "azure-native:containerservice:ManagedCluster",
        "azure-native:dbforpostgresql:Server",
    )
    users = [user.id for type_ in tenants for user in request.state.all(type_) if request.id in strings(user.inputs)]
    if not users:
        return None
    return request.fill(f"Subnet {{subnetName}} is in use by {users[0]} and cannot be updated.")


def _priorities(request: ResourceRequest) -> str | None:
    rules = list(items(request, "securityRules"))
    for rule in rules:
        priority = rule.get("priority", UNKNOWN)
        if priority is not UNKNOWN and not 100 <= priority <= 4096:
            return (
                f"SecurityRuleInvalidPriority: Security rule has invalid Priority. Value provided: {priority} Allowed "
                "range 100-4096."
            )
    for first, second in combinations(rules, 2):
        same = [(rule.get("direction"), rule.get("priority")) for rule in (first, second)]
        if UNKNOWN not in same[0] and same[0] == same[1]:
            return (
                f"SecurityRuleConflict: Security rule {first.get('name')} conflicts with rule {second.get('name')}. "
                "Rules cannot have the same Priority and Direction."
            )
    return None


def _standard_is_static(request: ResourceRequest) -> bool:
    return bool(request.get("sku.name") == "Standard") and bool(request.get("publicIPAllocationMethod") == "Dynamic")


def _gateway_address_is_standard(request: ResourceRequest) -> str | None:
    for address in items(request, "publicIpAddresses"):
        found = request.state.find(address["id"])
        if found and found.inputs.get("sku", {}).get("name") != "Standard":
            return f"Public IP address {found.id} must be of the Standard SKU."
    return None


def _target_takes_endpoints(request: ResourceRequest) -> str | None:
    for connection in items(request, "privateLinkServiceConnections"):
        target = request.state.find(connection["privateLinkServiceId"])
        if target is None:
            continue
        if target.type.endswith(":Registry") and target.inputs["sku"]["name"] != "Premium":
            return (
                f"Private endpoint connections are not supported for the registry {target.inputs['registryName']}: its "
                f"SKU is {target.inputs['sku']['name']}, only Premium has them."
            )
        unknown = set(connection["groupIds"]) - _GROUPS.get(target.type, frozenset(connection["groupIds"]))
        if unknown:
            return f"'{unknown.pop()}' is not a group of {target.id}."
    return None


def _subnet_is_free(request: ResourceRequest) -> str | None:
    subnet = request.state.find(str(request.get("subnet.id")))
    if subnet and subnet.inputs.get("delegations"):
        service = subnet.inputs["delegations"][0]["serviceName"]
        return f"Private endpoint {request.name} cannot be created in subnet {subnet.id}, delegated to {service}."
    return None


def _target_is_network(request: ResourceRequest) -> bool:
    return "/networksecuritygroups/" in str(request.get("targetResourceId")).lower()


def _zones_do_not_clash(request: ResourceRequest) -> str | None:
    for other in request.state.all("azure-native:privatedns:VirtualNetworkLink"):
        same = all(
            other.inputs[key] == request.inputs[key] for key in ("privateZoneName", "virtualNetwork")
        ) and other.inputs["virtualNetworkLinkName"] != request.get("virtualNetworkLinkName")
        if same:
            return (
                "BadRequest: A virtual network cannot be linked to multiple zones with overlapping namespaces. You "
                f"tried to link virtual network with '{request.get('privateZoneName')}' and '{other.id}'."
            )
    return None


MODELS = (
    arm(
        "network:VirtualNetwork",
        _VNET,
        located=True,
        outputs={"resourceGuid": "{uuid}", "provisioningState": "Succeeded"},
        required=("addressSpace.addressPrefixes",),
        rules=(_name("virtualNetworkName", 64), _spaces_are_cidrs),
    ),
    arm(
        "network:Subnet",
        _VNET + "/subnets/{subnetName}",
        outputs={"provisioningState": "Succeeded"},
        required=("addressPrefix",),
        rules=(_name("subnetName", 80), _prefix_is_cidr),
        state_rules=(_lies_in_network, _overlaps_no_other, _moves_only_when_empty),
    ),
    arm(
        "network:NetworkSecurityGroup",
        "Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}",
        located=True,
        outputs={"resourceGuid": "{uuid}", "provisioningState": "Succeeded"},
        rules=(_name("networkSecurityGroupName", 80), _priorities),
    ),
    arm(
        "network:PublicIPAddress",
        "Microsoft.Network/publicIPAddresses/{publicIpAddressName}",
        located=True,
        # An address of the range that is set aside for documentation (RFC 5737).
        outputs={"ipAddress": lambda request: f"203.0.113.{1 + int(request.hex(2), 16) % 254}"},
        replace_on_changes=("zones", "sku.name"),
        rules=(
            _name("publicIpAddressName", 80),
            refuse_when(
                _standard_is_static,
                "Standard sku publicIp {publicIpAddressName} must have AllocationMethod set to Static.",
            ),
        ),
    ),
    arm(
        "network:NatGateway",
        "Microsoft.Network/natGateways/{natGatewayName}",
        located=True,
        outputs={"resourceGuid": "{uuid}"},
        required=("sku.name",),
        replace_on_changes=("zones", "sku.name"),
        rules=(_name("natGatewayName", 80),),
        state_rules=(_gateway_address_is_standard,),
    ),
    arm(
        "network:PrivateEndpoint",
        "Microsoft.Network/privateEndpoints/{privateEndpointName}",
        located=True,
        outputs={
            "networkInterfaces": lambda request: [{"id": request.fill("{privateEndpointName}.nic.{uuid}")}],
            "provisioningState": "Succeeded",
        },
        required=("subnet.id", "privateLinkServiceConnections"),
        replace_on_changes=("subnet.id", "privateLinkServiceConnections"),
        rules=(_name("privateEndpointName", 64),),
        state_rules=(_target_takes_endpoints, _subnet_is_free),
    ),
    arm(
        "network:PrivateDnsZoneGroup",
        "Microsoft.Network/privateEndpoints/{privateEndpointName}/privateDnsZoneGroups/{privateDnsZoneGroupName}",
        required=("privateDnsZoneConfigs",),
    ),
    arm(
        "network:FlowLog",
        "Microsoft.Network/networkWatchers/{networkWatcherName}/flowLogs/{flowLogName}",
        located=True,
        identity=True,
        outputs={"targetResourceGuid": "{uuid}"},
        required=("storageId", "targetResourceId"),
        replace_on_changes=("targetResourceId",),
        rules=(
            matches(
                "networkWatcherName",
                r"NetworkWatcher_[a-z0-9]+",
                "ResourceNotFound: The Resource 'Microsoft.Network/networkWatchers/{value}' was not found.",
            ),
            in_range("retentionPolicy.days", 0, 365, "Retention of {value} days is not in 0 to 365."),
            # Announced at https://azure.microsoft.com/updates?id=Azure-NSG-flow-logs-Retirement; the words are ours.
            refuse_when(
                _target_is_network,
                "New NSG flow logs cannot be created since June 30, 2025: use virtual network flow logs.",
            ),
        ),
    ),
    arm(
        "privatedns:PrivateZone",
        "Microsoft.Network/privateDnsZones/{privateZoneName}",
        located=True,
        outputs={"numberOfRecordSets": lambda _: 1},
        rules=(
            one_of("location", ("global", "Global"), "LocationNotAvailableForResourceType: location must be 'global'."),
            matches(
                "privateZoneName",
                r"([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9]{2,63}",
                "BadRequest: The domain name '{value}' is invalid: a private zone's name has two to 34 labels.",
            ),
        ),
    ),
    arm(
        "privatedns:VirtualNetworkLink",
        "Microsoft.Network/privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}",
        outputs={"virtualNetworkLinkState": "Completed"},
        required=("virtualNetwork.id",),
        replace_on_changes=("virtualNetwork.id",),
        rules=(
            one_of("location", ("global", "Global"), "LocationNotAvailableForResourceType: location must be 'global'."),
            _name("virtualNetworkLinkName", 80),
        ),
        state_rules=(_zones_do_not_clash,),
    ),
)
