"""Amazon VPC: exposure to the Internet, and logs of traffic."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from kernel.paths import look_up
from kernel.values import ABSENT, UNKNOWN, Truth, as_list
from policies.controls.addresses import ADMIN_PORTS, has_admin_port, has_port, is_whole_internet
from policies.engine.expectations import IS_FALSE, any_matches, check_each, expect, fail_if_all, one_of
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

VPC = "aws:ec2/vpc:Vpc"
DEFAULT_VPC = "aws:ec2/defaultVpc:DefaultVpc"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
SUBNET = ("aws:ec2/subnet:Subnet", "aws:ec2/defaultSubnet:DefaultSubnet")
GROUPS = ("aws:ec2/securityGroup:SecurityGroup", DEFAULT_GROUP)
RULES = (
    "aws:ec2/securityGroupRule:SecurityGroupRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
)
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
NETWORK_ACLS = (
    "aws:ec2/networkAcl:NetworkAcl",
    "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl",
    "aws:ec2/networkAclRule:NetworkAclRule",
)
SOURCES = ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6", "cidrBlock", "ipv6CidrBlock")


@control(
    "aws-vpc-admin-ports",
    title="SSH and RDP are not reachable from the Internet",
    severity="critical",
    types=GROUPS + RULES + NETWORK_ACLS,
    remedy="remove the rule, or name the administrators' addresses as its source",
    references=("CKV_AWS_24", "CKV_AWS_25", "CKV_AWS_260", "CKV_AWS_277", "FSBP EC2.19", "FSBP EC2.21", "AWS-0107"),
)
def admin_ports(props: Props) -> Findings:
    rules = as_list(look_up(props, "ingress"))

    def check(where: str, rule: Any) -> Findings:
        if not any(_denies_before(other, rule) for other in rules):
            yield from fail_if_all(where, _opens_admin_port(rule), "must not allow SSH or RDP from the Internet")

    yield from check_each(props, "ingress[*]", check)
    yield from check("the rule", props)


def _denies_before(other: Any, rule: Any) -> bool:
    """Whether a rule of a network ACL denies everything that another allows: the rule with the lower number decides."""
    numbers = look_up(other, "ruleNo"), look_up(rule, "ruleNo")
    if not all(isinstance(number, int | float) for number in numbers) or numbers[0] >= numbers[1]:
        return False
    ports = look_up(other, "fromPort"), look_up(other, "toPort")
    everything = str(look_up(other, "protocol")) in ("-1", "-1.0", "all") or all(
        has_port(*ports, port) for port in ADMIN_PORTS
    )
    same = any(look_up(other, key) == look_up(rule, key) is not ABSENT for key in ("cidrBlock", "ipv6CidrBlock"))
    return look_up(other, "action") == "deny" and everything and same


def _opens_admin_port(rule: Mapping[str, Any]) -> Iterator[Truth]:
    yield any_matches([look_up(rule, "type")], lambda value: value in (ABSENT, "ingress"))
    # Rules of network ACLs, which also deny.
    yield any_matches([look_up(rule, "egress")], lambda value: value is not True)
    actions = [look_up(rule, key) for key in ("action", "ruleAction")]
    yield any_matches([action for action in actions if action is not ABSENT] or ["allow"], _is_not_deny)
    yield any_matches([source for key in SOURCES for source in as_list(look_up(rule, key))], is_whole_internet)
    protocols = [value for key in ("protocol", "ipProtocol") for value in as_list(look_up(rule, key))]
    first, last = look_up(rule, "fromPort"), look_up(rule, "toPort")
    every_protocol = any_matches(protocols, lambda value: str(value) in ("-1", "-1.0", "all"))
    if every_protocol is not False or UNKNOWN in (first, last):
        yield every_protocol if every_protocol is True else UNKNOWN
    else:
        yield has_admin_port(first, last)


def _is_not_deny(action: Any) -> bool:
    return str(action).lower() != "deny"


@control(
    "aws-vpc-subnet-public-addresses",
    title="Subnets do not assign public addresses",
    severity="high",
    types=SUBNET,
    remedy="set mapPublicIpOnLaunch to false, or tag the subnet of load balancers kubernetes.io/role/elb",
    references=("CKV_AWS_130", "FSBP EC2.15", "AWS-0164"),
)
def subnet_public_addresses(props: Props) -> Findings:
    if "kubernetes.io/role/elb" not in _tags(props):
        # Default subnets, which do not name their VPC, assign public addresses unless this is set to false.
        is_default = look_up(props, "vpcId") is ABSENT
        path, risk = "mapPublicIpOnLaunch", "instances get public addresses"
        yield from expect(props, path, IS_FALSE, risk, absent_passes=not is_default)


def _tags(props: Props) -> Mapping[str, Any]:
    tags = look_up(props, "tags")
    return tags if isinstance(tags, Mapping) else {}


@stack_control(
    "aws-vpc-flow-log",
    title="Every VPC has a flow log",
    severity="medium",
    types=(VPC, DEFAULT_VPC, FLOW_LOG),
    remedy="declare a FlowLog with the VPC's id and trafficType ALL or REJECT",
    references=("CKV2_AWS_11", "FSBP EC2.6", "AWS-0178", "CIS-AWS6 4.7"),
)
def flow_log(stack: Stack) -> StackFindings:
    missing = "the VPC must have a FlowLog"
    networks, logs = of_type(stack, VPC, DEFAULT_VPC), of_type(stack, FLOW_LOG)
    yield from expect_companion(networks, logs, "vpcId", missing, _expect_rejected)


def _expect_rejected(log: Resource) -> Findings:
    path, risk = "trafficType", "rejected connections are not recorded"
    yield from expect(log.props, path, one_of("ALL", "REJECT"), risk, absent_passes=True)


@stack_control(
    "aws-vpc-default-security-group",
    title="The default security group of every VPC has no rules",
    severity="high",
    types=(VPC, DEFAULT_VPC, DEFAULT_GROUP),
    remedy="declare a DefaultSecurityGroup with the VPC's id and no rules, and attach no rules to it",
    references=("CKV2_AWS_12", "FSBP EC2.2", "AWS-0173", "CIS-AWS6 6.5"),
)
def default_security_group(stack: Stack) -> StackFindings:
    missing = "the VPC must have a DefaultSecurityGroup, otherwise AWS's default rules allow traffic"
    networks, groups = of_type(stack, VPC, DEFAULT_VPC), of_type(stack, DEFAULT_GROUP)
    rules = of_type(stack, *RULES, EGRESS_RULE)
    yield from expect_companion(networks, groups, "vpcId", missing, partial(_expect_no_rules, rules))
    # Rules can also refer to the default group through an output of its VPC.
    for network in networks:
        for rule in rules:
            if network.urn in rule.property_dependencies.get("securityGroupId", ()):
                yield network, f"{rule.name} must not be a rule of the VPC's default security group"


def _expect_no_rules(attached: Sequence[Resource], group: Resource) -> Findings:
    for rule in attached:
        if rule.refers_to(group, "securityGroupId") is True:
            yield f"{rule.name} must not be a rule of the VPC's default security group"
    for direction in ("ingress", "egress"):
        rules = look_up(group.props, direction)
        if rules is UNKNOWN:
            yield Undecided(f"{group.name}.{direction}")
        elif as_list(rules):
            yield f"the VPC's default security group must have no {direction} rules"
