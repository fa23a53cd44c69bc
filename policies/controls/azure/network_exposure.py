"""Azure networking: what the Internet reaches beside SSH and RDP, the way out, and records of traffic."""

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
# Azure manages what leaves them.
MANAGED_SUBNETS = ("GatewaySubnet", "AzureFirewallSubnet", "AzureBastionSubnet")


@control(
    "azure-network-internet-ports",
    title="The Internet reaches no ports but those that are meant for it",
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
            where, [*_admits_internet(rule), tcp, opened], "must not allow the Internet in on other ports"
        )

    yield from _check_rules(props, check)


@control(
    "azure-network-udp",
    title="The Internet reaches no UDP services",
    severity="high",
    types=RULES,
    remedy="remove the rule, or name its sources",
    references=("CKV_AZURE_77",),
)
def udp(props: Props) -> Findings:
    def check(where: str, rule: Any) -> Findings:
        is_udp = any_matches([look_up(rule, "protocol")], lambda protocol: str(protocol).lower() == "udp")
        problem = "must not allow UDP from the Internet, whose senders can be forged"
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
    title="Subnets have no way out that nobody chose",
    severity="medium",
    types=(SUBNET, NETWORK),
    remedy="set defaultOutboundAccess of the subnet to false, and give it a NAT gateway or a route where it needs one",
)
def default_outbound(props: Props) -> Findings:
    risk = "Azure lends machines an address to the Internet, which is not the stack's"

    def check(where: str, subnet: Any) -> Findings:
        if look_up(subnet, "name") not in MANAGED_SUBNETS:
            yield from expect(props, f"{where}.defaultOutboundAccess", IS_FALSE, risk)

    if look_up(props, "addressSpace") is not ABSENT:  # a network that declares its subnets inline
        yield from check_each(props, "subnets[*]", check)
    elif look_up(props, "subnetName") not in MANAGED_SUBNETS:
        yield from expect(props, "defaultOutboundAccess", IS_FALSE, risk)


@control(
    "azure-network-ip-forwarding",
    title="Network interfaces pass on no traffic of others",
    severity="medium",
    types=INTERFACE,
    remedy="leave enableIPForwarding unset or set it to false",
    references=("CKV_AZURE_118", "AZU-0075"),
)
def ip_forwarding(props: Props) -> Findings:
    risk = "the machine can stand between others"
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
    title="Flow logs are kept long enough, and not for ever",
    severity="low",
    types=(FLOW_LOG,),
    remedy="set retentionPolicy.enabled to true and raise retentionPolicy.days",
    references=("CKV_AZURE_12", "AZU-0049", "CIS-Azure5 7.8"),
    settings={"minDays": Setting({"type": "integer", "minimum": 1, "maximum": 365}, default=90)},
)
def flow_log_retention(props: Props, settings: Mapping[str, Any]) -> Findings:
    yield from expect(props, "retentionPolicy.enabled", IS_TRUE, "flow logs are kept, and paid for, for ever")
    enough = at_least(settings["minDays"])
    yield from expect(props, "retentionPolicy.days", enough, "flow logs are deleted before an attack is noticed")
