"""Amazon VPC endpoints, and the private DNS names of interface endpoints."""

from __future__ import annotations

import re

from kernel.values import UNKNOWN
from rehearsal.simulator.aws.rules import arn_template, find_resources
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import describe_unlisted, one_of, refuse_when, require_any

_ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"

# Placeholders for the address ranges of gateway endpoints, the same for every region, in the format that AWS publishes
# (https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-ranges.html). Do not copy them into real rules.
_GATEWAY_CIDRS = {
    "s3": ["3.5.64.0/21", "52.92.0.0/17", "52.218.0.0/17"],
    "dynamodb": ["52.94.24.0/23", "52.94.26.0/23", "52.119.240.0/21"],
}

# The services with interface endpoints that are modelled; AWS has more.
_SERVICES = frozenset(
    "autoscaling ec2 ecr.api ecr.dkr eks eks-auth elasticloadbalancing kms logs monitoring s3 sagemaker.api "
    "sagemaker.runtime secretsmanager sqs ssm sts".split()
)


# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpcEndpoint.html
_TYPES = ("Gateway", "GatewayLoadBalancer", "Interface", "Resource", "ServiceNetwork")
_REGIONAL = re.compile(r"com\.amazonaws\.[a-z]{2}(-[a-z]+)+-\d\.")


# Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/website/docs/r/vpc_endpoint.html.markdown
_TARGETS = ("serviceName", "resourceConfigurationArn", "serviceNetworkArn")


def _has_several_targets(request: ResourceRequest) -> bool:
    return sum(request.get(path) not in (None, UNKNOWN) for path in _TARGETS) > 1


def _get_service(request: ResourceRequest) -> str:
    return str(request.get("serviceName", "")).removeprefix(f"com.amazonaws.{request.account['region']}.")


def _check_service(request: ResourceRequest) -> str | None:
    if request.get("serviceName") is UNKNOWN:
        return None
    service, is_gateway = _get_service(request), request.get("vpcEndpointType", "Gateway") == "Gateway"
    is_elsewhere = _REGIONAL.match(service) and request.get("serviceRegion") is None
    if is_elsewhere and _REGIONAL.sub("", service) in _SERVICES:
        return f"InvalidServiceName: The Vpc Endpoint Service '{request.get('serviceName')}' does not exist"
    if is_gateway and service in _SERVICES - _GATEWAY_CIDRS.keys():
        return "InvalidParameter: Endpoint type (Gateway) does not match available service types ([Interface])."
    return None


def _note_service(request: ResourceRequest) -> str | None:
    """For services that are not in the lists above, and those that other parties offer (com.amazonaws.vpce...)."""
    name, known = request.get("serviceName"), _SERVICES | _GATEWAY_CIDRS.keys()
    if not isinstance(name, str) or _REGIONAL.sub("", name) in known:
        return None
    return describe_unlisted("whether AWS has the endpoint service", _REGIONAL.sub("", name), known)


# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpcEndpoint.html (PrivateDnsEnabled); of a
# second endpoint's message: https://github.com/hashicorp/terraform-provider-aws/issues/17535
def _check_private_dns(request: ResourceRequest) -> str | None:
    vpc = request.state.find(request.get("vpcId", ""))
    if not request.get("privateDnsEnabled") or vpc is None:
        return None
    # The defaults: DNS support is on, DNS hostnames are off.
    if not (vpc.inputs.get("enableDnsHostnames", False) and vpc.inputs.get("enableDnsSupport", True)):
        return (
            "InvalidParameter: Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC "
            f"attributes set to true for {vpc.id}"
        )
    for other in request.state.all(_ENDPOINT):
        is_same = all(
            other.inputs.get(key) == request.get(key) for key in ("vpcId", "serviceName", "privateDnsEnabled")
        )
        if is_same and other.id != request.id:
            domain = f"{_get_service(request)}.{request.account['region']}.amazonaws.com"
            return (
                "InvalidParameter: private-dns-enabled cannot be set because there is already a conflicting DNS "
                f"domain for {domain} in the VPC {vpc.id}"
            )
    return None


# Source of the message: https://github.com/terraform-aws-modules/terraform-aws-vpc/issues/583
def _check_subnet_zones(request: ResourceRequest) -> str | None:
    seen: set[str] = set()
    for subnet in find_resources(request, "subnetIds"):
        zone = str(subnet.outputs.get("availabilityZone"))
        if zone in seen:
            return (
                "DuplicateSubnetsInSameZone: Found another VPC endpoint subnet in the availability zone of "
                f"{subnet.id}. VPC endpoint subnets should be in different availability zones "
                "supported by the VPC endpoint service."
            )
        seen.add(zone)
    return None


def _list_gateway_cidrs(request: ResourceRequest) -> list[str]:
    is_gateway = request.get("vpcEndpointType", "Gateway") == "Gateway"
    return _GATEWAY_CIDRS.get(_get_service(request), []) if is_gateway else []


def _build_dns_entries(request: ResourceRequest) -> list[dict[str, str]]:
    if request.get("vpcEndpointType") != "Interface":
        return []
    host = f"{_get_service(request)}.{request.account['region']}"
    return [{"dnsName": f"{request.id}-{request.hex(8)}.{host}.vpce.amazonaws.com", "hostedZoneId": "Z38GZ743OKFT7T"}]


MODELS = (
    ResourceModel(
        _ENDPOINT,
        id="vpce-{hex:17}",
        outputs={
            "arn": arn_template("ec2", "vpc-endpoint/{id}"),
            "cidrBlocks": _list_gateway_cidrs,
            "dnsEntries": _build_dns_entries,
            "ownerId": "{account}",
            "prefixListId": lambda request: f"pl-{request.hex(8)}" if _list_gateway_cidrs(request) else "",
            "state": lambda _: "available",
        },
        required=("vpcId",),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_endpoint.go
        replace_on_changes=("vpcId", "serviceName", "vpcEndpointType"),
        transitions=UNRESTRICTED,
        rules=(
            require_any(_TARGETS, "MissingParameter: The request must contain the parameter ServiceName"),
            # The message is not AWS's own.
            refuse_when(_has_several_targets, f"InvalidParameter: Only one of {', '.join(_TARGETS)} can be set."),
            one_of("vpcEndpointType", _TYPES, f"expected vpc_endpoint_type to be one of {list(_TYPES)}, got {{value}}"),
            _check_service,
        ),
        state_rules=(_check_private_dns, _check_subnet_zones),
        notes=(_note_service,),
    ),
)
