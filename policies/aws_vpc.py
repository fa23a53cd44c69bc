"""Amazon VPC: what the Internet reaches, and what is written down of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from policies.addresses import has_admin_port, is_anywhere
from policies.control import Resource, Stack, StackVerdicts, control, each_has, of_type, stack_control
from policies.props import (
    ABSENT,
    UNKNOWN,
    Marker,
    Props,
    Undecided,
    Verdicts,
    conclude,
    each,
    expect,
    is_false,
    items,
    lookup,
    some,
)

VPC = "aws:ec2/vpc:Vpc"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
SUBNET = ("aws:ec2/subnet:Subnet",)
GROUPS = ("aws:ec2/securityGroup:SecurityGroup", DEFAULT_GROUP)
RULES = (
    "aws:ec2/securityGroupRule:SecurityGroupRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
)
SOURCES = ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6")


@control(
    "aws-vpc-admin-ports",
    title="The Internet reaches neither SSH nor RDP",
    severity="critical",
    types=GROUPS + RULES,
    remedy="remove the rule, or name the administrators' addresses as its source",
    anchors=("CKV_AWS_24", "CKV_AWS_25", "CKV_AWS_277", "FSBP EC2.19", "AWS-0107"),
)
def admin_ports(props: Props) -> Verdicts:
    for where, rule in [*each(props, "ingress[]"), ("rule", props)]:
        if rule is UNKNOWN:
            yield Undecided(where)
        elif rule is not ABSENT:
            yield from conclude(where, _opens_admin_port(rule), "allows SSH or RDP from the Internet")


def _opens_admin_port(rule: Mapping[str, Any]) -> Iterator[bool | Marker]:
    yield some([lookup(rule, "type")], lambda value: value in (ABSENT, "ingress"))
    yield some([source for key in SOURCES for source in items(lookup(rule, key))], is_anywhere)
    protocols = [value for key in ("protocol", "ipProtocol") for value in items(lookup(rule, key))]
    first, last = lookup(rule, "fromPort"), lookup(rule, "toPort")
    every_protocol = some(protocols, lambda value: str(value) in ("-1", "-1.0", "all"))
    if every_protocol is not False or UNKNOWN in (first, last):
        yield every_protocol if every_protocol is True else UNKNOWN
    else:
        yield has_admin_port(first, last)


@control(
    "aws-vpc-subnet-public-addresses",
    title="Subnets give out no public addresses",
    severity="high",
    types=SUBNET,
    remedy="leave mapPublicIpOnLaunch unset, or tag the load balancers' subnet kubernetes.io/role/elb",
    anchors=("CKV_AWS_130", "FSBP EC2.15", "AWS-0164"),
)
def subnet_public_addresses(props: Props) -> Verdicts:
    if "kubernetes.io/role/elb" not in _tags(props):
        path = "mapPublicIpOnLaunch"
        yield from expect(props, path, is_false, "machines get public addresses", absent_passes=True)


def _tags(props: Props) -> Mapping[str, Any]:
    tags = lookup(props, "tags")
    return tags if isinstance(tags, Mapping) else {}


@stack_control(
    "aws-vpc-flow-log",
    title="Every VPC has a flow log",
    severity="medium",
    types=(VPC,),
    remedy="declare a FlowLog with the VPC's id",
    anchors=("CKV2_AWS_11", "FSBP EC2.6", "AWS-0178", "CIS-AWS6 4.7"),
)
def flow_log(stack: Stack) -> StackVerdicts:
    missing = "no flow log names it"
    yield from each_has(of_type(stack, VPC), of_type(stack, FLOW_LOG), "vpcId", missing)


@stack_control(
    "aws-vpc-default-security-group",
    title="Every VPC's default security group lets nothing through",
    severity="high",
    types=(VPC,),
    remedy="declare a DefaultSecurityGroup with the VPC's id and no rules",
    anchors=("CKV2_AWS_12", "FSBP EC2.2", "AWS-0173", "CIS-AWS6 6.5"),
)
def default_security_group(stack: Stack) -> StackVerdicts:
    missing = "its default security group keeps AWS's open rules"
    yield from each_has(of_type(stack, VPC), of_type(stack, DEFAULT_GROUP), "vpcId", missing, _has_no_rules)


def _has_no_rules(group: Resource) -> Verdicts:
    for direction in ("ingress", "egress"):
        rules = lookup(group.props, direction)
        if rules is UNKNOWN:
            yield Undecided(f"{group.name}.{direction}")
        elif items(rules):
            yield f"its default security group has {direction} rules"
