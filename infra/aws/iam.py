"""Policy documents, and the roles of workloads and AWS services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import iam

from infra.core.component import Component, StackContext

Statement = Mapping[str, Any]


def format_policy(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """A policy document as JSON; statements may contain outputs."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements})


def allow(
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    condition: Mapping[str, Any] | None = None,
    principal: Mapping[str, Any] | None = None,
) -> Statement:
    """A policy statement that allows `actions` on `resources`."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    if condition:
        statement["Condition"] = condition
    if principal:
        statement["Principal"] = principal
    return statement


USE_KEY = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")
# A condition: grants can be created only for AWS services, such as EC2 for its disks.
FOR_SERVICES: Mapping[str, Any] = {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def allow_disk_encryption(key: pulumi.Output[str]) -> Sequence[Statement]:
    """The permissions to create and attach disks that are encrypted with a key.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/ebs-csi.html
    """
    grants = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]
    return [allow(grants, [key], FOR_SERVICES), allow(USE_KEY, [key])]


def trust_service(
    service: str, condition: Mapping[str, Any] | None = None, actions: Sequence[str] = ("sts:AssumeRole",)
) -> Statement:
    """A trust policy statement that allows an AWS service to assume the role."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions),
    }
    return {**statement, "Condition": condition} if condition else statement


def trust_pods(cluster: str, namespace: str, service_account: str) -> Statement:
    """Allow one service account of one cluster to assume the role, by the session tags that EKS sets.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html
    """
    tags = {
        "aws:RequestTag/eks-cluster-name": cluster,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": service_account,
    }
    return trust_service("pods.eks.amazonaws.com", {"StringEquals": tags}, ["sts:AssumeRole", "sts:TagSession"])


@dataclass(frozen=True)
class RoleArgs:
    context: StackContext
    name_suffix: str  # of the physical name
    trust: Statement
    managed: Sequence[str] = ()  # AWS managed policies: their path below arn:aws:iam::aws:policy/
    statements: Sequence[Statement] = ()  # of the inline policy


class Role(Component):
    """A role with its policies. Resources that depend on this component wait for them."""

    layer = "aws"

    def __init__(self, name: str, args: RoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._role = iam.Role(
            name,
            # Roles are global in an account: names in two regions must differ.
            name=args.context.naming.global_name(args.name_suffix, limit=64),
            assume_role_policy=format_policy([args.trust]),
            tags=args.context.naming.tags,
            opts=self.child_options(),
        )
        for path in args.managed:
            iam.RolePolicyAttachment(
                f"{name}-{path.rpartition('/')[2]}",
                role=self._role.name,
                policy_arn=f"arn:aws:iam::aws:policy/{path}",
                opts=self.child_options(),
            )
        if args.statements:
            iam.RolePolicy(
                name,
                name="groundwork",
                role=self._role.name,
                policy=format_policy(args.statements),
                opts=self.child_options(),
            )
        self.register_outputs({"arn": self.arn})

    @property
    def name(self) -> pulumi.Output[str]:
        name: pulumi.Output[str] = self._role.name
        return name

    @property
    def arn(self) -> pulumi.Output[str]:
        arn: pulumi.Output[str] = self._role.arn
        return arn
