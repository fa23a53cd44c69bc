"""What the AWS Load Balancer Controller needs in order to create network load balancers for Services.

Its project publishes a policy, https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/docs/install/
iam_policy.json. These permissions are its part for network load balancers, limited to those of this cluster:
application load balancers, firewalls, certificates and user pools are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.access import LOAD_BALANCER_CONTROLLER
from infra.aws.cluster import Cluster
from infra.aws.iam import Statement, allow
from infra.aws.network import Network
from infra.aws.pod_identity import create_pod_identity
from infra.contract import LoadBalancerControllerContract
from infra.core.component import Component, StackContext

_TAG = "elbv2.k8s.aws/cluster"  # the controller adds it to everything that it creates
_READ_NETWORK = (
    "DescribeAccountAttributes",
    "DescribeAddresses",
    "DescribeAvailabilityZones",
    "DescribeInstances",
    "DescribeInternetGateways",
    "DescribeNetworkInterfaces",
    "DescribeRouteTables",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVpcPeeringConnections",
    "DescribeVpcs",
    "GetSecurityGroupsForVpc",
)
_READ_BALANCERS = (
    "DescribeCapacityReservation",
    "DescribeListenerAttributes",
    "DescribeListenerCertificates",
    "DescribeListeners",
    "DescribeLoadBalancerAttributes",
    "DescribeLoadBalancers",
    "DescribeRules",
    "DescribeSSLPolicies",
    "DescribeTags",
    "DescribeTargetGroupAttributes",
    "DescribeTargetGroups",
    "DescribeTargetHealth",
)
_CHANGE_RULES = ("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress")


@dataclass(frozen=True)
class LoadBalancingArgs:
    context: StackContext
    account_id: pulumi.Output[str]
    network: Network
    cluster: Cluster


class LoadBalancing(Component):
    """The controller's role, which only its service account can assume."""

    layer = "aws"

    def __init__(self, name: str, args: LoadBalancingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        cluster = args.cluster.physical_name
        # Conditions: resources are created with the cluster's tag, have it already, or changes do not touch the tag.
        self._creates = {"StringEquals": {f"aws:RequestTag/{_TAG}": cluster}}
        self._owns = {"StringEquals": {f"aws:ResourceTag/{_TAG}": cluster}}
        self._leaves_tag = {**self._owns, "Null": {f"aws:RequestTag/{_TAG}": "true"}}
        statements = [
            *self._define_read_permissions(),
            *self._define_group_permissions(),
            *self._define_balancer_permissions(),
        ]
        self._identity = create_pod_identity(
            name, LOAD_BALANCER_CONTROLLER, statements, args.context, args.cluster, self
        )
        self.register_outputs({"role": self._identity.principal})

    @property
    def contract(self) -> LoadBalancerControllerContract:
        network = self._args.network
        return LoadBalancerControllerContract(
            identity=self._identity,
            region=self._args.context.settings.location,
            vpc=network.vpc_id,
        )

    def _define_read_permissions(self) -> Sequence[Statement]:
        balancing = {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}}
        roles = pulumi.Output.format(
            "arn:aws:iam::{}:role/aws-service-role/elasticloadbalancing.amazonaws.com/*", self._args.account_id
        )
        return [
            allow([f"ec2:{action}" for action in _READ_NETWORK], ["*"]),
            allow([f"elasticloadbalancing:{action}" for action in _READ_BALANCERS], ["*"]),
            allow(["iam:CreateServiceLinkedRole"], [roles], balancing),
        ]

    def _define_group_permissions(self) -> Sequence[Statement]:
        """Security groups of load balancers, and the rules of the nodes' group that admit them."""
        groups, create = self._arn("ec2", "security-group/*"), ["ec2:CreateSecurityGroup"]
        nodes = self._arn("ec2", "security-group", self._args.cluster.node_security_group)
        created: Mapping[str, Any] = {
            "StringEquals": {**self._creates["StringEquals"], "ec2:CreateAction": "CreateSecurityGroup"}
        }
        return [
            allow(create, [self._arn("ec2", "vpc", self._args.network.vpc_id)]),
            allow(create, [groups], self._creates),
            allow(["ec2:CreateTags"], [groups], created),
            allow(["ec2:CreateTags", "ec2:DeleteTags"], [groups], self._leaves_tag),
            allow([*_CHANGE_RULES, "ec2:DeleteSecurityGroup"], [groups], self._owns),
            allow(_CHANGE_RULES, [nodes]),
        ]

    def _define_balancer_permissions(self) -> Sequence[Statement]:
        balancers, targets = self._elb_arn("loadbalancer/net/*"), self._elb_arn("targetgroup/*")
        listeners = self._elb_arn("listener/net/*")
        creating: Mapping[str, Any] = {
            "StringEquals": {
                **self._creates["StringEquals"],
                "elasticloadbalancing:CreateAction": ["CreateLoadBalancer", "CreateTargetGroup"],
            }
        }
        return [
            allow(_elb("CreateLoadBalancer", "CreateTargetGroup"), [balancers, targets], self._creates),
            allow(_elb("AddTags"), [balancers, targets], creating),
            allow(_elb("AddTags", "RemoveTags"), [balancers, targets], self._leaves_tag),
            # The published policy has no condition on the tag of listeners.
            allow(_elb("CreateListener"), [balancers]),
            allow(
                _elb(
                    "AddListenerCertificates",
                    "AddTags",
                    "DeleteListener",
                    "ModifyListener",
                    "ModifyListenerAttributes",
                    "RemoveListenerCertificates",
                    "RemoveTags",
                ),
                [listeners],
            ),
            allow(
                _elb(
                    "DeleteLoadBalancer",
                    "DeleteTargetGroup",
                    "DeregisterTargets",
                    "ModifyLoadBalancerAttributes",
                    "ModifyTargetGroup",
                    "ModifyTargetGroupAttributes",
                    "RegisterTargets",
                    "SetIpAddressType",
                    "SetSecurityGroups",
                    "SetSubnets",
                ),
                [balancers, targets],
                self._owns,
            ),
        ]

    def _elb_arn(self, resource: str) -> pulumi.Output[str]:
        return self._arn("elasticloadbalancing", resource)

    def _arn(self, service: str, resource: str, id_: pulumi.Output[str] | None = None) -> pulumi.Output[str]:
        region = self._args.context.settings.location
        arn = pulumi.Output.format("arn:aws:{}:{}:{}:{}", service, region, self._args.account_id, resource)
        return arn if id_ is None else pulumi.Output.concat(arn, "/", id_)


def _elb(*actions: str) -> Sequence[str]:
    return [f"elasticloadbalancing:{action}" for action in actions]
