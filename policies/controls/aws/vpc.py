"""Amazon VPC: what is reachable from the Internet, and which traffic is logged."""

from collections.abc import Iterator, Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import ABSENT, UNKNOWN, Truth, as_list
from policies.controls.addresses import has_admin_port, is_whole_internet
from policies.engine.expectations import IS_FALSE, any_matches, check_each, expect, fail_if_all
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

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
    title="SSH and RDP are not reachable from the Internet",
    severity="critical",
    types=GROUPS + RULES,
    remedy="remove the rule, or name the administrators' addresses as its source",
    references=("CKV_AWS_24", "CKV_AWS_25", "CKV_AWS_277", "FSBP EC2.19", "AWS-0107"),
)
def admin_ports(props: Props) -> Findings:
    def check(where: str, rule: Any) -> Findings:
        yield from fail_if_all(where, _opens_admin_port(rule), "must not allow SSH or RDP from the Internet")

    yield from check_each(props, "ingress[*]", check)
    yield from check("the rule", props)


def _opens_admin_port(rule: Mapping[str, Any]) -> Iterator[Truth]:
    yield any_matches([look_up(rule, "type")], lambda value: value in (ABSENT, "ingress"))
    yield any_matches([source for key in SOURCES for source in as_list(look_up(rule, key))], is_whole_internet)
    protocols = [value for key in ("protocol", "ipProtocol") for value in as_list(look_up(rule, key))]
    first, last = look_up(rule, "fromPort"), look_up(rule, "toPort")
    every_protocol = any_matches(protocols, lambda value: str(value) in ("-1", "-1.0", "all"))
    if every_protocol is not False or UNKNOWN in (first, last):
        yield every_protocol if every_protocol is True else UNKNOWN
    else:
        yield has_admin_port(first, last)


@control(
    "aws-vpc-subnet-public-addresses",
    title="Subnets assign no public addresses",
    severity="high",
    types=SUBNET,
    remedy="leave mapPublicIpOnLaunch unset, or tag the subnet of load balancers kubernetes.io/role/elb",
    references=("CKV_AWS_130", "FSBP EC2.15", "AWS-0164"),
)
def subnet_public_addresses(props: Props) -> Findings:
    if "kubernetes.io/role/elb" not in _tags(props):
        path = "mapPublicIpOnLaunch"
        yield from expect(props, path, IS_FALSE, "instances get public addresses", absent_passes=True)


def _tags(props: Props) -> Mapping[str, Any]:
    tags = look_up(props, "tags")
    return tags if isinstance(tags, Mapping) else {}


@stack_control(
    "aws-vpc-flow-log",
    title="Every VPC has a flow log",
    severity="medium",
    types=(VPC,),
    remedy="declare a FlowLog with the VPC's id",
    references=("CKV2_AWS_11", "FSBP EC2.6", "AWS-0178", "CIS-AWS6 4.7"),
)
def flow_log(stack: Stack) -> StackFindings:
    missing = "the VPC must have a FlowLog"
    yield from expect_companion(of_type(stack, VPC), of_type(stack, FLOW_LOG), "vpcId", missing)


@stack_control(
    "aws-vpc-default-security-group",
    title="The default security group of every VPC has no rules",
    severity="high",
    types=(VPC,),
    remedy="declare a DefaultSecurityGroup with the VPC's id and no rules",
    references=("CKV2_AWS_12", "FSBP EC2.2", "AWS-0173", "CIS-AWS6 6.5"),
)
def default_security_group(stack: Stack) -> StackFindings:
    missing = "the VPC must have a DefaultSecurityGroup, otherwise AWS's default rules allow traffic"
    yield from expect_companion(of_type(stack, VPC), of_type(stack, DEFAULT_GROUP), "vpcId", missing, _expect_no_rules)


def _expect_no_rules(group: Resource) -> Findings:
    for direction in ("ingress", "egress"):
        rules = look_up(group.props, direction)
        if rules is UNKNOWN:
            yield Undecided(f"{group.name}.{direction}")
        elif as_list(rules):
            yield f"the VPC's default security group must have no {direction} rules"
