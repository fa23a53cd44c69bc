"""PodDisruptionBudgets for workloads whose charts do not have one."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget, PodDisruptionBudgetSpecArgs


def create_disruption_budget(
    name: str, namespace: str, replicas: int, labels: Mapping[str, str], opts: pulumi.ResourceOptions
) -> None:
    """Allow the eviction of one replica at a time, if there are several.

    A budget for a single replica would prevent its node from being drained.
    """
    if replicas > 1:
        PodDisruptionBudget(
            name,
            metadata=ObjectMetaArgs(name=name, namespace=namespace),
            spec=PodDisruptionBudgetSpecArgs(max_unavailable=1, selector=LabelSelectorArgs(match_labels=labels)),
            opts=opts,
        )
