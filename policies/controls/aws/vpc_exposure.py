"""Amazon VPC: other exposed ports than SSH and RDP, outbound traffic, and private access to AWS services."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import ABSENT, UNKNOWN, Truth, as_list
from policies.controls.addresses import has_admin_port, is_whole_internet
from policies.engine.control import Setting
from policies.engine.expectations import any_matches, check_each, expect, fail_if_all, none_of
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Stack, StackFindings, of_type

VPC = "aws:ec2/vpc:Vpc"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ACL = "aws:ec2/networkAcl:NetworkAcl"
ACL_RULE = "aws:ec2/networkAclRule:NetworkAclRule"
ADDRESSES = ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6", "cidrBlock", "ipv6CidrBlock")
# Pulumi's provider writes the first if there is no description.
DESCRIBED = none_of("must describe its purpose", "Managed by Pulumi", "Managed by Terraform")
# The services that nodes need to start and to pull images without the Internet.
SERVICES = ("ecr.api", "ecr.dkr", "s3", "sts")


@control(
    "aws-vpc-internet-ports",
    title="Only allowed ports are reachable from the Internet",
    severity="high",
    types=(GROUP, DEFAULT_GROUP, RULE, INGRESS_RULE),
    remedy="remove the rule, name its sources, or add the port to the setting allowed",
    references=("CKV_AWS_260", "FSBP EC2.19"),
    settings={"allowed": Setting({"type": "array", "items": {"type": "integer"}}, default=[443])},
)
def internet_ports(props: Props, settings: Mapping[str, Any]) -> Findings:
    allowed = [float(port) for port in settings["allowed"]]

    def check(where: str, rule: Any) -> Findings:
        incoming = any_matches([look_up(rule, "type")], lambda kind: kind in (ABSENT, "ingress"))
        conditions = [incoming, _names_internet(rule), _opens_other_port(rule, allowed)]
        yield from fail_if_all(where, conditions, "must not open other ports to the Internet")

    yield from check_each(props, "ingress[*]", check)
    yield from check("the rule", props)


def _names_internet(rule: Any) -> Truth:
    return any_matches([each for key in ADDRESSES for each in as_list(look_up(rule, key))], is_whole_internet)


def _opens_other_port(rule: Any, allowed: list[float]) -> Truth:
    """Whether a rule opens a port that is not allowed. aws-vpc-admin-ports reports those with SSH or RDP."""
    first, last, protocols = look_up(rule, "fromPort"), look_up(rule, "toPort"), _protocols(rule)
    if UNKNOWN in (first, last, *protocols):
        return UNKNOWN
    if any(map(_is_every_protocol, protocols)) or has_admin_port(first, last):
        return False
    return not (first == last and first in allowed)


def _protocols(rule: Any) -> list[Any]:
    return [value for key in ("protocol", "ipProtocol") for value in as_list(look_up(rule, key))]


def _is_every_protocol(protocol: Any) -> bool:
    return str(protocol).lower() in ("-1", "-1.0", "all")


@control(
    "aws-vpc-open-egress",
    title="Security groups do not allow all outbound traffic",
    severity="medium",
    types=(GROUP, RULE, EGRESS_RULE),
    remedy="name the protocol and ports of outgoing traffic, or its destinations",
    references=("CKV_AWS_382",),
)
def open_egress(props: Props) -> Findings:
    def check(where: str, rule: Any) -> Findings:
        everything = any_matches(_protocols(rule), _is_every_protocol)
        problem = "must not allow every protocol to the Internet"
        yield from fail_if_all(where, [_names_internet(rule), everything], problem)

    yield from check_each(props, "egress[*]", check)
    if look_up(props, "type") != "ingress":
        yield from check("the rule", props)


@control(
    "aws-vpc-group-description",
    title="Security groups and their rules have a description",
    severity="low",
    types=(GROUP, RULE, INGRESS_RULE, EGRESS_RULE),
    remedy="set description of the group and of each rule",
    references=("CKV_AWS_23", "AWS-0099"),
)
def group_description(props: Props) -> Findings:
    risk = "nobody knows whether it can be removed"
    yield from expect(props, "description", DESCRIBED, risk)
    for direction in ("ingress", "egress"):
        if as_list(look_up(props, direction)):
            yield from expect(props, f"{direction}[*].description", DESCRIBED, risk)


@control(
    "aws-vpc-network-acl",
    title="Network ACLs do not allow SSH and RDP from everywhere",
    severity="medium",
    types=(ACL, ACL_RULE),
    remedy="remove the rule, or name the administrators' addresses as its cidrBlock",
    references=("CKV_AWS_231", "CKV_AWS_232", "FSBP EC2.21", "AWS-0105"),
)
def network_acl(props: Props) -> Findings:
    def check(where: str, rule: Any) -> Findings:
        action = [value for key in ("action", "ruleAction") for value in as_list(look_up(rule, key))]
        allows = any_matches(action, lambda value: str(value).lower() == "allow")
        conditions = [allows, _names_internet(rule), _opens_admin_port(rule)]
        yield from fail_if_all(where, conditions, "must not allow SSH or RDP from the Internet")

    yield from check_each(props, "ingress[*]", check)
    if look_up(props, "egress") is not True:  # if the rule is a separate resource
        yield from check("the rule", props)


def _opens_admin_port(rule: Any) -> Truth:
    first, last, protocols = look_up(rule, "fromPort"), look_up(rule, "toPort"), _protocols(rule)
    if UNKNOWN in (first, last, *protocols):
        return UNKNOWN
    return any(map(_is_every_protocol, protocols)) or has_admin_port(first, last)


@stack_control(
    "aws-vpc-endpoints",
    title="Nodes reach ECR, S3 and STS inside the VPC",
    severity="low",
    types=(VPC,),
    remedy="declare a VpcEndpoint in the VPC for ecr.api, ecr.dkr, s3 and sts",
    references=("FSBP EC2.55", "FSBP EC2.56"),
)
def endpoints(stack: Stack) -> StackFindings:
    declared = of_type(stack, ENDPOINT)
    for vpc in of_type(stack, VPC):
        own = [endpoint for endpoint in declared if endpoint.refers_to(vpc, "vpcId") is not False]
        names = [look_up(endpoint.props, "serviceName") for endpoint in own]
        missing = [service for service in SERVICES if not any(str(name).endswith(f".{service}") for name in names)]
        if missing and UNKNOWN in names:
            yield vpc, Undecided("serviceName")
        elif missing:
            yield vpc, f"the VPC must have endpoints for {', '.join(missing)}"
