"""What Karpenter needs in order to add nodes: its permissions, its nodes' role, and the queue of interruptions.

docs/adr/0022-karpenter-without-iam.md explains which permissions it does not get, and why. Sources:
https://karpenter.sh/docs/reference/cloudformation/, and for an existing instance profile
https://karpenter.sh/docs/concepts/nodeclasses/#specinstanceprofile
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import cloudwatch, eks, iam, sqs

from infra.access import KARPENTER
from infra.aws.cluster import Cluster
from infra.aws.iam import Role, RoleArgs, Statement, allow, allow_disk_encryption, format_policy, trust_service
from infra.aws.network import Network
from infra.aws.pod_identity import create_pod_identity
from infra.aws.secrets import Secrets
from infra.contract import KarpenterContract
from infra.core.component import Component, StackContext

# Events that announce the termination of an instance, with their source and detail type.
_EVENTS = {
    "health": ("aws.health", "AWS Health Event"),
    "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state": ("aws.ec2", "EC2 Instance State-change Notification"),
}
# Seconds. An older warning is about an instance that no longer exists.
_MESSAGE_RETENTION = 300


@dataclass(frozen=True)
class KarpenterArgs:
    context: StackContext
    account_id: pulumi.Output[str]
    network: Network
    secrets: Secrets
    cluster: Cluster


class Karpenter(Component):
    """The controller's role, the profile of its nodes, and a queue to which EventBridge sends interruptions."""

    layer = "aws"

    def __init__(self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._queue = self._create_queue(f"{name}-interruptions")
        self._node_role = self._create_node_role(f"{name}-nodes")
        self._profile = iam.InstanceProfile(
            f"{name}-nodes",
            name=args.context.naming.global_name("karpenter-nodes", limit=128),
            role=self._node_role.name,
            tags=args.context.naming.tags,
            opts=self.child_options(),
        )
        self._identity = create_pod_identity(
            name, KARPENTER, self._define_permissions(), args.context, args.cluster, self
        )
        self.register_outputs({"queue": self._queue.name})

    @property
    def contract(self) -> KarpenterContract:
        network = self._args.network
        return KarpenterContract(
            identity=self._identity,
            region=self._args.context.settings.location,
            queue=self._queue.name,
            instance_profile=self._profile.name,
            subnets=network.private_subnets,
            security_group=self._args.cluster.node_security_group,
            disk_key=self._args.secrets.key.arn,
        )

    def _create_queue(self, name: str) -> sqs.Queue:
        queue = sqs.Queue(
            name,
            name=self._args.context.naming.regional_name("interruptions", limit=80),
            message_retention_seconds=_MESSAGE_RETENTION,
            # With a key, EventBridge would need a statement in its policy; the messages contain only instance IDs.
            sqs_managed_sse_enabled=True,
            tags=self._args.context.naming.tags,
            opts=self.child_options(),
        )
        rules = [self._create_rule(f"{name}-{event}", event, queue) for event in _EVENTS]
        from_rules = {"ArnEquals": {"aws:SourceArn": [rule.arn for rule in rules]}}
        send = allow(["sqs:SendMessage"], [queue.arn], from_rules, {"Service": "events.amazonaws.com"})
        plain = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": [queue.arn]}
        sqs.QueuePolicy(
            name,
            queue_url=queue.url,
            policy=format_policy([send, {**plain, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]),
            opts=self.child_options(),
        )
        return queue

    def _create_rule(self, name: str, event: str, queue: sqs.Queue) -> cloudwatch.EventRule:
        source, detail_type = _EVENTS[event]
        rule = cloudwatch.EventRule(
            name,
            name=self._args.context.naming.regional_name(f"interruptions-{event}", limit=64),
            description=f"{detail_type}: for Karpenter",
            event_pattern=json.dumps({"source": [source], "detail-type": [detail_type]}),
            tags=self._args.context.naming.tags,
            opts=self.child_options(),
        )
        cloudwatch.EventTarget(name, rule=rule.name, target_id="karpenter", arn=queue.arn, opts=self.child_options())
        return rule

    def _create_node_role(self, name: str) -> Role:
        """The role of nodes, with which they join the cluster and pull images. The CNI has its own identity."""
        context, cluster = self._args.context, self._args.cluster
        role = Role(
            name,
            RoleArgs(
                context,
                "karpenter-nodes",
                trust_service("ec2.amazonaws.com"),
                managed=["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"],
            ),
            self.child_options(),
        )
        eks.AccessEntry(
            name,
            cluster_name=cluster.name,
            principal_arn=role.arn,
            type="EC2_LINUX",
            tags=context.naming.tags,
            opts=self.child_options(),
        )
        return role

    def _define_permissions(self) -> Sequence[Statement]:
        return [
            *self._define_launch_permissions(),
            *self._define_read_permissions(),
            allow(["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], [self._queue.arn]),
            allow(
                ["iam:PassRole"],
                [self._node_role.arn],
                {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            ),
            # The first spot instance of an account needs the service's role, which EC2 creates on behalf of the caller.
            allow(
                ["iam:CreateServiceLinkedRole"],
                [self._arn("iam", "role/aws-service-role/spot.amazonaws.com/*", region="")],
                {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
            ),
            *allow_disk_encryption(self._args.secrets.key.arn),
        ]

    def _define_launch_permissions(self) -> Sequence[Statement]:
        """Launch, tag and terminate instances that have the tags of the cluster and of a node pool."""
        cluster = self._args.cluster.physical_name
        owned = {f"kubernetes.io/cluster/{cluster}": "owned"}
        named = {**owned, "eks:eks-cluster-name": cluster}
        created = [
            self._arn("ec2", f"{kind}/*")
            for kind in (
                "fleet",
                "instance",
                "volume",
                "network-interface",
                "launch-template",
                "spot-instances-request",
            )
        ]
        used = [
            self._arn("ec2", "image/*", account=""),
            self._arn("ec2", "snapshot/*", account=""),
            *(self._arn("ec2", f"{kind}/*") for kind in ("security-group", "subnet", "capacity-reservation")),
        ]
        launch = ["ec2:RunInstances", "ec2:CreateFleet"]
        creating = {"ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]}
        tagging = {
            **_tagged("Resource", owned),
            "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": cluster},
            "ForAllValues:StringEquals": {
                "aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"],
            },
        }
        templates, instances = self._arn("ec2", "launch-template/*"), self._arn("ec2", "instance/*")
        return [
            allow(launch, used),
            allow(launch, [templates], _tagged("Resource", owned)),
            allow([*launch, "ec2:CreateLaunchTemplate"], created, _tagged("Request", named)),
            allow(["ec2:CreateTags"], created, _tagged("Request", named, creating)),
            allow(["ec2:CreateTags"], [instances], tagging),
            allow(
                ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
                [instances, templates],
                _tagged("Resource", owned),
            ),
        ]

    def _define_read_permissions(self) -> Sequence[Statement]:
        """Find images, sizes and spot prices; not in IAM and the price list, which have no endpoint in the network."""
        region = self._args.context.settings.location
        kinds = (
            "CapacityReservations",
            "Images",
            "Instances",
            "InstanceTypeOfferings",
            "InstanceTypes",
            "LaunchTemplates",
            "SecurityGroups",
            "SpotPriceHistory",
            "Subnets",
        )
        return [
            allow([f"ec2:Describe{kind}" for kind in kinds], ["*"], {"StringEquals": {"aws:RequestedRegion": region}}),
            allow(["ssm:GetParameter"], [self._arn("ssm", "parameter/aws/service/*", account="")]),
            allow(["eks:DescribeCluster"], [self._arn("eks", f"cluster/{self._args.cluster.physical_name}")]),
        ]

    def _arn(
        self, service: str, resource: str, *, region: str | None = None, account: str | None = None
    ) -> pulumi.Output[str]:
        region = self._args.context.settings.location if region is None else region
        return pulumi.Output.format(
            "arn:aws:{}:{}:{}:{}", service, region, self._args.account_id if account is None else account, resource
        )


def _tagged(kind: str, tags: Mapping[str, str], others: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """A condition on tags of a resource or in a request, in addition to the tag of any node pool."""
    return {
        "StringEquals": {**{f"aws:{kind}Tag/{key}": value for key, value in tags.items()}, **(others or {})},
        "StringLike": {f"aws:{kind}Tag/karpenter.sh/nodepool": "*"},
    }
