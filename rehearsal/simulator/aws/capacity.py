"""The quotas of an account on AWS, and the machine sizes that a zone does not have in stock.

If a comment does not name the source of a message, only its code is the service's:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kernel import service_quotas as quotas
from kernel.service_quotas import count_instance_vcpus, find_instance_quota
from kernel.values import UNKNOWN, as_list
from rehearsal.simulator.aws.rules import find_resources
from rehearsal.simulator.core.quotas import Inputs, by, of_unprepared_account, stay_within
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest, Rule, StateReader

# Source: https://github.com/aws/amazon-cloudwatch-agent-test/pull/256
_TOO_MANY_VCPUS = (
    "AsgInstanceLaunchFailures: Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU "
    "capacity than your current vCPU limit of {limit} allows for the instance bucket that the specified instance type "
    "belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit. "
    "Launching EC2 instance failed. (the simulation knows the cause: {total} vCPUs in total; preflight requires a "
    "higher quota)"
)


def _get_zone(inputs: Inputs, state: StateReader) -> Any:
    subnet = state.find(str(inputs.get("subnetId")))
    return subnet.outputs.get("availabilityZone") if subnet else None


def _count_interfaces(inputs: Inputs) -> int:
    return int(inputs.get("vpcEndpointType") in ("Interface", "GatewayLoadBalancer"))


def _count_nodes(inputs: Inputs) -> int:
    scaling = inputs.get("scalingConfig", {})
    sizes = (scaling.get("desiredSize"), scaling.get("minSize"))
    return next((size for size in sizes if isinstance(size, int)), 0)


def _count_vcpus(quota: quotas.ServiceQuota, inputs: Inputs) -> int:
    size = next(iter(as_list(inputs.get("instanceTypes"))), "")
    return _count_nodes(inputs) * count_instance_vcpus(size) if find_instance_quota(size) == quota else 0


def _limit_instances(quota: quotas.ServiceQuota) -> Rule:
    rule = stay_within(
        quota, _TOO_MANY_VCPUS, counted_in=by("region"), measure=lambda inputs: _count_vcpus(quota, inputs)
    )
    return of_unprepared_account(rule)


def _limit_rules_of_a_group(request: ResourceRequest) -> str | None:
    for direction in ("ingress", "egress"):
        counts = (
            max(1, sum(len(as_list(rule.get(kind))) for kind in ("cidrBlocks", "prefixListIds", "securityGroups")))
            for rule in as_list(request.get(direction))
            if isinstance(rule, Mapping)
        )
        if sum(counts) > quotas.RULES_OF_A_GROUP.limit:
            return (
                "RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached. "
                f"(the simulation knows the direction: {direction})"
            )
    return None


def _limit_nodes(request: ResourceRequest) -> str | None:
    most = request.get("scalingConfig.maxSize", 0)
    if most is UNKNOWN or most <= quotas.NODES_OF_A_GROUP.limit:
        return None
    return (
        "InvalidParameterException: Nodegroup capacity exceeds the limit of "
        f"{quotas.NODES_OF_A_GROUP.limit} nodes per node group"
    )


def _require_machines(request: ResourceRequest) -> str | None:
    """A new node group gets an instance in each zone of its subnets: of the first of its types that the zone has.

    For the message, and that one zone fails the whole group: https://github.com/aws/containers-roadmap/issues/2204 and
    https://github.com/eksctl-io/eksctl/issues/4732
    """
    sizes = [size for size in as_list(request.get("instanceTypes")) if isinstance(size, str)]
    if request.previous is not None or not sizes or not _count_nodes(request.inputs):
        return None
    lacking, others = _split_zones(request, sizes)
    if not lacking:
        return None
    elsewhere = f" or choosing {', '.join(others)}" if others else ""
    return (
        "AsgInstanceLaunchFailures: Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently "
        f"do not have sufficient {sizes[-1]} capacity in the Availability Zone you requested ({lacking[0]}). Our "
        f"system will be working on provisioning additional capacity. You can currently get {sizes[-1]} capacity by "
        f"not specifying an Availability Zone in your request{elsewhere}. Launching EC2 instance failed."
    )


def _split_zones(request: ResourceRequest, sizes: Sequence[str]) -> tuple[list[str], list[str]]:
    """The zones of the request's subnets in which all sizes are sold out, and the other zones."""
    region = str(request.account.get("region"))
    zones = sorted({str(subnet.outputs.get("availabilityZone")) for subnet in find_resources(request, "subnetIds")})
    lacking = [zone for zone in zones if all(request.circumstances.is_sold_out(size, region, zone) for size in sizes)]
    return lacking, [zone for zone in zones if zone not in lacking]


def _require_database_machines(request: ResourceRequest) -> str | None:
    """A new database, or one with a new class, needs enough zones that have machines.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Troubleshooting.html#CHAP_Troubleshooting.Capacity
    """
    size = request.get("instanceClass")
    if not isinstance(size, str) or request.get_previous("instanceClass") == size:
        return None
    groups = request.state.all("aws:rds/subnetGroup:SubnetGroup")
    group = next((each for each in groups if each.id == request.get("dbSubnetGroupName")), None)
    subnets = [request.state.find(str(id_)) for id_ in as_list(group.inputs.get("subnetIds"))] if group else []
    zones = {str(subnet.outputs.get("availabilityZone")) for subnet in subnets if subnet}
    region = str(request.account.get("region"))
    open_zones = [zone for zone in zones if not request.circumstances.is_sold_out(size, region, zone)]
    if not zones or len(open_zones) >= (2 if request.get("multiAz") is True else 1):
        return None
    return (
        "InsufficientDBInstanceCapacity: Cannot create a database instance because there are no availability zones "
        f"with sufficient capacity for: VPC and {size} : {request.get('engine')}. Please try the request again at a "
        "later time."
    )


def _limit_inline_policies(request: ResourceRequest) -> str | None:
    """All inline policies of a role together, not counting white space."""
    role = request.get("role")
    others = (each for each in request.state.all(request.type) if each.id != request.id)
    texts = [request.get("policy"), *(each.inputs.get("policy") for each in others if each.inputs.get("role") == role)]
    size = sum(len("".join(text.split())) for text in texts if isinstance(text, str))
    if size <= quotas.INLINE_POLICIES_SIZE.limit:
        return None
    return f"LimitExceeded: Maximum policy size of {quotas.INLINE_POLICIES_SIZE.limit} bytes exceeded for role {role}"


RULES: Mapping[str, Sequence[Rule]] = {
    "aws:ec2/vpc:Vpc": [
        stay_within(
            quotas.VPCS, "VpcLimitExceeded: The maximum number of VPCs has been reached.", counted_in=by("region")
        )
    ],
    "aws:ec2/internetGateway:InternetGateway": [
        stay_within(
            quotas.INTERNET_GATEWAYS,
            "InternetGatewayLimitExceeded: The maximum number of internet gateways has been reached.",
            counted_in=by("region"),
        )
    ],
    "aws:ec2/eip:Eip": [
        stay_within(
            quotas.ADDRESSES,
            "AddressLimitExceeded: The maximum number of addresses has been reached.",
            counted_in=by("region"),
        )
    ],
    "aws:ec2/natGateway:NatGateway": [
        stay_within(
            quotas.NAT_GATEWAYS,
            "NatGatewayLimitExceeded: Performing this operation would exceed the limit of {limit} NAT gateways",
            counted_in=_get_zone,
        )
    ],
    "aws:ec2/subnet:Subnet": [
        stay_within(
            quotas.SUBNETS,
            "SubnetLimitExceeded: The maximum number of subnets has been reached.",
            counted_in=by("vpcId"),
        )
    ],
    "aws:ec2/vpcEndpoint:VpcEndpoint": [
        stay_within(
            quotas.INTERFACE_ENDPOINTS,
            "VpcEndpointLimitExceeded: The maximum number of VPC endpoints has been reached.",
            counted_in=by("vpcId"),
            measure=_count_interfaces,
        )
    ],
    "aws:ec2/securityGroup:SecurityGroup": [_limit_rules_of_a_group],
    "aws:eks/cluster:Cluster": [
        stay_within(
            quotas.CLUSTERS,
            "ResourceLimitExceededException: You have reached the limit of {limit} clusters.",
            counted_in=by("region"),
        )
    ],
    "aws:eks/nodeGroup:NodeGroup": [
        stay_within(
            quotas.NODE_GROUPS,
            "ResourceLimitExceededException: You have reached the limit of {limit} node groups.",
            counted_in=by("region", "clusterName"),
        ),
        _limit_nodes,
        *map(_limit_instances, (quotas.STANDARD_INSTANCES, quotas.GRAPHICS_INSTANCES, quotas.ACCELERATED_INSTANCES)),
        _require_machines,
    ],
    "aws:iam/role:Role": [
        stay_within(quotas.ROLES, "LimitExceeded: Cannot exceed quota for RolesPerAccount: {limit}"),
    ],
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": [
        stay_within(
            quotas.POLICIES_OF_A_ROLE,
            "LimitExceeded: Cannot exceed quota for PoliciesPerRole: {limit}",
            counted_in=by("role"),
        )
    ],
    "aws:iam/rolePolicy:RolePolicy": [_limit_inline_policies],
    "aws:cloudtrail/trail:Trail": [
        stay_within(
            quotas.TRAILS,
            "MaximumNumberOfTrailsExceededException: User already has {limit} trails in the region.",
            counted_in=by("region"),
        )
    ],
    "aws:cloudwatch/eventTarget:EventTarget": [
        stay_within(
            quotas.TARGETS_OF_A_RULE,
            "LimitExceededException: The requested resource exceeds the maximum number allowed.",
            counted_in=by("region", "rule"),
        )
    ],
    "aws:rds/instance:Instance": [
        stay_within(
            quotas.DATABASES,
            "InstanceQuotaExceeded: Cannot create more than {limit} instances",
            counted_in=by("region"),
        ),
        _require_database_machines,
    ],
}


def limit(model: ResourceModel) -> ResourceModel:
    """A model with the rules for its quotas and for the machines that it needs in a region."""
    return replace(model, state_rules=(*model.state_rules, *RULES.get(model.type, ())))
