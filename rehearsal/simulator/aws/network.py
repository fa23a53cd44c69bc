"""Amazon VPC: networks, subnets, ways out and endpoints."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from rehearsal.simulator.aws.rules import arn, each, found, unique
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest, Rule, matches, one_of
from rehearsal.simulator.core.values import UNKNOWN

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
ROUTE_TABLE, ASSOCIATION = "aws:ec2/routeTable:RouteTable", "aws:ec2/routeTableAssociation:RouteTableAssociation"
_GATEWAY, _ENDPOINT = "aws:ec2/internetGateway:InternetGateway", "aws:ec2/vpcEndpoint:VpcEndpoint"

# What gateway endpoints lead to: stand-ins, the same for every region, in the format of the ranges that AWS publishes
# for each (https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-ranges.html). Do not copy them into a real rule.
_RANGES = {
    "s3": ["3.5.64.0/21", "52.92.0.0/17", "52.218.0.0/17"],
    "dynamodb": ["52.94.24.0/23", "52.94.26.0/23", "52.119.240.0/21"],
}
# Services of interface endpoints that a platform like this one can ask for.
_SERVICES = frozenset(
    "autoscaling ec2 ecr.api ecr.dkr eks eks-auth elasticloadbalancing kms logs monitoring s3 sagemaker.api "
    "sagemaker.runtime secretsmanager sqs ssm sts".split()
)
# From memory of the provider's own validation; not checked against a live account.
_DESCRIPTION = re.compile(r"[0-9A-Za-z_ .:/()#,@\[\]+=&;{}!$*-]{0,255}")


# The letters of the zones where they are not a, b and c.
_ZONES = {
    "ap-northeast-1": "acd",
    "ap-northeast-2": "abcd",
    "ca-central-1": "abd",
    "us-east-1": "abcdef",
    "us-west-2": "abcd",
}


def zone_names(region: str) -> list[str]:
    return [f"{region}{letter}" for letter in _ZONES.get(region, "abc")]


def zone_id(name: str) -> str:
    """Zone IDs abbreviate the region: eu-west-1a may be euw1-az1."""
    region, letter = name[:-1].replace("-", ""), name[-1:]
    short = re.sub("north|south|east|west|central", lambda word: word[0][0], region)
    return f"{short}-az{ord(letter) - ord('a') + 1}"


def _block(value: Any) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(value)
    except ValueError:
        return None


def _sized(code: str) -> Rule:
    """EC2 takes blocks between /16 and /28 for networks and subnets."""

    def rule(request: ResourceRequest) -> str | None:
        value = request.get("cidrBlock", UNKNOWN)
        if value is UNKNOWN:
            return None
        block = _block(value)
        return None if block and 16 <= block.prefixlen <= 28 else f"{code}: The CIDR '{value}' is invalid."

    return rule


def _subnet_fits(request: ResourceRequest) -> str | None:
    block, vpc = _block(request.get("cidrBlock")), request.state.find(request.get("vpcId", ""))
    around = _block(vpc.inputs.get("cidrBlock")) if vpc else None
    if block and around and not block.subnet_of(around):
        return f"InvalidSubnet.Range: The CIDR '{block}' is invalid."
    for other in request.state.all(SUBNET):
        taken = _block(other.inputs.get("cidrBlock"))
        same_vpc = other.inputs.get("vpcId") == request.get("vpcId")
        if other.id != request.id and same_vpc and block and taken and block.overlaps(taken):
            return f"InvalidSubnet.Conflict: The CIDR '{block}' conflicts with another subnet"
    return None


def _zone_is_ours(request: ResourceRequest) -> str | None:
    zone = request.get("availabilityZone", UNKNOWN)
    ours = zone_names(request.account["region"])
    if zone is UNKNOWN or zone in ours:
        return None
    return (
        f"InvalidParameterValue: Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only "
        f"be created in the following availability zones: {', '.join(ours)}."
    )


def _has_internet_gateway(request: ResourceRequest) -> str | None:
    subnet = request.state.find(request.get("subnetId", ""))
    vpc = subnet.inputs.get("vpcId") if subnet else None
    if vpc is None or any(gateway.inputs.get("vpcId") == vpc for gateway in request.state.all(_GATEWAY)):
        return None
    return f"Gateway.NotAttached: Network {vpc} has no Internet gateway attached"


def _service(request: ResourceRequest) -> str:
    return str(request.get("serviceName", "")).removeprefix(f"com.amazonaws.{request.account['region']}.")


def _service_exists(request: ResourceRequest) -> str | None:
    if request.get("serviceName") is UNKNOWN:
        return None
    service, gateway = _service(request), request.get("vpcEndpointType", "Gateway") == "Gateway"
    if service not in (_SERVICES | _RANGES.keys()):
        return f"InvalidServiceName: The Vpc Endpoint Service '{request.get('serviceName')}' does not exist"
    if gateway and service not in _RANGES:
        return "InvalidParameter: Endpoint type (Gateway) does not match available service types ([Interface])."
    return None


def _private_dns(request: ResourceRequest) -> str | None:
    vpc = request.state.find(request.get("vpcId", ""))
    if not request.get("privateDnsEnabled") or vpc is None:
        return None
    # EC2 supports DNS unless told not to, and names hosts only when told to.
    if not (vpc.inputs.get("enableDnsHostnames", False) and vpc.inputs.get("enableDnsSupport", True)):
        return (
            "InvalidParameter: Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC "
            f"attributes set to true for {vpc.id}"
        )
    for other in request.state.all(_ENDPOINT):
        same = all(other.inputs.get(key) == request.get(key) for key in ("vpcId", "serviceName", "privateDnsEnabled"))
        if same and other.id != request.id:
            domain = f"{_service(request)}.{request.account['region']}.amazonaws.com"
            return (
                "InvalidParameter: private-dns-enabled cannot be set because there is already a conflicting DNS "
                f"domain for {domain} in the VPC {vpc.id}"
            )
    return None


def _one_subnet_per_zone(request: ResourceRequest) -> str | None:
    seen: set[str] = set()
    for subnet in found(request, "subnetIds"):
        zone = str(subnet.inputs.get("availabilityZone"))
        if zone in seen:
            return (
                "DuplicateSubnetsInSameZone: Found another VPC endpoint subnet in the availability zone of "
                f"{subnet.id}. VPC endpoint subnets should be in different availability zones"
            )
        seen.add(zone)
    return None


def _ranges(request: ResourceRequest) -> list[str]:
    gateway = request.get("vpcEndpointType", "Gateway") == "Gateway"
    return _RANGES.get(_service(request), []) if gateway else []


def _dns_entries(request: ResourceRequest) -> list[dict[str, str]]:
    if request.get("vpcEndpointType") != "Interface":
        return []
    host = f"{_service(request)}.{request.account['region']}"
    return [{"dnsName": f"{request.id}-{request.hex(8)}.{host}.vpce.amazonaws.com", "hostedZoneId": "Z38GZ743OKFT7T"}]


def _rules_of(request: ResourceRequest) -> Iterator[Any]:
    for path in ("ingress", "egress"):
        rules = request.get(path, [])
        yield from rules if isinstance(rules, list) else []


def _described(request: ResourceRequest) -> str | None:
    for rule in _rules_of(request):
        text = rule.get("description", "") if isinstance(rule, dict) else ""
        if text is not UNKNOWN and not _DESCRIPTION.fullmatch(text):
            return f'"description" doesn\'t comply with restrictions ("{_DESCRIPTION.pattern}"): "{text}"'
    return None


def _rules_have_peers(request: ResourceRequest) -> str | None:
    peers = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups", "self")
    for rule in _rules_of(request):
        if isinstance(rule, dict) and not any(rule.get(peer) for peer in peers):
            return "One of ['cidr_blocks', 'ipv6_cidr_blocks', 'self', 'security_groups', 'prefix_list_ids'] must be set to create an AWS Security Group Rule"  # noqa: E501 the provider's words
    return None


def _blocks_are_cidrs(request: ResourceRequest) -> str | None:
    for rule in _rules_of(request):
        blocks = rule.get("cidrBlocks") if isinstance(rule, dict) else None
        for block in blocks if isinstance(blocks, list) else []:
            if block is not UNKNOWN and _block(block) is None:
                return f"InvalidParameterValue: CIDR block {block} is malformed"
    return None


MODELS = (
    ResourceModel(
        VPC,
        id="vpc-{hex:17}",
        outputs={
            "arn": arn("ec2", "vpc/{id}"),
            "defaultNetworkAclId": lambda request: f"acl-{request.hex(17, 'acl')}",
            "defaultRouteTableId": lambda request: f"rtb-{request.hex(17, 'main')}",
            "defaultSecurityGroupId": lambda request: f"sg-{request.hex(17, 'default')}",
            "mainRouteTableId": lambda request: f"rtb-{request.hex(17, 'main')}",
            "ownerId": "{account}",
        },
        replace_on_changes=("cidrBlock", "instanceTenancy"),
        required=("cidrBlock",),
        rules=(_sized("InvalidVpc.Range"),),
    ),
    ResourceModel(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        # EC2 makes it with the network; declaring it takes it over.
        id=lambda request: str(
            getattr(request.state.find(request.get("vpcId", "")), "outputs", {})["defaultSecurityGroupId"]
        ),
        outputs={"arn": arn("ec2", "security-group/{id}"), "name": lambda _: "default", "ownerId": "{account}"},
        replace_on_changes=("vpcId",),
        required=("vpcId",),
        rules=(_described, _blocks_are_cidrs),
    ),
    ResourceModel(
        SUBNET,
        id="subnet-{hex:17}",
        outputs={
            "arn": arn("ec2", "subnet/{id}"),
            "availabilityZoneId": lambda request: zone_id(str(request.get("availabilityZone"))),
            "ownerId": "{account}",
        },
        required=("vpcId", "cidrBlock"),
        replace_on_changes=("vpcId", "cidrBlock", "availabilityZone"),
        rules=(_sized("InvalidSubnet.Range"), _zone_is_ours),
        state_rules=(_subnet_fits,),
    ),
    ResourceModel(
        _GATEWAY,
        id="igw-{hex:17}",
        outputs={"arn": arn("ec2", "internet-gateway/{id}"), "ownerId": "{account}"},
        state_rules=(
            unique(["vpcId"], "Resource.AlreadyAssociated: network {0} already has an internet gateway attached"),
        ),
    ),
    ResourceModel(
        "aws:ec2/eip:Eip",
        id="eipalloc-{hex:17}",
        outputs={
            "allocationId": "{id}",
            "arn": arn("ec2", "elastic-ip/{id}"),
            # 203.0.113.0/24 is set aside for examples (RFC 5737).
            "publicIp": lambda request: f"203.0.113.{int(request.hex(4), 16) % 254 + 1}",
        },
        replace_on_changes=("domain",),
    ),
    ResourceModel(
        "aws:ec2/natGateway:NatGateway",
        id="nat-{hex:17}",
        outputs={"networkInterfaceId": lambda request: f"eni-{request.hex(17, 'eni')}"},
        required=("subnetId",),
        replace_on_changes=("subnetId", "allocationId", "connectivityType"),
        state_rules=(_has_internet_gateway,),
    ),
    ResourceModel(
        ROUTE_TABLE,
        id="rtb-{hex:17}",
        outputs={"arn": arn("ec2", "route-table/{id}"), "ownerId": "{account}"},
        required=("vpcId",),
        replace_on_changes=("vpcId",),
        rules=(
            each(
                "routes",
                lambda route: isinstance(route.get("cidrBlock"), str) and _block(route["cidrBlock"]) is None,
                "InvalidParameterValue: Value ({value}) for parameter destinationCidrBlock is invalid. "
                "This is not a valid CIDR block.",
            ),
        ),
    ),
    ResourceModel(
        ASSOCIATION,
        id="rtbassoc-{hex:17}",
        required=("routeTableId",),
        replace_on_changes=("subnetId", "gatewayId"),
        state_rules=(
            unique(
                ["subnetId"],
                "Resource.AlreadyAssociated: the specified association for subnet {0} conflicts with "
                "an existing association",
            ),
        ),
    ),
    ResourceModel(
        _ENDPOINT,
        id="vpce-{hex:17}",
        outputs={
            "arn": arn("ec2", "vpc-endpoint/{id}"),
            "cidrBlocks": _ranges,
            "dnsEntries": _dns_entries,
            "ownerId": "{account}",
            "prefixListId": lambda request: f"pl-{request.hex(8)}" if _ranges(request) else "",
            "state": lambda _: "available",
        },
        required=("vpcId", "serviceName"),
        replace_on_changes=("vpcId", "serviceName", "vpcEndpointType"),
        rules=(
            one_of("vpcEndpointType", ("Gateway", "Interface"), "expected vpc_endpoint_type to be valid, got {value}"),
            _service_exists,
        ),
        state_rules=(_private_dns, _one_subnet_per_zone),
    ),
    ResourceModel(
        "aws:ec2/securityGroup:SecurityGroup",
        id="sg-{hex:17}",
        name_path="name",
        outputs={"arn": arn("ec2", "security-group/{id}"), "ownerId": "{account}"},
        required=("vpcId", "name"),
        replace_on_changes=("vpcId", "name", "description"),
        rules=(
            matches(
                "name", r"(?!sg-).{1,255}", "InvalidParameterValue: invalid value for name (cannot begin with sg-)"
            ),
            matches(
                "description",
                _DESCRIPTION.pattern,
                "InvalidParameterValue: Value ({value}) for parameter GroupDescription is invalid. Valid descriptions "
                "are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{{}}!$*",
            ),
            _described,
            _rules_have_peers,
            _blocks_are_cidrs,
        ),
        state_rules=(
            unique(
                ["name", "vpcId"],
                "InvalidGroup.Duplicate: The security group '{0}' already exists for VPC '{1}'",
            ),
        ),
    ),
)
