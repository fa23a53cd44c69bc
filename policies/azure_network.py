"""Azure networking: what the Internet reaches, and that services have a private way in."""

from collections.abc import Iterator
from typing import Any

from policies.addresses import has_admin_port, is_anywhere
from policies.control import Stack, StackVerdicts, control, each_has, of_type, stack_control
from policies.props import (
    ABSENT,
    UNKNOWN,
    Marker,
    Props,
    Undecided,
    Verdicts,
    conclude,
    each,
    expect_set,
    items,
    lookup,
    some,
)

GROUP = ("azure-native:network:NetworkSecurityGroup",)
RULE = ("azure-native:network:SecurityRule",)
NETWORK = ("azure-native:network:VirtualNetwork",)
SUBNET = ("azure-native:network:Subnet",)
ENDPOINT = "azure-native:network:PrivateEndpoint"
PRIVATE_SERVICES = (
    "azure-native:keyvault:Vault",
    "azure-native:storage:StorageAccount",
    "azure-native:containerregistry:Registry",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:machinelearningservices:Workspace",
)
# Azure refuses security groups on the first two and asks for its own set of rules on the third.
MANAGED_SUBNETS = ("GatewaySubnet", "AzureFirewallSubnet", "AzureBastionSubnet")


@control(
    "azure-network-admin-ports",
    title="The Internet reaches neither SSH nor RDP",
    severity="critical",
    types=GROUP + RULE,
    remedy="remove the rule, or name the administrators' addresses as its source",
    anchors=("CKV_AZURE_9", "CKV_AZURE_10", "AZU-0048", "AZU-0050"),
)
def admin_ports(props: Props) -> Verdicts:
    for where, rule in [*each(props, "securityRules[]"), ("rule", props)]:
        if rule is UNKNOWN:
            yield Undecided(where)
        elif rule is not ABSENT:
            yield from conclude(where, _opens_admin_port(rule), "allows SSH or RDP from the Internet")


def _opens_admin_port(rule: Props) -> Iterator[bool | Marker]:
    yield some([lookup(rule, "access")], lambda value: str(value).lower() == "allow")
    yield some([lookup(rule, "direction")], lambda value: str(value).lower() == "inbound")
    yield some(_both(rule, "sourceAddressPrefix", "sourceAddressPrefixes"), is_anywhere)
    yield some(_both(rule, "destinationPortRange", "destinationPortRanges"), _has_admin_port)


def _both(rule: Props, single: str, several: str) -> list[Any]:
    return [*items(lookup(rule, single)), *items(lookup(rule, several))]


def _has_admin_port(ports: Any) -> bool:
    first, _, last = str(ports).partition("-")
    return ports == "*" or has_admin_port(first, last or first)


@control(
    "azure-network-subnet-security-group",
    title="Every subnet has a network security group",
    severity="high",
    types=SUBNET + NETWORK,
    remedy="set networkSecurityGroup on the subnet",
    anchors=("CKV2_AZURE_31",),
)
def subnet_security_group(props: Props) -> Verdicts:
    wrong = "nothing filters what enters the subnet"
    if lookup(props, "addressSpace") is ABSENT:  # a subnet of its own, not a network with subnets inside
        if lookup(props, "subnetName") not in MANAGED_SUBNETS:
            yield from expect_set(props, "networkSecurityGroup", wrong)
        return
    for where, subnet in each(props, "subnets[]"):
        if subnet is UNKNOWN:
            yield Undecided(where)
        elif subnet is not ABSENT and lookup(subnet, "name") not in MANAGED_SUBNETS:
            for verdict in expect_set(subnet, "networkSecurityGroup", wrong):
                yield f"{where}: {verdict}"


@stack_control(
    "azure-network-private-endpoints",
    title="Key vaults, storage, registries, Cosmos DB and ML workspaces have a private endpoint",
    severity="high",
    types=PRIVATE_SERVICES,
    remedy="declare a PrivateEndpoint whose privateLinkServiceId is the service's id",
    anchors=("CKV2_AZURE_32", "CKV2_AZURE_33", "CKV_AZURE_243"),
)
def private_endpoints(stack: Stack) -> StackVerdicts:
    path = "privateLinkServiceConnections[].privateLinkServiceId"
    missing = "no private endpoint leads to it"
    yield from each_has(of_type(stack, *PRIVATE_SERVICES), of_type(stack, ENDPOINT), path, missing)
