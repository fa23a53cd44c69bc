"""Amazon EKS: the cluster, its add-ons, its nodes and its pods' identities."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from rehearsal.simulator.aws.network import ASSOCIATION, ROUTE_TABLE
from rehearsal.simulator.aws.rules import (
    allows,
    arn,
    each,
    exists,
    found,
    is_json,
    items,
    key_allows,
    physical,
    trusted_by,
    trusts,
    unique,
    unused,
    zones,
)
from rehearsal.simulator.aws.security import ATTACHMENT
from rehearsal.simulator.core.resource_model import Resource, ResourceModel, ResourceRequest, matches, one_of
from rehearsal.simulator.core.values import UNKNOWN

_CLUSTER, _NODE_GROUP, _ADDON = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon"
_ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
_NO_CLUSTER = exists("clusterName", _CLUSTER, "ResourceNotFoundException: No cluster found for name: {value}.")

# From memory of what was supported when this was written; AWS adds and retires some every few months:
# https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
_VERSIONS = ("1.30", "1.31", "1.32", "1.33", "1.34")
_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_ADDONS = (
    "amazon-cloudwatch-observability",
    "aws-ebs-csi-driver",
    "aws-efs-csi-driver",
    "coredns",
    "eks-pod-identity-agent",
    "kube-proxy",
    "metrics-server",
    "snapshot-controller",
    "vpc-cni",
)
# Add-ons that are Deployments: they do not become healthy before there are nodes.
_NEED_NODES = ("aws-ebs-csi-driver", "coredns", "metrics-server", "snapshot-controller")
_PRIVATE = [ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
_AUTOSCALING = "arn:aws:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"


def _is_private(value: Any) -> bool:
    try:
        return any(ipaddress.IPv4Network(value).subnet_of(block) for block in _PRIVATE)
    except ValueError:
        return False


def _api_can_be_reached(request: ResourceRequest) -> str | None:
    private, public = (
        request.get("vpcConfig.endpointPrivateAccess", False),
        request.get("vpcConfig.endpointPublicAccess", True),
    )
    if private is False and public is False:
        return "InvalidParameterException: Private and public endpoint access cannot be false"
    return None


def _services_are_private(request: ResourceRequest) -> str | None:
    value = request.get("kubernetesNetworkConfig.serviceIpv4Cidr", UNKNOWN)
    if value is UNKNOWN or (_is_private(value) and 12 <= ipaddress.IPv4Network(value).prefixlen <= 24):
        return None
    return (
        "InvalidParameterException: the service CIDR must be within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 and "
        f"between /24 and /12, got {value}"
    )


def _two_zones(request: ResourceRequest) -> str | None:
    enough = len(zones(request, "vpcConfig.subnetIds")) >= 2
    return None if enough else "InvalidParameterException: Subnets specified must be in at least two different AZs"


def _services_beside_network(request: ResourceRequest) -> str | None:
    value = request.get("kubernetesNetworkConfig.serviceIpv4Cidr")
    for subnet in found(request, "vpcConfig.subnetIds"):
        vpc = request.state.find(str(subnet.inputs.get("vpcId")))
        block = vpc.inputs.get("cidrBlock") if vpc else None
        if value and block and ipaddress.IPv4Network(value).overlaps(ipaddress.IPv4Network(block)):
            return f"InvalidParameterException: the service CIDR {value} overlaps the VPC's CIDR {block}"
    return None


def _bounds_are_ordered(request: ResourceRequest) -> str | None:
    low, high = request.get("scalingConfig.minSize", UNKNOWN), request.get("scalingConfig.maxSize", UNKNOWN)
    desired = request.get("scalingConfig.desiredSize", UNKNOWN)
    if UNKNOWN in (low, high, desired):
        return None
    if low > desired:
        return f"InvalidParameterException: Minimum capacity {low} can't be greater than desired size {desired}"
    if desired > high:
        return f"InvalidParameterException: desired capacity {desired} can't be greater than max size {high}"
    return None


def _sizes_fit_image(request: ResourceRequest) -> str | None:
    """A `g` after the generation, as in m7g, is an Arm processor."""
    image, sizes = request.get("amiType", UNKNOWN), request.get("instanceTypes", UNKNOWN)
    if image is UNKNOWN or sizes is UNKNOWN:
        return None
    arm = "ARM" in image
    wrong = [size for size in sizes if size is not UNKNOWN and bool(re.match(r"[a-z]+\d+g", size)) != arm]
    return (
        f"InvalidParameterException: [{', '.join(wrong)}] is not a valid instance type for requested amiType {image}"
        if wrong
        else None
    )


def _nodes_join(request: ResourceRequest) -> str | None:
    """What keeps instances from becoming nodes; the real cloud finds out after twenty minutes."""
    role = request.state.find(str(request.get("nodeRoleArn")))
    if role is not None and not _has_policy(request, role, "AmazonEKSWorkerNodePolicy"):
        return "NodeCreationFailure: Instances failed to join the kubernetes cluster"
    if not all(_has_way_out(request, subnet) for subnet in found(request, "subnetIds")):
        return "NodeCreationFailure: Instances failed to join the kubernetes cluster"
    cluster = next((one for one in request.state.all(_CLUSTER) if one.id == request.get("clusterName")), None)
    bare = cluster is not None and cluster.inputs.get("bootstrapSelfManagedAddons") is False
    if bare and not any(addon.inputs.get("addonName") == "vpc-cni" for addon in _addons(request)):
        return "NodeCreationFailure: Unhealthy nodes in the kubernetes cluster"
    return None


def _has_policy(request: ResourceRequest, role: Resource, policy: str) -> bool:
    attached = (one.inputs for one in request.state.all(ATTACHMENT) if one.inputs.get("role") == role.id)
    return any(str(one.get("policyArn")).endswith(f"/{policy}") for one in attached)


def _has_way_out(request: ResourceRequest, subnet: Resource) -> bool:
    tables = {
        one.inputs.get("routeTableId")
        for one in request.state.all(ASSOCIATION)
        if one.inputs.get("subnetId") == subnet.id
    }
    routes = (route for table in request.state.all(ROUTE_TABLE) if table.id in tables for route in _routes(table))
    return any(route.get("cidrBlock") == "0.0.0.0/0" for route in routes)


def _routes(table: Resource) -> list[Any]:
    return items(table.inputs.get("routes"))


def _addons(request: ResourceRequest) -> Iterator[Resource]:
    return (
        addon for addon in request.state.all(_ADDON) if addon.inputs.get("clusterName") == request.get("clusterName")
    )


def _disks_can_be_opened(request: ResourceRequest) -> str | None:
    """Auto Scaling starts instances as its own service-linked role: the key's policy has to name it."""
    template = request.state.find(str(request.get("launchTemplate.id")))
    for disk in items(template.inputs.get("blockDeviceMappings")) if template else []:
        key = disk.get("ebs", {}).get("kmsKeyId")
        for action in ("kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant") if key else ():
            if not key_allows(request, key, "AWS", request.fill(_AUTOSCALING), action):
                return (
                    "AsgInstanceLaunchFailures: Instance became unhealthy while waiting for instance to be in "
                    "InService state. Termination Reason: Client.InternalError: Client error on launch"
                )
    return None


def _has_nodes(request: ResourceRequest) -> str | None:
    groups = (
        group
        for group in request.state.all(_NODE_GROUP)
        if group.inputs.get("clusterName") == request.get("clusterName")
    )
    if request.get("addonName") not in _NEED_NODES or any(groups):
        return None
    return (
        "unexpected state 'DEGRADED', wanted target 'ACTIVE'. last error: InsufficientNumberOfReplicas: The add-on is "
        "unhealthy because it doesn't have the desired number of replicas."
    )


def _pods_can_take_role(request: ResourceRequest) -> str | None:
    roles = [request.get("roleArn"), *(one.get("roleArn") for one in items(request.get("podIdentityAssociations")))]
    for reference in filter(None, roles):
        role = request.state.find(reference)
        document = role.inputs.get("assumeRolePolicy") if role else None
        if role and not all(
            allows(document, "Service", "pods.eks.amazonaws.com", action)
            for action in ("sts:AssumeRole", "sts:TagSession")
        ):
            return (
                f"InvalidParameterException: Trust policy of the role {reference} does not allow "
                "pods.eks.amazonaws.com to sts:AssumeRole and sts:TagSession"
            )
    return None


def _serves_nodes(request: ResourceRequest) -> str | None:
    role = request.state.find(str(request.get("nodeRoleArn")))
    if role is None or trusts(role, "ec2.amazonaws.com"):
        return None
    return (
        "InvalidParameterException: Following required service principals [ec2.amazonaws.com] were not found in the "
        f"trust relationships of nodeRole {request.get('nodeRoleArn')}"
    )


def _node_group_name(request: ResourceRequest) -> str:
    given, prefix = request.get("nodeGroupName"), request.get("nodeGroupNamePrefix")
    return str(given) if given else f"{prefix or 'terraform-'}{request.hex(26)}"


def _host(request: ResourceRequest) -> str:
    return f"https://{request.hex(32).upper()}.gr7.{request.account['region']}.eks.amazonaws.com"


def _issuer(request: ResourceRequest) -> str:
    return f"https://oidc.eks.{request.account['region']}.amazonaws.com/id/{request.hex(32).upper()}"


def _of_cluster(request: ResourceRequest, kind: str, *names: str) -> str:
    return request.fill(arn("eks", kind)) + "".join(f"/{name}" for name in (request.get("clusterName"), *names))


MODELS = (
    ResourceModel(
        _CLUSTER,
        id=physical,
        outputs={
            "arn": lambda request: request.fill(arn("eks", "cluster/")) + physical(request),
            # Stands for a certificate: nothing listens at the endpoint.
            "certificateAuthority": lambda request: {"data": f"c2ltdWxhdGVk{request.hex(32)}"},
            "endpoint": _host,
            "identities": lambda request: [{"oidcs": [{"issuer": _issuer(request)}]}],
            "platformVersion": lambda _: "eks.1",
            "status": lambda _: "ACTIVE",
        },
        required=("name", "roleArn", "vpcConfig.subnetIds"),
        replace_on_changes=(
            "name",
            "roleArn",
            "accessConfig.bootstrapClusterCreatorAdminPermissions",
            "bootstrapSelfManagedAddons",
            "encryptionConfig.resources",
            "kubernetesNetworkConfig.serviceIpv4Cidr",
        ),
        rules=(
            matches(
                "name",
                r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}",
                "InvalidParameterException: The name of a cluster can contain only alphanumeric characters, hyphens "
                "and underscores, and must not be longer than 100; got {value}",
            ),
            one_of("version", _VERSIONS, "InvalidParameterException: unsupported Kubernetes version {value}"),
            one_of(
                "accessConfig.authenticationMode",
                ("API", "API_AND_CONFIG_MAP", "CONFIG_MAP"),
                "expected authentication_mode to be one of [API API_AND_CONFIG_MAP CONFIG_MAP], got {value}",
            ),
            each(
                "enabledClusterLogTypes",
                lambda log: log not in _LOGS,
                f"expected enabled_cluster_log_types to be one of [{' '.join(_LOGS)}], got {{value}}",
            ),
            each(
                "vpcConfig.publicAccessCidrs",
                _is_private,
                "InvalidParameterException: The following CIDRs are not allowed in publicAccessCidrs: [{value}]",
            ),
            _api_can_be_reached,
            _services_are_private,
        ),
        state_rules=(
            _two_zones,
            _services_beside_network,
            trusted_by(
                "roleArn",
                "eks.amazonaws.com",
                "InvalidParameterException: Role with arn: {value}, could not be assumed because it does not exist or "
                "the trusted entity is not correct",
            ),
        ),
        delete_rules=(
            lambda request: (
                "InvalidRequestException: Cannot delete cluster because deletion protection is enabled"
                if request.get("deletionProtection") is True
                else None
            ),
            unused(_NODE_GROUP, "clusterName", "ResourceInUseException: Cluster has nodegroups attached"),
        ),
    ),
    ResourceModel(
        _NODE_GROUP,
        id=lambda request: f"{request.get('clusterName')}:{_node_group_name(request)}",
        outputs={
            "arn": lambda request: _of_cluster(request, "nodegroup", request.id.partition(":")[2], request.uuid()),
            "nodeGroupName": lambda request: request.id.partition(":")[2],
            "status": lambda _: "ACTIVE",
        },
        required=("clusterName", "nodeRoleArn", "subnetIds", "scalingConfig"),
        replace_on_changes=(
            "amiType",
            "capacityType",
            "clusterName",
            "diskSize",
            "instanceTypes",
            "launchTemplate.id",
            "launchTemplate.name",
            "nodeGroupName",
            "nodeGroupNamePrefix",
            "nodeRoleArn",
            "subnetIds",
        ),
        rules=(
            one_of("capacityType", ("ON_DEMAND", "SPOT", "CAPACITY_BLOCK"), "expected capacity_type, got {value}"),
            each(
                "taints",
                lambda taint: taint.get("effect") not in (UNKNOWN, "NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"),
                "expected taint.0.effect to be one of [NO_SCHEDULE NO_EXECUTE PREFER_NO_SCHEDULE], got {value[effect]}",
            ),
            _bounds_are_ordered,
            _sizes_fit_image,
        ),
        state_rules=(_NO_CLUSTER, _serves_nodes, _disks_can_be_opened, _nodes_join),
    ),
    ResourceModel(
        _ADDON,
        id=lambda request: f"{request.get('clusterName')}:{request.get('addonName')}",
        outputs={"arn": lambda request: _of_cluster(request, "addon", str(request.get("addonName")), request.uuid())},
        required=("clusterName", "addonName"),
        replace_on_changes=("clusterName", "addonName"),
        rules=(
            one_of("addonName", _ADDONS, "InvalidParameterException: Addon {value} specified is not supported"),
            is_json(
                "configurationValues",
                "InvalidParameterException: ConfigurationValue provided in request is not supported: it is not JSON",
            ),
        ),
        state_rules=(_NO_CLUSTER, _has_nodes, _pods_can_take_role),
    ),
    ResourceModel(
        _ASSOCIATION,
        id=lambda request: f"a-{request.hex(17)}",
        outputs={
            "associationArn": lambda request: _of_cluster(request, "podidentityassociation", request.id),
            "associationId": "{id}",
        },
        required=("clusterName", "namespace", "serviceAccount", "roleArn"),
        replace_on_changes=("clusterName", "namespace", "serviceAccount"),
        state_rules=(
            _NO_CLUSTER,
            _pods_can_take_role,
            unique(
                ["serviceAccount", "namespace", "clusterName"],
                "ResourceInUseException: Association already exists for {0} in {1}",
            ),
        ),
    ),
)
