"""Azure networking: other exposed ports than SSH and RDP, outbound access, and flow logs."""

from collections.abc import Callable, Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import ABSENT, Truth, as_list
from policies.controls.addresses import has_admin_port, is_whole_internet
from policies.engine.control import Setting
from policies.engine.expectations import IS_FALSE, IS_TRUE, any_matches, at_least, check_each, expect, fail_if_all
from policies.engine.findings import Findings, Props
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

RULES = (
    "azure-native:network:NetworkSecurityGroup",
    "azure-native:network:SecurityRule",
)
NETWORK = "azure-native:network:VirtualNetwork"
SUBNET = "azure-native:network:Subnet"
FLOW_LOG = "azure-native:network:FlowLog"
INTERFACE = ("azure-native:network:NetworkInterface",)
# Azure manages their outbound traffic.
MANAGED_SUBNETS = ("GatewaySubnet", "AzureFirewallSubnet", "AzureBastionSubnet")


@control(
    "azure-network-internet-ports",
    title="Only allowed ports are reachable from the Internet",
    severity="high",
    types=RULES,
    remedy="remove the rule, name its sources, or add the port to the setting allowed",
    references=("CKV_AZURE_160",),
    settings={"allowed": Setting({"type": "array", "items": {"type": "integer"}}, default=[443])},
)
def internet_ports(props: Props, settings: Mapping[str, Any]) -> Findings:
    allowed = {str(int(port)) for port in settings["allowed"]}

    def is_refused(ports: Any) -> bool:
        first, _, last = str(ports).partition("-")
        # azure-network-admin-ports reports the others.
        is_for_administration = ports == "*" or has_admin_port(first, last or first)
        return not is_for_administration and not (first in allowed and (last or first) == first)

    def check(where: str, rule: Any) -> Findings:
        tcp = any_matches([look_up(rule, "protocol")], lambda protocol: str(protocol).lower() != "udp")
        opened = any_matches(_single_and_several(rule, "destinationPortRange", "destinationPortRanges"), is_refused)
        yield from fail_if_all(
            where, [*_admits_internet(rule), tcp, opened], "must not open other ports to the Internet"
        )

    yield from _check_rules(props, check)


@control(
    "azure-network-udp",
    title="UDP services are not reachable from the Internet",
    severity="high",
    types=RULES,
    remedy="remove the rule, or name its sources",
    references=("CKV_AZURE_77",),
)
def udp(props: Props) -> Findings:
    def check(where: str, rule: Any) -> Findings:
        is_udp = any_matches([look_up(rule, "protocol")], lambda protocol: str(protocol).lower() == "udp")
        problem = "must not allow UDP from the Internet, because senders can be forged"
        yield from fail_if_all(where, [*_admits_internet(rule), is_udp], problem)

    yield from _check_rules(props, check)


def _check_rules(props: Props, check: Callable[[str, Any], Findings]) -> Findings:
    yield from check_each(props, "securityRules[*]", check)
    yield from check("the rule", props)


def _admits_internet(rule: Props) -> list[Truth]:
    return [
        any_matches([look_up(rule, "access")], lambda value: str(value).lower() == "allow"),
        any_matches([look_up(rule, "direction")], lambda value: str(value).lower() == "inbound"),
        any_matches(_single_and_several(rule, "sourceAddressPrefix", "sourceAddressPrefixes"), is_whole_internet),
    ]


def _single_and_several(rule: Props, single: str, several: str) -> list[Any]:
    return [*as_list(look_up(rule, single)), *as_list(look_up(rule, several))]


@control(
    "azure-network-default-outbound",
    title="Subnets have no default outbound access",
    severity="medium",
    types=(SUBNET, NETWORK),
    remedy="set defaultOutboundAccess of the subnet to false, and add a NAT gateway or a route if it needs one",
)
def default_outbound(props: Props) -> Findings:
    risk = "Azure gives machines a public outbound address that the stack does not control"

    def check(where: str, subnet: Any) -> Findings:
        if look_up(subnet, "name") not in MANAGED_SUBNETS:
            yield from expect(props, f"{where}.defaultOutboundAccess", IS_FALSE, risk)

    if look_up(props, "addressSpace") is not ABSENT:  # a network that declares its subnets inline
        yield from check_each(props, "subnets[*]", check)
    elif look_up(props, "subnetName") not in MANAGED_SUBNETS:
        yield from expect(props, "defaultOutboundAccess", IS_FALSE, risk)


@control(
    "azure-network-ip-forwarding",
    title="Network interfaces do not forward traffic of others",
    severity="medium",
    types=INTERFACE,
    remedy="leave enableIPForwarding unset or set it to false",
    references=("CKV_AZURE_118", "AZU-0075"),
)
def ip_forwarding(props: Props) -> Findings:
    risk = "the machine can intercept traffic between others"
    yield from expect(props, "enableIPForwarding", IS_FALSE, risk, absent_passes=True)


@stack_control(
    "azure-network-flow-log",
    title="Every virtual network has a flow log",
    severity="medium",
    types=(NETWORK,),
    remedy="declare a FlowLog with the network's id as targetResourceId",
    references=("AZU-0073", "CIS-Azure5 6.1.1.7"),
)
def flow_log(stack: Stack) -> StackFindings:
    missing = "the network must have a FlowLog"
    logs = of_type(stack, FLOW_LOG)
    yield from expect_companion(of_type(stack, NETWORK), logs, "targetResourceId", missing, _expect_enabled)


def _expect_enabled(log: Resource) -> Findings:
    yield from expect(log.props, "enabled", IS_TRUE, "no traffic is recorded", absent_passes=True)


@control(
    "azure-network-flow-log-retention",
    title="Flow logs are retained for long enough, and then deleted",
    severity="low",
    types=(FLOW_LOG,),
    remedy="set retentionPolicy.enabled to true and raise retentionPolicy.days",
    references=("CKV_AZURE_12", "AZU-0049", "CIS-Azure5 7.8"),
    settings={"minDays": Setting({"type": "integer", "minimum": 1, "maximum": 365}, default=90)},
)
def flow_log_retention(props: Props, settings: Mapping[str, Any]) -> Findings:
    yield from expect(props, "retentionPolicy.enabled", IS_TRUE, "flow logs are stored and paid for indefinitely")
    enough = at_least(settings["minDays"])
    yield from expect(props, "retentionPolicy.days", enough, "flow logs are deleted before an attack is noticed")
