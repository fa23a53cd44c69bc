"""Policy documents, and the roles that AWS's own services and the workloads act as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import iam

from infra.core.component import Component, StackContext

Statement = Mapping[str, Any]


def document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """A policy document in JSON; statements may hold outputs."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements})


def allow(
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    condition: Mapping[str, Any] | None = None,
    principal: Mapping[str, Any] | None = None,
) -> Statement:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    if condition:
        statement["Condition"] = condition
    if principal:
        statement["Principal"] = principal
    return statement


def trust(
    service: str, condition: Mapping[str, Any] | None = None, actions: Sequence[str] = ("sts:AssumeRole",)
) -> Statement:
    """Let a service of AWS take the role."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions),
    }
    return {**statement, "Condition": condition} if condition else statement


def trust_pods(cluster: str, namespace: str, service_account: str) -> Statement:
    """Let one service account of one cluster take the role, by the tags that EKS puts on its sessions.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html
    """
    tags = {
        "aws:RequestTag/eks-cluster-name": cluster,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": service_account,
    }
    return trust("pods.eks.amazonaws.com", {"StringEquals": tags}, ["sts:AssumeRole", "sts:TagSession"])


@dataclass(frozen=True)
class RoleArgs:
    context: StackContext
    name_suffix: str  # of the physical name
    trust: Statement
    managed: Sequence[str] = ()  # AWS's own policies, by the path below arn:aws:iam::aws:policy/
    statements: Sequence[Statement] = ()  # what it may do beside them


class Role(Component):
    """A role with all its policies; what depends on the role waits for them."""

    layer = "aws"

    def __init__(self, name: str, args: RoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._role = iam.Role(
            name,
            # Roles have no region: the same environment in two of them needs two names.
            name=args.context.naming.global_name(args.name_suffix, limit=64),
            assume_role_policy=document([args.trust]),
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
                policy=document(args.statements),
                opts=self.child_options(),
            )
        self.register_outputs({"arn": self.arn})

    @property
    def arn(self) -> pulumi.Output[str]:
        arn: pulumi.Output[str] = self._role.arn
        return arn
