"""The cluster's node groups: their launch templates, their images, and how many nodes they have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, eks, ssm

from infra.aws.iam import Role
from infra.aws.network import Network
from infra.contract import POOL_LABEL, NodePool, Taint, TaintEffect
from infra.core.component import Component, StackContext

_SYSTEM_TAINT = Taint("CriticalAddonsOnly", "true", TaintEffect.NO_SCHEDULE)
_DISK_GB = 100  # GiB for images, logs and scratch; ML images take several GiB each


@dataclass(frozen=True)
class NodeGroupsArgs:
    context: StackContext
    network: Network
    key: pulumi.Output[str]  # ARN of the key of the nodes' disks
    role: Role
    cluster: eks.Cluster
    cluster_name: str
    cluster_exists: bool  # whether an earlier deployment created it


@dataclass(frozen=True)
class _Scaling:
    """The bounds of a node group in the account, and its current number of nodes."""

    minimum: int
    maximum: int
    desired: int


def define_node_pools(context: StackContext, zones: Sequence[str]) -> Sequence[NodePool]:
    settings = context.settings.cluster
    pools = (("system", settings.system_pool, (_SYSTEM_TAINT,)), ("user", settings.user_pool, ()))
    return [
        NodePool(name, pool.size, pool.minimum, pool.maximum, zones, {POOL_LABEL: name}, taints)
        for name, pool, taints in pools
    ]


def create_node_groups(
    name: str,
    pools: Sequence[NodePool],
    args: NodeGroupsArgs,
    parent: Component,
    waits_for: Sequence[pulumi.Resource],
) -> Sequence[eks.NodeGroup]:
    """One managed node group for each pool, whose nodes join once `waits_for` exist."""
    scaling = _find_scaling(args.cluster_name, parent) if args.cluster_exists else {}
    return [_create_node_group(name, pool, scaling.get(pool.name), args, parent, waits_for) for pool in pools]


def _create_node_group(
    name: str,
    pool: NodePool,
    scaling: _Scaling | None,
    args: NodeGroupsArgs,
    parent: Component,
    waits_for: Sequence[pulumi.Resource],
) -> eks.NodeGroup:
    template = _create_launch_template(name, pool, args, parent)
    version = args.context.settings.cluster.kubernetes_version
    # EKS changes the bounds and the number of nodes in one request, and the autoscaler changes the number. A change of
    # the bounds therefore sends the current number: with the initial number, it would shrink a group that has grown, or
    # fail because the minimum is higher. While the bounds are unchanged, there is nothing to send.
    # Source: https://github.com/hashicorp/terraform-provider-aws/issues/18310
    has_bounds = scaling is not None and (scaling.minimum, scaling.maximum) == (pool.minimum, pool.maximum)
    desired = min(max(scaling.desired, pool.minimum), pool.maximum) if scaling else pool.minimum
    return eks.NodeGroup(
        f"{name}-{pool.name}",
        cluster_name=args.cluster.name,
        # A prefix, because a change of size creates the new group before it deletes the old one.
        node_group_name_prefix=f"{pool.name}-",
        node_role_arn=args.role.arn,
        subnet_ids=args.network.private_subnets,
        instance_types=[pool.size],
        ami_type=_ami_type(pool.size),
        capacity_type="ON_DEMAND",
        version=version,
        release_version=_find_image_release(version, pool.size, parent),
        scaling_config=eks.NodeGroupScalingConfigArgs(
            min_size=pool.minimum, max_size=pool.maximum, desired_size=desired
        ),
        launch_template=eks.NodeGroupLaunchTemplateArgs(id=template.id, version=template.latest_version.apply(str)),
        labels=pool.labels,
        taints=[
            eks.NodeGroupTaintArgs(key=taint.key, value=taint.value, effect=taint.effect.name) for taint in pool.taints
        ],
        update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
        # Replaces nodes that the kubelet or the instance's status checks report as unhealthy.
        node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
        tags=args.context.naming.tags,
        opts=parent.child_options(
            depends_on=[args.role, args.network, *waits_for],  # nodes need the NAT gateway in order to join
            ignore_changes=["scalingConfig.desiredSize"] if has_bounds else None,
        ),
    )


def _create_launch_template(name: str, pool: NodePool, args: NodeGroupsArgs, parent: Component) -> ec2.LaunchTemplate:
    naming = args.context.naming
    tags = {**naming.tags, "Name": naming.regional_name(pool.name)}
    return ec2.LaunchTemplate(
        f"{name}-{pool.name}",
        name=naming.regional_name(pool.name, limit=128),
        update_default_version=True,
        metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled",
            http_tokens="required",
            # One hop, so that pods cannot get the credentials of the node's role.
            http_put_response_hop_limit=1,
        ),
        block_device_mappings=[
            ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name="/dev/xvda",
                ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    encrypted="true",
                    kms_key_id=args.key,
                    volume_size=_DISK_GB,
                    volume_type="gp3",
                    delete_on_termination="true",
                ),
            )
        ],
        tag_specifications=[
            ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
            for kind in ("instance", "volume", "network-interface")
        ],
        tags=naming.tags,
        opts=parent.child_options(),
    )


def _find_scaling(cluster: str, parent: Component) -> Mapping[str, _Scaling]:
    """The scaling of each pool's node group in the account, keyed by pool."""
    opts = pulumi.InvokeOptions(parent=parent)
    groups = {}
    for name in eks.get_node_groups(cluster_name=cluster, opts=opts).names:
        group = eks.get_node_group(cluster_name=cluster, node_group_name=name, opts=opts)
        (scaling,) = group.scaling_configs
        groups[group.labels.get(POOL_LABEL, "")] = _Scaling(scaling.min_size, scaling.max_size, scaling.desired_size)
    return groups


def _find_image_release(version: str, size: str, parent: Component) -> str:
    """The newest release of the nodes' image for a Kubernetes version, since EKS does not update images by itself.

    A release cannot be pinned here, because EKS rejects older ones after a while.

    Sources: https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html,
    https://github.com/awslabs/amazon-eks-ami/issues/559
    """
    processor = "arm64" if _has_arm_processor(size) else "x86_64"
    path = f"/aws/service/eks/optimized-ami/{version}/amazon-linux-2023/{processor}/standard/recommended"
    parameter = ssm.get_parameter(name=f"{path}/release_version", opts=pulumi.InvokeOptions(parent=parent))
    return str(parameter.insecure_value)


def _ami_type(size: str) -> str:
    """Amazon Linux for the size's processor."""
    return "AL2023_ARM_64_STANDARD" if _has_arm_processor(size) else "AL2023_x86_64_STANDARD"


def _has_arm_processor(size: str) -> bool:
    """Whether a size has a Graviton processor: a `g` after the generation, as in m7g or c6gn."""
    return re.match(r"[a-z]+\d+g", size) is not None
