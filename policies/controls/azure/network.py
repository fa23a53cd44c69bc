"""Azure networking: exposure to the Internet, and private endpoints of services."""

from collections.abc import Iterator
from typing import Any

from kernel.paths import each_value, look_up
from kernel.values import ABSENT, UNKNOWN, Truth, any_holds, as_list
from policies.controls.addresses import has_admin_port, is_whole_internet
from policies.engine.expectations import any_matches, check_each, expect_set, fail_if_all
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Stack, StackFindings, of_type

GROUP = ("azure-native:network:NetworkSecurityGroup",)
RULE = ("azure-native:network:SecurityRule",)
ADMIN_RULE = ("azure-native:network:AdminRule",)  # of a network manager: AlwaysAllow overrides all security groups
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
# Azure rejects security groups on the first two, and requires certain rules on the third.
MANAGED_SUBNETS = ("GatewaySubnet", "AzureFirewallSubnet", "AzureBastionSubnet")


@control(
    "azure-network-admin-ports",
    title="SSH and RDP are not reachable from the Internet",
    severity="critical",
    types=GROUP + RULE + ADMIN_RULE,
    remedy="remove the rule, or name the administrators' addresses as its source",
    references=("CKV_AZURE_9", "CKV_AZURE_10", "AZU-0048", "AZU-0050"),
)
def admin_ports(props: Props) -> Findings:
    def check(where: str, rule: Any) -> Findings:
        yield from fail_if_all(where, _opens_admin_port(rule), "must not allow SSH or RDP from the Internet")

    yield from check_each(props, "securityRules[*]", check)
    yield from check("the rule", props)


def _opens_admin_port(rule: Props) -> Iterator[Truth]:
    yield any_matches([look_up(rule, "access")], lambda value: str(value).lower() in ("allow", "alwaysallow"))
    yield any_matches([look_up(rule, "direction")], lambda value: str(value).lower() == "inbound")
    sources = _single_and_several(rule, "sourceAddressPrefix", "sourceAddressPrefixes")
    listed = [prefix for _, prefix in each_value(rule, "sources[*].addressPrefix")]
    yield any_matches([*sources, *listed], is_whole_internet)
    yield any_matches(_single_and_several(rule, "destinationPortRange", "destinationPortRanges"), _has_admin_port)


def _single_and_several(rule: Props, single: str, several: str) -> list[Any]:
    return [*as_list(look_up(rule, single)), *as_list(look_up(rule, several))]


def _has_admin_port(ports: Any) -> bool:
    first, _, last = str(ports).partition("-")
    return ports == "*" or has_admin_port(first, last or first)


@control(
    "azure-network-subnet-security-group",
    title="Every subnet has a network security group",
    severity="high",
    types=SUBNET + NETWORK,
    remedy="set networkSecurityGroup on the subnet",
    references=("CKV2_AZURE_31",),
)
def subnet_security_group(props: Props) -> Findings:
    risk = "traffic into the subnet is not filtered"

    def check(where: str, subnet: Any) -> Findings:
        if look_up(subnet, "name") not in MANAGED_SUBNETS:
            for finding in expect_set(subnet, "networkSecurityGroup.id", risk):
                yield f"{where}.{finding}"

    if look_up(props, "addressSpace") is not ABSENT:  # a network that declares its subnets inline
        yield from check_each(props, "subnets[*]", check)
    elif look_up(props, "subnetName") not in MANAGED_SUBNETS:
        yield from expect_set(props, "networkSecurityGroup.id", risk)


@stack_control(
    "azure-network-private-endpoints",
    title="Key vaults, storage, registries, Cosmos DB and ML workspaces have a private endpoint",
    severity="high",
    types=PRIVATE_SERVICES,
    remedy="declare a PrivateEndpoint whose privateLinkServiceId is the service's id",
    references=("CKV2_AZURE_32", "CKV2_AZURE_33", "CKV_AZURE_243"),
)
def private_endpoints(stack: Stack) -> StackFindings:
    # The second list has connections that the service's owner has to approve.
    lists = ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections")
    services, endpoints = of_type(stack, *PRIVATE_SERVICES), of_type(stack, ENDPOINT)
    for service in services:
        named = any_holds(
            UNKNOWN if isinstance(answer, Undecided) else answer
            for endpoint in endpoints
            for answer in (endpoint.refers_to(service, f"{name}[*].privateLinkServiceId") for name in lists)
        )
        if named is UNKNOWN:
            yield service, Undecided("the private endpoints' privateLinkServiceId")
        elif not named:
            yield service, "the resource must have a PrivateEndpoint"
