"""Amazon EKS node groups, and the EC2 launch templates that they use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kernel.values import UNKNOWN, as_list
from rehearsal.simulator.aws.addons import ADDON
from rehearsal.simulator.aws.cluster import CLUSTER, NODE_GROUP, REQUIRE_CLUSTER, build_arn
from rehearsal.simulator.aws.identity import ATTACHMENT
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.network import ASSOCIATION, ROUTE_TABLE
from rehearsal.simulator.aws.rules import arn_template, find_resources, is_trusted_by, key_allows
from rehearsal.simulator.core.resource_model import UNRESTRICTED, Resource, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import in_range, matches, one_of, refuse_items_when, require_unique
from rehearsal.simulator.core.transitions import compare_versions, get_change, refuse_change_when

_ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
# The services that nodes without a route to the internet need endpoints for.
# Source: https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html
_NODE_SERVICES = ("ec2", "ecr.api", "ecr.dkr", "s3")
_TAINT_EFFECTS = ("NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE")
_FAILED_TO_JOIN = (
    "NodeCreationFailure: Instances failed to join the kubernetes cluster (the simulation knows the cause: {cause})"
)
_AUTOSCALING_ROLE = (
    "arn:aws:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
)


# Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_NodegroupScalingConfig.html
def _check_scaling_bounds(request: ResourceRequest) -> str | None:
    low, high = request.get("scalingConfig.minSize", UNKNOWN), request.get("scalingConfig.maxSize", UNKNOWN)
    desired = request.get("scalingConfig.desiredSize", UNKNOWN)
    if UNKNOWN in (low, high, desired):
        return None
    if low > desired:
        return f"InvalidParameterException: Minimum capacity {low} can't be greater than desired size {desired}"
    if desired > high:
        return f"InvalidParameterException: desired capacity {desired} can't be greater than max size {high}"
    return None


# Sources: https://github.com/hashicorp-education/learn-terraform-provision-eks-cluster/issues/44 and
# https://github.com/eksctl-io/eksctl/issues/7754
def _check_instance_types(request: ResourceRequest) -> str | None:
    """The processors must fit the image: a `g` after the generation, as in m7g, means Arm, and so does a1."""
    image, sizes = request.get("amiType", UNKNOWN), request.get("instanceTypes", UNKNOWN)
    if image is UNKNOWN or sizes is UNKNOWN:
        return None
    is_arm = "ARM" in image
    unfit = [size for size in sizes if size is not UNKNOWN and bool(re.match(r"[a-z]+\d+g|a1\.", size)) != is_arm]
    return (
        f"InvalidParameterException: [{', '.join(unfit)}] is not a valid instance type for requested amiType {image}"
        if unfit
        else None
    )


def _check_nodes_can_join(request: ResourceRequest) -> str | None:
    """Instances can register as nodes. The real cloud fails after about twenty minutes without naming the cause."""
    role = request.state.find(str(request.get("nodeRoleArn")))
    if role is not None and not _has_policy(request, role, "AmazonEKSWorkerNodePolicy"):
        return _FAILED_TO_JOIN.format(cause=f"the role {role.id} lacks the policy AmazonEKSWorkerNodePolicy")
    for subnet in find_resources(request, "subnetIds"):
        missing = _list_missing_endpoints(request, subnet)
        if missing and not _has_internet_route(request, subnet):
            return _FAILED_TO_JOIN.format(
                cause=f"there is no route to the internet from the subnet {subnet.id}, and its VPC has no endpoints "
                f"for {', '.join(missing)}"
            )
    cluster = next((found for found in request.state.all(CLUSTER) if found.id == request.get("clusterName")), None)
    has_no_addons = cluster is not None and cluster.inputs.get("bootstrapSelfManagedAddons") is False
    if has_no_addons and not any(addon.inputs.get("addonName") == "vpc-cni" for addon in _list_addons(request)):
        return (
            "NodeCreationFailure: Unhealthy nodes in the kubernetes cluster (the simulation knows the cause: the "
            "cluster has no network plugin, because it was created without add-ons, and has no add-on vpc-cni)"
        )
    return None


def _list_missing_endpoints(request: ResourceRequest, subnet: Resource) -> list[str]:
    """The services that nodes need and for which the subnet's VPC has no endpoint."""
    vpc, region = subnet.inputs.get("vpcId"), request.account["region"]
    names = {
        found.inputs.get("serviceName") for found in request.state.all(_ENDPOINT) if found.inputs.get("vpcId") == vpc
    }
    return [service for service in _NODE_SERVICES if f"com.amazonaws.{region}.{service}" not in names]


def _has_policy(request: ResourceRequest, role: Resource, policy: str) -> bool:
    attachments = (found.inputs for found in request.state.all(ATTACHMENT) if found.inputs.get("role") == role.id)
    return any(str(inputs.get("policyArn")).endswith(f"/{policy}") for inputs in attachments)


def _has_internet_route(request: ResourceRequest, subnet: Resource) -> bool:
    tables = {
        association.inputs.get("routeTableId")
        for association in request.state.all(ASSOCIATION)
        if association.inputs.get("subnetId") == subnet.id
    }
    routes = (route for table in request.state.all(ROUTE_TABLE) if table.id in tables for route in _list_routes(table))
    return any(route.get("cidrBlock") == "0.0.0.0/0" for route in routes)


def _list_routes(table: Resource) -> list[Any]:
    return as_list(table.inputs.get("routes"))


def _list_addons(request: ResourceRequest) -> Iterator[Resource]:
    return (
        addon for addon in request.state.all(ADDON) if addon.inputs.get("clusterName") == request.get("clusterName")
    )


# Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
def _check_disk_keys(request: ResourceRequest) -> str | None:
    """Disks can be decrypted: EC2 Auto Scaling uses its service-linked role, which the key's policy must allow."""
    template = request.state.find(str(request.get("launchTemplate.id")))
    for disk in as_list(template.inputs.get("blockDeviceMappings")) if template else []:
        key = disk.get("ebs", {}).get("kmsKeyId")
        for action in ("kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant") if key else ():
            if not key_allows(request, key, "AWS", request.fill(_AUTOSCALING_ROLE), action):
                return (
                    "AsgInstanceLaunchFailures: Instance became unhealthy while waiting for instance to be in "
                    "InService state. Termination Reason: Client.InternalError: Client error on launch"
                )
    return None


def _require_drainable_nodes(request: ResourceRequest) -> str | None:
    """A rolling update evicts every pod, unless it is forced.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html
    """
    rolls = any(get_change(request, path) for path in ("version", "releaseVersion", "launchTemplate.version"))
    if not rolls or request.get("forceUpdateVersion") is True:
        return None
    name = request.id.partition(":")[2]
    blocked = request.drain.find_blocked_eviction(name)
    if blocked is None:
        return None
    return (
        f"PodEvictionFailure: Reached max retries while trying to evict pods from nodes in node group {name} (the "
        f"simulation knows the cause: {blocked.error} Pod {blocked.pod} on {blocked.node}: {blocked.detail}. Let the "
        f"PodDisruptionBudget {blocked.budget} allow a disruption, or run more replicas)"
    )


# Source: https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html
def _check_node_role_trust(request: ResourceRequest) -> str | None:
    role = request.state.find(str(request.get("nodeRoleArn")))
    if role is None or is_trusted_by(role, "ec2.amazonaws.com"):
        return None
    return (
        "InvalidParameterException: Following required service principals [ec2.amazonaws.com] were not found in the "
        f"trust relationships of nodeRole {request.get('nodeRoleArn')}"
    )


def _count_versions(request: ResourceRequest) -> int:
    """Every update of a launch template creates a new version, unless only its own tags change."""
    if request.previous is None:
        return 1
    latest = int(request.previous.outputs["latestVersion"])
    described = {*request.previous.inputs, *request.inputs} - {"tags", "tagsAll", "updateDefaultVersion"}
    return latest + any(request.get(name) != request.get_previous(name) for name in sorted(described))


def _get_default_version(request: ResourceRequest) -> int:
    """The first version, unless the request names another one or makes every new version the default."""
    if request.get("updateDefaultVersion") is True:
        return _count_versions(request)
    kept = request.previous.outputs["defaultVersion"] if request.previous else 1
    return int(request.get("defaultVersion", kept))


def _get_version(request: ResourceRequest) -> str | None:
    """The nodes' Kubernetes version: as requested, or else the cluster's when the group was created."""
    if request.get("version"):
        return str(request.get("version"))
    return str(request.previous.outputs["version"]) if request.previous else _get_cluster_version(request)


def _get_cluster_version(request: ResourceRequest) -> str | None:
    clusters = (found for found in request.state.all(CLUSTER) if found.id == request.get("clusterName"))
    return next((found.inputs.get("version") for found in clusters), None)


# Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html
def _check_version(request: ResourceRequest) -> str | None:
    """Nodes must not be newer than their cluster. The message is not AWS's own."""
    cluster = _get_cluster_version(request)
    if compare_versions(cluster, request.get("version")) <= 0:
        return None
    return (
        f"InvalidParameterException: Requested node group version {request.get('version')} is newer than version "
        f"{cluster} of the cluster {request.get('clusterName')}"
    )


MODELS = (
    ResourceModel(
        NODE_GROUP,
        id="{clusterName}:{nodeGroupName}",
        outputs={
            "arn": lambda request: build_arn(request, "nodegroup", str(request.get("nodeGroupName")), request.uuid()),
            "status": lambda _: "ACTIVE",
            "version": _get_version,
        },
        required=("clusterName", "nodeRoleArn", "subnetIds", "scalingConfig"),
        defaults=auto_named("nodeGroupName", prefix_path="nodeGroupNamePrefix"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/node_group.go
        replace_on_changes=(
            "amiType",
            "capacityType",
            "clusterName",
            "diskSize",
            "instanceTypes",
            "launchTemplate.id",
            "launchTemplate.name",
            "nodeGroupName",
            "nodeRoleArn",
            "subnetIds",
        ),
        transitions=(
            # Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateNodegroupVersion.html
            # The message is not AWS's own.
            refuse_change_when(
                "version",
                lambda old, new: compare_versions(old, new) < 0,
                "InvalidParameterException: Unsupported node group version downgrade from {old} to {new}",
            ),
        ),
        rules=(
            one_of("capacityType", ("ON_DEMAND", "SPOT", "CAPACITY_BLOCK"), "expected capacity_type, got {value}"),
            # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/node_group.go
            refuse_items_when(
                "taints",
                lambda taint: taint.get("effect", UNKNOWN) not in (UNKNOWN, *_TAINT_EFFECTS),
                "expected taint.0.effect to be one of [NO_SCHEDULE NO_EXECUTE PREFER_NO_SCHEDULE], got {value[effect]}",
            ),
            _check_scaling_bounds,
            _check_instance_types,
        ),
        state_rules=(
            REQUIRE_CLUSTER,
            _check_version,
            _check_node_role_trust,
            _check_disk_keys,
            _check_nodes_can_join,
            _require_drainable_nodes,
        ),
    ),
    ResourceModel(
        "aws:ec2/launchTemplate:LaunchTemplate",
        id="lt-{hex:17}",
        name_path="name",
        outputs={
            "arn": arn_template("ec2", "launch-template/{id}"),
            "latestVersion": _count_versions,
            "defaultVersion": _get_default_version,
        },
        defaults=auto_named(),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/ec2_launch_template.go
        replace_on_changes=("name",),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
            matches(
                "name",
                r"[A-Za-z0-9().\-/_]{3,128}",
                "InvalidLaunchTemplateName.MalformedException: A launch template name must be between 3 and 128 "
                "characters, and may contain letters, numbers, and the following characters: - ( ) . / _.",
            ),
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataOptionsRequest.html
            in_range(
                "metadataOptions.httpPutResponseHopLimit",
                1,
                64,
                "expected metadata_options.0.http_put_response_hop_limit to be in the range (1 - 64), got {value}",
            ),
            one_of("metadataOptions.httpTokens", ("optional", "required"), "expected http_tokens, got {value}"),
        ),
        state_rules=(
            # Source: https://github.com/github-aws-runners/terraform-aws-github-runner/issues/1382
            require_unique(
                ["name"],
                "InvalidLaunchTemplateName.AlreadyExistsException: Launch template name already in use.",
            ),
        ),
    ),
)
