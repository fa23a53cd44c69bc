"""Amazon VPC: networks, subnets, gateways, route tables and security groups."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from kernel.values import UNKNOWN, as_list
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.rules import arn_template, find_resources, get_availability_zones
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest, Rule
from rehearsal.simulator.core.rules import (
    matches,
    parse_cidr,
    refuse_when,
    require_any,
    require_unique,
)
from rehearsal.simulator.core.transitions import get_change

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
ROUTE_TABLE, ASSOCIATION = "aws:ec2/routeTable:RouteTable", "aws:ec2/routeTableAssociation:RouteTableAssociation"
_GATEWAY, _NAT_GATEWAY = "aws:ec2/internetGateway:InternetGateway", "aws:ec2/natGateway:NatGateway"

# The simulated account has no default VPC.
# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
_REQUIRE_VPC = require_any(["vpcId"], "VPCIdNotSpecified: No default VPC for this user")

# The provider's own validation; not checked against a live account.
_DESCRIPTION = re.compile(r"[0-9A-Za-z_ .:/()#,@\[\]+=&;{}!$*-]{0,255}")

# The letters of the availability zones, keyed by region, if they are not a, b and c.
ZONE_LETTERS = {
    "ap-northeast-1": "acd",
    "ap-northeast-2": "abcd",
    "ca-central-1": "abd",
    "us-east-1": "abcdef",
    "us-west-2": "abcd",
}


def list_zone_names(region: str) -> list[str]:
    return [f"{region}{letter}" for letter in ZONE_LETTERS.get(region, "abc")]


def get_zone_id(name: str) -> str:
    """A zone's ID, such as euw1-az1 for eu-west-1a. Real IDs differ by account."""
    region, letter = name[:-1].replace("-", ""), name[-1:]
    short = re.sub("north|south|east|west|central", lambda word: word[0][0], region)
    return f"{short}-az{ord(letter) - ord('a') + 1}"


def _check_cidr_size(code: str) -> Rule:
    """EC2 accepts blocks between /16 and /28 for VPCs and subnets.

    Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
    """

    def rule(request: ResourceRequest) -> str | None:
        value = request.get("cidrBlock", UNKNOWN)
        if value is UNKNOWN:
            return None
        block = parse_cidr(value)
        return None if block and 16 <= block.prefixlen <= 28 else f"{code}: The CIDR '{value}' is invalid."

    return rule


# Source: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
def _check_subnet_cidr(request: ResourceRequest) -> str | None:
    block, vpc = parse_cidr(request.get("cidrBlock")), request.state.find(request.get("vpcId", ""))
    vpc_block = parse_cidr(vpc.inputs.get("cidrBlock")) if vpc else None
    if block and vpc_block and not block.subnet_of(vpc_block):
        return f"InvalidSubnet.Range: The CIDR '{block}' is invalid."
    for other in request.state.all(SUBNET):
        other_block = parse_cidr(other.inputs.get("cidrBlock"))
        same_vpc = other.inputs.get("vpcId") == request.get("vpcId")
        if other.id != request.id and same_vpc and block and other_block and block.overlaps(other_block):
            return f"InvalidSubnet.Conflict: The CIDR '{block}' conflicts with another subnet"
    return None


def _get_zone(request: ResourceRequest) -> str:
    """A subnet's zone: its own, or one that EC2 chooses, here the region's first."""
    own = request.get("availabilityZone")
    if own is None and request.get("availabilityZoneId") is not None:
        zones = list_zone_names(request.account["region"])
        own = next((name for name in zones if get_zone_id(name) == request.get("availabilityZoneId")), None)
    return str(own or list_zone_names(request.account["region"])[0])


# Source: https://github.com/crossplane-contrib/provider-aws/issues/1048
def _check_zone(request: ResourceRequest) -> str | None:
    zone = request.get("availabilityZone", UNKNOWN)
    zones = list_zone_names(request.account["region"])
    if zone is UNKNOWN or str(zone).startswith(request.account["region"]):
        return None
    return (
        f"InvalidParameterValue: Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only "
        f"be created in the following availability zones: {', '.join(zones)}."
    )


def _note_zone(request: ResourceRequest) -> str | None:
    zone = request.get("availabilityZone")
    if not isinstance(zone, str) or zone in list_zone_names(zone[:-1]):
        return None
    return f"whether the region has the zone '{zone}'"


# Source: https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-working-with.html
def _require_internet_gateway(request: ResourceRequest) -> str | None:
    subnet = request.state.find(request.get("subnetId", ""))
    vpc = subnet.inputs.get("vpcId") if subnet else None
    if vpc is None or any(gateway.inputs.get("vpcId") == vpc for gateway in request.state.all(_GATEWAY)):
        return None
    return f"Gateway.NotAttached: Network {vpc} has no Internet gateway attached"


# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTransitGatewayVpcAttachment.html
def _require_one_subnet_per_zone(request: ResourceRequest) -> str | None:
    subnets = find_resources(request, "subnetIds")
    if len(get_availability_zones(request, "subnetIds")) == len(subnets):
        return None
    return "DuplicateSubnetsInSameZone: Duplicate Subnets for same AZ"


def _refuse_detachment_in_use(request: ResourceRequest) -> str | None:
    """The provider detaches the gateway first, which EC2 refuses while public addresses depend on it.

    Sources: https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Internet_Gateway.html and, of the message,
    https://github.com/hashicorp/terraform/issues/497
    """
    change = get_change(request, "vpcId")
    if change is None:
        return None
    subnets = {subnet.id for subnet in request.state.all(SUBNET) if subnet.inputs.get("vpcId") == change[0]}
    gateways = (found.inputs for found in request.state.all(_NAT_GATEWAY))
    if not any(own.get("subnetId") in subnets and own.get("connectivityType") != "private" for own in gateways):
        return None
    return (
        f"DependencyViolation: Network {change[0]} has some mapped public address(es). Please unmap those public "
        "address(es) before detaching the gateway."
    )


def _list_group_rules(request: ResourceRequest) -> Iterator[Any]:
    for path in ("ingress", "egress"):
        rules = request.get(path, [])
        yield from rules if isinstance(rules, list) else []


# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
def _check_descriptions(request: ResourceRequest) -> str | None:
    for rule in _list_group_rules(request):
        text = rule.get("description", "") if isinstance(rule, dict) else ""
        if text is not UNKNOWN and not _DESCRIPTION.fullmatch(text):
            return f'"description" doesn\'t comply with restrictions ("{_DESCRIPTION.pattern}"): "{text}"'
    return None


# Inline rules need no peer: the provider silently ignores a rule without one. This is not a check, so its source has
# no scheme: github.com/hashicorp/terraform/issues/20530.
def _check_rule_cidrs(request: ResourceRequest) -> str | None:
    rules = (rule for rule in _list_group_rules(request) if isinstance(rule, dict))
    blocks = (block for rule in rules for block in as_list(rule.get("cidrBlocks")))
    return next(filter(None, map(_find_block_problem, blocks)), None)


def _check_route_cidrs(request: ResourceRequest) -> str | None:
    blocks = (route.get("cidrBlock") for route in as_list(request.get("routes")) if isinstance(route, dict))
    return next(filter(None, map(_find_block_problem, blocks)), None)


# Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/verify/validate.go
def _find_block_problem(block: Any) -> str | None:
    """The provider validates the blocks of routes and rules, before EC2 sees them; the messages are its own."""
    if not isinstance(block, str):
        return None
    try:
        network = ipaddress.IPv4Network(block, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in block:
        return f'"{block}" is not a valid CIDR block: invalid CIDR address: {block}'
    if str(network) != block:
        return f'"{block}" is not a valid IPv4 CIDR block; did you mean "{network}"?'
    return None


MODELS = (
    ResourceModel(
        VPC,
        id="vpc-{hex:17}",
        outputs={
            "arn": arn_template("ec2", "vpc/{id}"),
            "defaultNetworkAclId": lambda request: f"acl-{request.hex(17, 'acl')}",
            "defaultRouteTableId": lambda request: f"rtb-{request.hex(17, 'main')}",
            "defaultSecurityGroupId": lambda request: f"sg-{request.hex(17, 'default')}",
            "mainRouteTableId": lambda request: f"rtb-{request.hex(17, 'main')}",
            "ownerId": "{account}",
        },
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_.go
        replace_on_changes=("cidrBlock",),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_.go
        replace_if={"instanceTenancy": lambda _, new: new not in (None, "default")},
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html
            require_any(
                ["cidrBlock", "ipv4IpamPoolId"],
                "MissingParameter: Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.",
            ),
            _check_cidr_size("InvalidVpc.Range"),
        ),
    ),
    ResourceModel(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        # EC2 creates it with the VPC; declaring it adopts the existing one.
        id=lambda request: str(
            getattr(request.state.find(request.get("vpcId", "")), "outputs", {})["defaultSecurityGroupId"]
        ),
        outputs={
            "arn": arn_template("ec2", "security-group/{id}"),
            "name": lambda _: "default",
            "ownerId": "{account}",
        },
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_default_security_group.go
        replace_on_changes=("vpcId",),
        transitions=UNRESTRICTED,
        rules=(_REQUIRE_VPC, _check_descriptions, _check_rule_cidrs),
    ),
    ResourceModel(
        SUBNET,
        id="subnet-{hex:17}",
        outputs={
            "arn": arn_template("ec2", "subnet/{id}"),
            "availabilityZone": _get_zone,
            "availabilityZoneId": lambda request: get_zone_id(_get_zone(request)),
            "ownerId": "{account}",
        },
        required=("vpcId",),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_subnet.go
        replace_on_changes=("vpcId", "cidrBlock", "availabilityZone"),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html
            require_any(
                ["cidrBlock", "ipv6CidrBlock", "ipv4IpamPoolId", "ipv6IpamPoolId"],
                "MissingParameter: The request must contain the parameter cidrBlock",
            ),
            _check_cidr_size("InvalidSubnet.Range"),
            _check_zone,
        ),
        state_rules=(_check_subnet_cidr,),
        notes=(_note_zone,),
    ),
    ResourceModel(
        _GATEWAY,
        id="igw-{hex:17}",
        outputs={"arn": arn_template("ec2", "internet-gateway/{id}"), "ownerId": "{account}"},
        transitions=(_refuse_detachment_in_use,),
        state_rules=(
            # Source: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
            require_unique(
                ["vpcId"], "Resource.AlreadyAssociated: network {0} already has an internet gateway attached"
            ),
        ),
    ),
    ResourceModel(
        "aws:ec2/eip:Eip",
        id="eipalloc-{hex:17}",
        outputs={
            "allocationId": "{id}",
            "arn": arn_template("ec2", "elastic-ip/{id}"),
            # 203.0.113.0/24 is reserved for documentation (RFC 5737).
            "publicIp": lambda request: f"203.0.113.{int(request.hex(4), 16) % 254 + 1}",
        },
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/ec2_eip.go
        replace_on_changes=("domain",),
        transitions=UNRESTRICTED,
    ),
    ResourceModel(
        _NAT_GATEWAY,
        id="nat-{hex:17}",
        outputs={"networkInterfaceId": lambda request: f"eni-{request.hex(17, 'eni')}"},
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_nat_gateway.go
        replace_on_changes=("subnetId", "allocationId", "connectivityType"),
        transitions=UNRESTRICTED,
        rules=(
            # A regional gateway, which spans the zones of its VPC, is not in a subnet.
            # Source: https://pub.dev/documentation/pulumi_aws/latest/ec2/NatGatewayState/subnetId.html
            refuse_when(
                lambda request: request.get("availabilityMode") != "regional" and request.get("subnetId") is None,
                "MissingParameter: The request must contain the parameter SubnetId",
            ),
        ),
        state_rules=(_require_internet_gateway,),
    ),
    ResourceModel(
        ROUTE_TABLE,
        id="rtb-{hex:17}",
        outputs={"arn": arn_template("ec2", "route-table/{id}"), "ownerId": "{account}"},
        required=("vpcId",),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_route_table.go
        replace_on_changes=("vpcId",),
        transitions=UNRESTRICTED,
        rules=(_check_route_cidrs,),
    ),
    ResourceModel(
        # The gateway itself belongs to the hub, and is not looked up.
        "aws:ec2transitgateway/vpcAttachment:VpcAttachment",
        id="tgw-attach-{hex:17}",
        outputs={
            "arn": arn_template("ec2", "transit-gateway-attachment/{id}"),
            "vpcOwnerId": "{account}",
        },
        required=("transitGatewayId", "vpcId", "subnetIds"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/transitgateway_vpc_attachment.go
        replace_on_changes=("transitGatewayId", "vpcId"),
        transitions=UNRESTRICTED,
        state_rules=(
            _require_one_subnet_per_zone,
            # Source: https://github.com/hashicorp/terraform-provider-aws/issues/25868
            require_unique(
                ["transitGatewayId", "vpcId"],
                "DuplicateTransitGatewayAttachment: {0} has non-deleted Transit Gateway Attachments with same VPC ID",
            ),
        ),
    ),
    ResourceModel(
        ASSOCIATION,
        id="rtbassoc-{hex:17}",
        required=("routeTableId",),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_route_table_association.go
        replace_on_changes=("subnetId", "gatewayId"),
        transitions=UNRESTRICTED,
        state_rules=(
            # Source: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
            require_unique(
                ["subnetId"],
                "Resource.AlreadyAssociated: the specified association for subnet {0} conflicts with "
                "an existing association",
            ),
        ),
    ),
    ResourceModel(
        "aws:ec2/securityGroup:SecurityGroup",
        id="sg-{hex:17}",
        name_path="name",
        outputs={"arn": arn_template("ec2", "security-group/{id}"), "ownerId": "{account}"},
        defaults=auto_named(),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_security_group.go
        replace_on_changes=("vpcId", "name", "description"),
        transitions=UNRESTRICTED,
        rules=(
            _REQUIRE_VPC,
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
            matches(
                "name", r"(?!sg-).{1,255}", "InvalidParameterValue: invalid value for name (cannot begin with sg-)"
            ),
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
            matches(
                "description",
                _DESCRIPTION.pattern,
                "InvalidParameterValue: Value ({value}) for parameter GroupDescription is invalid. Valid descriptions "
                "are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{{}}!$*",
            ),
            _check_descriptions,
            _check_rule_cidrs,
        ),
        state_rules=(
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
            require_unique(
                ["name", "vpcId"],
                "InvalidGroup.Duplicate: The security group '{0}' already exists for VPC '{1}'",
            ),
        ),
    ),
)
