"""Virtual networks, subnets, security groups, public addresses, NAT gateways and flow logs.

Sources of names and limits:
https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
"""

from __future__ import annotations

import ipaddress
from itertools import combinations
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import arm_model, find_in_group, list_objects
from rehearsal.simulator.core.resource_model import Resource, ResourceRequest, Rule
from rehearsal.simulator.core.rules import find_previous, in_range, matches, parse_cidr, refuse_when, require_any
from rehearsal.simulator.core.values import find_strings

_SUBNET = "azure-native:network:Subnet"
_VNET = "Microsoft.Network/virtualNetworks/{virtualNetworkName}"


def check_name(path: str, max_length: int) -> Rule:
    """The name at `path` follows the rule that most network resources share."""
    return matches(
        path,
        rf"[A-Za-z0-9]([\w.-]{{0,{max_length - 2}}}\w)?",
        "InvalidResourceName: Resource name {value} is invalid. The name can be up to "
        f"{max_length} characters long. It must begin with a word character, and it must end with a word character or "
        "with '_'. The name may contain word characters or '.', '-', '_'.",
    )


def _find_cidr_error(value: Any) -> str | None:
    """Azure's error about an address prefix; None where it is valid or unknown."""
    if not isinstance(value, str) or parse_cidr(value):
        return None
    try:
        corrected = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        return (
            f"InvalidAddressPrefixFormat: Address prefix {value} is not formatted correctly. It should follow CIDR "
            "notation, for example 10.0.0.0/24."
        )
    return (
        f"InvalidCIDRNotation: The address prefix {value} has an invalid CIDR notation. For the given prefix length, "
        f"the address prefix should be {corrected}."
    )


def _check_address_spaces(request: ResourceRequest) -> str | None:
    prefixes = request.get("addressSpace.addressPrefixes", [])
    return next(filter(None, map(_find_cidr_error, prefixes if isinstance(prefixes, list) else [])), None)


def _check_subnet_prefix(request: ResourceRequest) -> str | None:
    prefix = parse_cidr(request.get("addressPrefix"))
    if prefix and prefix.prefixlen > 29:
        return f"Subnet {request.name} is too small: {prefix}. Azure reserves five addresses of each subnet."
    return _find_cidr_error(request.get("addressPrefix"))


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


def _refuse_move_in_use(request: ResourceRequest) -> str | None:
    before = find_previous(request)
    if before is None or before.inputs.get("addressPrefix") == request.get("addressPrefix"):
        return None
    occupying_types = (
        "azure-native:network:PrivateEndpoint",
        "azure-native:containerservice:ManagedCluster",
        "azure-native:dbforpostgresql:Server",
    )
    users = [
        user.id
        for type_ in occupying_types
        for user in request.state.all(type_)
        if request.id in find_strings(user.inputs)
    ]
    if not users:
        return None
    return request.fill(f"Subnet {{subnetName}} is in use by {users[0]} and cannot be updated.")


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


def _is_standard_and_dynamic(request: ResourceRequest) -> bool:
    return bool(request.get("sku.name") == "Standard") and bool(request.get("publicIPAllocationMethod") == "Dynamic")


def _check_gateway_addresses(request: ResourceRequest) -> str | None:
    for address in list_objects(request, "publicIpAddresses"):
        public_ip = request.state.find(address["id"])
        if public_ip and public_ip.inputs.get("sku", {}).get("name") != "Standard":
            return f"Public IP address {public_ip.id} must be of the Standard SKU."
    return None


def _targets_security_group(request: ResourceRequest) -> bool:
    return "/networksecuritygroups/" in str(request.get("targetResourceId")).lower()


MODELS = (
    arm_model(
        "network:VirtualNetwork",
        _VNET,
        located=True,
        outputs={"resourceGuid": "{uuid}", "provisioningState": "Succeeded"},
        rules=(
            require_any(
                ["addressSpace.addressPrefixes", "addressSpace.ipamPoolPrefixAllocations"],
                "The virtual network has no address space: set addressSpace.addressPrefixes.",
            ),
            check_name("virtualNetworkName", 64),
            _check_address_spaces,
        ),
    ),
    arm_model(
        "network:Subnet",
        _VNET + "/subnets/{subnetName}",
        outputs={"provisioningState": "Succeeded"},
        rules=(
            require_any(
                ["addressPrefix", "addressPrefixes", "ipamPoolPrefixAllocations"],
                "The subnet has no address prefix: set addressPrefix.",
            ),
            check_name("subnetName", 80),
            _check_subnet_prefix,
        ),
        state_rules=(_require_prefix_in_network, _refuse_overlap, _refuse_move_in_use),
    ),
    arm_model(
        "network:NetworkSecurityGroup",
        "Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}",
        located=True,
        outputs={"resourceGuid": "{uuid}", "provisioningState": "Succeeded"},
        rules=(check_name("networkSecurityGroupName", 80), _check_priorities),
    ),
    arm_model(
        "network:PublicIPAddress",
        "Microsoft.Network/publicIPAddresses/{publicIpAddressName}",
        located=True,
        # 203.0.113.0/24 is reserved for documentation (RFC 5737).
        outputs={"ipAddress": lambda request: f"203.0.113.{1 + int(request.hex(2), 16) % 254}"},
        replace_on_changes=("zones", "sku.name"),
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
        outputs={"resourceGuid": "{uuid}"},
        replace_on_changes=("zones", "sku.name"),
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
            # Announced at https://azure.microsoft.com/updates?id=Azure-NSG-flow-logs-Retirement; the message is not
            # Azure's own.
            refuse_when(
                _targets_security_group,
                "New NSG flow logs cannot be created since June 30, 2025: use virtual network flow logs.",
            ),
        ),
    ),
)
