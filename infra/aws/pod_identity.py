"""Roles of pods, each for one service account of the cluster."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_aws import eks

from infra.access import Controller, Workload
from infra.aws.cluster import Cluster
from infra.aws.iam import Role, RoleArgs, Statement, trust_pods
from infra.contract import Endpoint, Identity
from infra.core.component import Component, StackContext

# The address of EKS's agent on each node, which provides pods with credentials.
# Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
_TOKENS = Endpoint(["169.254.170.23/32"], 80)


def create_pod_identity(
    name: str,
    pod: Workload | Controller,
    statements: Sequence[Statement],
    context: StackContext,
    cluster: Cluster,
    parent: Component,
) -> Identity:
    """A role with these permissions that exactly one service account of the cluster can assume."""
    role = Role(
        name,
        RoleArgs(
            context,
            pod.name,
            trust_pods(cluster.physical_name, pod.namespace, pod.service_account),
            statements=statements,
        ),
        parent.child_options(),
    )
    association = eks.PodIdentityAssociation(
        name,
        cluster_name=cluster.name,
        namespace=pod.namespace,
        service_account=pod.service_account,
        role_arn=role.arn,
        tags=context.naming.tags,
        opts=parent.child_options(depends_on=[role]),
    )
    # EKS provides credentials only to pods that start after the association exists.
    arn = pulumi.Output.all(role.arn, association.association_id).apply(lambda known: str(known[0]))
    return Identity(principal=arn, token_endpoint=_TOKENS)
