"""Virtual networks, subnets, security groups, public addresses, NAT gateways and flow logs.

Sources of names and limits:
https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from itertools import combinations
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN, as_list
from rehearsal.simulator.azure.arm import WATCHER_GROUP, arm_model, find_in_group, get_location
from rehearsal.simulator.core.one_writer import OneWriter
from rehearsal.simulator.core.remains import ByProduct
from rehearsal.simulator.core.resource_model import UNRESTRICTED, Resource, ResourceRequest, Rule, Transition
from rehearsal.simulator.core.rules import in_range, list_objects, matches, parse_cidr, refuse_when, require_any
from rehearsal.simulator.core.transitions import get_change, refuse_change
from rehearsal.simulator.core.values import find_strings

PEERING = "azure-native:network:VirtualNetworkPeering"
_SUBNET = "azure-native:network:Subnet"
_ENDPOINT = "azure-native:network:PrivateEndpoint"
# Types with addresses in a subnet, besides private endpoints.
_SERVICES_IN_SUBNETS = (
    "azure-native:containerservice:ManagedCluster",
    "azure-native:containerservice:AgentPool",
    "azure-native:dbforpostgresql:Server",
)
_VNET = "Microsoft.Network/virtualNetworks/{virtualNetworkName}"
# Sources: https://github.com/pulumi/pulumi-azure-native/issues/1024 and, for peerings,
# https://github.com/hashicorp/terraform-provider-azurerm/issues/2605
_ONE_IN_NETWORK = OneWriter(
    "virtualNetworks",
    "AnotherOperationInProgress: Another operation on this or dependent resource is in progress. The network is "
    "{parent}.",
)


def check_name(path: str, max_length: int) -> Rule:
    """The name at `path` follows the rule that most network resources share.

    Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftnetwork
    """
    return matches(
        path,
        rf"[A-Za-z0-9]([\w.-]{{0,{max_length - 2}}}\w)?",
        "InvalidResourceName: Resource name {value} is invalid. The name can be up to "
        f"{max_length} characters long. It must begin with a word character, and it must end with a word character or "
        "with '_'. The name may contain word characters or '.', '-', '_'.",
    )


def _find_cidr_error(request: ResourceRequest, value: Any) -> str | None:
    """Azure's error about an address prefix; None if it is valid or unknown.

    Sources: https://github.com/Azure/azure-service-operator/issues/997 and
    https://github.com/microsoft/sql-server-samples/issues/492
    """
    if not isinstance(value, str) or parse_cidr(value):
        return None
    try:
        corrected = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        return (
            f"InvalidAddressPrefixFormat: Address prefix {value} of resource {request.id} is not formatted correctly. "
            "It should follow CIDR notation, for example 10.0.0.0/24."
        )
    return (
        f"InvalidCIDRNotation: The address prefix {value} in resource {request.id} has an invalid CIDR notation. For "
        f"the given prefix length, the address prefix should be {corrected}."
    )


def _check_address_spaces(request: ResourceRequest) -> str | None:
    prefixes = request.get("addressSpace.addressPrefixes", [])
    errors = (_find_cidr_error(request, prefix) for prefix in as_list(prefixes))
    return next(filter(None, errors), None)


# Source: https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq
def _check_subnet_prefix(request: ResourceRequest) -> str | None:
    prefix = parse_cidr(request.get("addressPrefix"))
    if prefix and prefix.prefixlen > 29:
        return f"Subnet {request.name} is too small: {prefix}. Azure reserves five addresses of each subnet."
    return _find_cidr_error(request, request.get("addressPrefix"))


# Source: https://learn.microsoft.com/azure/virtual-network/virtual-network-manage-subnet
def _require_prefix_in_network(request: ResourceRequest) -> str | None:
    network, prefix = find_in_group(request, _VNET), parse_cidr(request.get("addressPrefix"))
    if network is None or prefix is None:
        return None
    prefixes = look_up(network.inputs, "addressSpace.addressPrefixes", [])
    spaces = list(filter(None, map(parse_cidr, prefixes)))
    if not spaces or any(prefix.subnet_of(space) for space in spaces):
        return None
    return request.fill(
        "NetcfgInvalidSubnet: Subnet '{subnetName}' is not valid in virtual network '{virtualNetworkName}'."
    )


# Source: https://learn.microsoft.com/azure/virtual-network/virtual-network-manage-subnet
def _refuse_overlap(request: ResourceRequest) -> str | None:
    prefix = parse_cidr(request.get("addressPrefix"))
    for other in request.state.all(_SUBNET):
        other_prefix = parse_cidr(other.inputs.get("addressPrefix"))
        if not prefix or not other_prefix or not _is_in_same_network(request, other):
            continue
        if other.inputs["subnetName"] != request.get("subnetName") and prefix.overlaps(other_prefix):
            return request.fill(
                "NetcfgSubnetRangesOverlap: Subnet '{subnetName}' is not valid because its IP address range overlaps "
                f"with that of an existing subnet in virtual network '{request.get('virtualNetworkName')}'."
            )
    return None


def _is_in_same_network(request: ResourceRequest, other: Resource) -> bool:
    return all(other.inputs[key] == request.get(key) for key in ("resourceGroupName", "virtualNetworkName"))


def _find_occupant(request: ResourceRequest, types: Collection[str]) -> str | None:
    """The ID of a resource of one of the types that has addresses in this subnet; None if there is none."""
    users = (user for type_ in types for user in request.state.all(type_))
    return next((user.id for user in users if request.id in find_strings(user.inputs)), None)


def _find_change_in_use(request: ResourceRequest, path: str, types: Collection[str]) -> tuple[Any, Any, str] | None:
    """The old and the new value of a property of a subnet in use, and the ID of a resource in the subnet."""
    change, occupant = get_change(request, path), _find_occupant(request, types)
    return (*change, occupant) if change and occupant else None


# Source: https://github.com/hashicorp/terraform-provider-azurerm/issues/11211
def _refuse_move_in_use(request: ResourceRequest) -> str | None:
    change = _find_change_in_use(request, "addressPrefix", (*_SERVICES_IN_SUBNETS, _ENDPOINT))
    if change is None:
        return None
    old, new, occupant = change
    return request.fill(
        f"InUsePrefixCannotBeDeleted: IpPrefix {old} on Subnet {{subnetName}} has active allocations and cannot be "
        f"deleted: it is used by {occupant}, so it cannot become {new}."
    )


def _refuse_other_delegation_in_use(request: ResourceRequest) -> str | None:
    """The delegations of a subnet cannot change while anything but private endpoints is in it.

    Sources: https://github.com/MicrosoftDocs/azure-docs/issues/39112 and, for private endpoints,
    https://github.com/MicrosoftDocs/azure-docs/issues/47048
    """
    change = _find_change_in_use(request, "delegations", _SERVICES_IN_SUBNETS)
    if change is None:
        return None
    *delegations, occupant = change
    old, new = (", ".join(str(item.get("serviceName")) for item in one or ()) for one in delegations)
    if old == new:
        return None
    return (
        f"SubnetDelegationsCannotChangeWhenSubnetUsedByResource: Delegations of subnet {request.id} cannot be changed "
        f"from [{old}] to [{new}] because it is being used by the resource {occupant}."
    )


def _require_space_of_subnets(request: ResourceRequest) -> str | None:
    """The existing subnets must be in the new address space: an update of a network sends them as well.

    Source: https://learn.microsoft.com/azure/virtual-network/manage-virtual-network#add-or-remove-an-address-range
    """
    change = get_change(request, "addressSpace.addressPrefixes")
    if change is None:
        return None
    spaces = list(filter(None, map(parse_cidr, change[1] or ())))
    for subnet in request.state.all(_SUBNET):
        prefix = parse_cidr(subnet.inputs.get("addressPrefix"))
        if prefix and _is_in_same_network(request, subnet) and not any(prefix.subnet_of(space) for space in spaces):
            return (
                f"NetcfgInvalidSubnet: Subnet '{subnet.inputs['subnetName']}' is not valid in virtual network "
                f"'{request.get('virtualNetworkName')}': its prefix {prefix} is not in {', '.join(change[1])}."
            )
    return None


# Documented at https://learn.microsoft.com/azure/nat-gateway/nat-overview and
# https://learn.microsoft.com/azure/virtual-network/ip-services/public-ip-addresses; the message is from memory, not
# checked against a live account.
_REFUSE_OTHER_ZONES: Transition = refuse_change(
    "zones",
    "ResourceAvailabilityZonesCannotBeModified: The resource has an existing availability zone constraint {old} and "
    "the request has availability zone constraint {new}, which do not match. Zones cannot be added/updated/removed "
    "once the resource is created. The resource cannot be updated from regional to zonal or vice-versa.",
)


# Source: https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview
def _check_priorities(request: ResourceRequest) -> str | None:
    rules = list(list_objects(request, "securityRules"))
    for rule in rules:
        priority = rule.get("priority", UNKNOWN)
        if priority is not UNKNOWN and not 100 <= priority <= 4096:
            return (
                f"SecurityRuleInvalidPriority: Security rule has invalid Priority. Value provided: {priority} Allowed "
                "range 100-4096."
            )
    for first, second in combinations(rules, 2):
        orders = [(rule.get("direction"), rule.get("priority")) for rule in (first, second)]
        if UNKNOWN not in orders[0] and orders[0] == orders[1]:
            return (
                f"SecurityRuleConflict: Security rule {first.get('name')} conflicts with rule {second.get('name')}. "
                "Rules cannot have the same Priority and Direction."
            )
    return None


# Source: https://learn.microsoft.com/azure/virtual-network/ip-services/public-ip-addresses
def _is_standard_and_dynamic(request: ResourceRequest) -> bool:
    return bool(request.get("sku.name") == "Standard") and bool(request.get("publicIPAllocationMethod") == "Dynamic")


# Source: https://learn.microsoft.com/azure/nat-gateway/nat-overview
def _check_gateway_addresses(request: ResourceRequest) -> str | None:
    for address in list_objects(request, "publicIpAddresses"):
        public_ip = request.state.find(address["id"])
        if public_ip and public_ip.inputs.get("sku", {}).get("name") != "Standard":
            return f"Public IP address {public_ip.id} must be of the Standard SKU."
    return None


def _targets_security_group(request: ResourceRequest) -> bool:
    return "/networksecuritygroups/" in str(request.get("targetResourceId")).lower()


_WATCHER_GROUP_ID = f"/subscriptions/{{subscriptionId}}/resourceGroups/{WATCHER_GROUP}"
_WATCHERS = (
    ByProduct(
        "azure-native:resources:ResourceGroup", _WATCHER_GROUP_ID, lambda _: {"resourceGroupName": WATCHER_GROUP}
    ),
    ByProduct(
        "azure-native:network:NetworkWatcher",
        lambda request: (
            f"{request.fill(_WATCHER_GROUP_ID)}/providers/Microsoft.Network/networkWatchers/"
            f"NetworkWatcher_{get_location(request)}"
        ),
        lambda request: {"resourceGroupName": WATCHER_GROUP, "location": get_location(request)},
    ),
)

MODELS = (
    arm_model(
        "network:VirtualNetwork",
        _VNET,
        located=True,
        outputs={"resourceGuid": "{uuid}", "provisioningState": "Succeeded"},
        creation_by_products=_WATCHERS,
        transitions=(_require_space_of_subnets,),
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/network/virtual_network_resource.go
            require_any(
                ["addressSpace.addressPrefixes", "addressSpace.ipamPoolPrefixAllocations"],
                "The virtual network has no address space: set addressSpace.addressPrefixes.",
            ),
            check_name("virtualNetworkName", 64),
            _check_address_spaces,
        ),
    ),
    arm_model(
        "network:VirtualNetworkPeering",
        _VNET + "/virtualNetworkPeerings/{virtualNetworkPeeringName}",
        outputs={
            # Connected once the other network has a peering to this one, which is not simulated.
            "peeringState": "Initiated",
            "provisioningState": "Succeeded",
        },
        transitions=UNRESTRICTED,
        one_writer=_ONE_IN_NETWORK,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/network/virtual_network_peering_resource.go
            require_any(["remoteVirtualNetwork.id"], "The peering names no network: set remoteVirtualNetwork.id."),
            check_name("virtualNetworkPeeringName", 80),
        ),
    ),
    arm_model(
        "network:Subnet",
        _VNET + "/subnets/{subnetName}",
        outputs={"provisioningState": "Succeeded"},
        transitions=(_refuse_move_in_use, _refuse_other_delegation_in_use),
        one_writer=_ONE_IN_NETWORK,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/network/subnet_resource.go
            require_any(
                ["addressPrefix", "addressPrefixes", "ipamPoolPrefixAllocations"],
                "The subnet has no address prefix: set addressPrefix.",
            ),
            check_name("subnetName", 80),
            _check_subnet_prefix,
        ),
        state_rules=(_require_prefix_in_network, _refuse_overlap),
    ),
    arm_model(
        "network:NetworkSecurityGroup",
        "Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}",
        transitions=UNRESTRICTED,
        located=True,
        stays_in_place=True,
        outputs={"resourceGuid": "{uuid}", "provisioningState": "Succeeded"},
        rules=(check_name("networkSecurityGroupName", 80), _check_priorities),
    ),
    arm_model(
        "network:PublicIPAddress",
        "Microsoft.Network/publicIPAddresses/{publicIpAddressName}",
        located=True,
        # 203.0.113.0/24 is reserved for documentation (RFC 5737).
        outputs={"ipAddress": lambda request: f"203.0.113.{1 + int(request.hex(2), 16) % 254}"},
        # Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
        replace_on_changes=("publicIPAddressVersion", "publicIPPrefix", "sku"),
        transitions=(_REFUSE_OTHER_ZONES,),
        rules=(
            check_name("publicIpAddressName", 80),
            refuse_when(
                _is_standard_and_dynamic,
                "Standard sku publicIp {publicIpAddressName} must have AllocationMethod set to Static.",
            ),
        ),
    ),
    arm_model(
        "network:NatGateway",
        "Microsoft.Network/natGateways/{natGatewayName}",
        located=True,
        stays_in_place=True,
        outputs={"resourceGuid": "{uuid}"},
        transitions=(
            _REFUSE_OTHER_ZONES,
            # Documented at https://learn.microsoft.com/azure/nat-gateway/nat-sku; the message is not Azure's own.
            refuse_change("sku.name", "BadRequest: The SKU of a NAT gateway cannot change from {old} to {new}."),
        ),
        rules=(
            require_any(["sku.name"], "The NAT gateway has no SKU: set sku.name."),
            check_name("natGatewayName", 80),
        ),
        state_rules=(_check_gateway_addresses,),
    ),
    arm_model(
        "network:FlowLog",
        "Microsoft.Network/networkWatchers/{networkWatcherName}/flowLogs/{flowLogName}",
        located=True,
        stays_in_place=True,
        identity=True,
        outputs={"targetResourceGuid": "{uuid}"},
        required=("storageId", "targetResourceId"),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://learn.microsoft.com/azure/network-watcher/network-watcher-create
            matches(
                "networkWatcherName",
                r"NetworkWatcher_[a-z0-9]+",
                "ResourceNotFound: The Resource 'Microsoft.Network/networkWatchers/{value}' was not found.",
            ),
            # Source: https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview
            in_range("retentionPolicy.days", 0, 365, "Retention of {value} days is not in 0 to 365."),
            # Announced at https://azure.microsoft.com/updates?id=Azure-NSG-flow-logs-Retirement; the message is not
            # Azure's own.
            refuse_when(
                _targets_security_group,
                "New NSG flow logs cannot be created since June 30, 2025: use virtual network flow logs.",
            ),
        ),
    ),
)
