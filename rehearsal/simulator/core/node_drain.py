"""The check of a simulated cloud before it replaces nodes of a cluster: whether the nodes can be drained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class BlockedEviction:
    """A pod that cannot be evicted from its node.

    node    the node's name
    pod     `namespace/name`
    budget  the name of the PodDisruptionBudget that allows no disruption
    error   the API server's message
    detail  how many healthy pods the budget needs, and how many there are
    """

    node: str
    pod: str
    budget: str
    error: str
    detail: str


class NodeDrain(Protocol):
    """A dry run of draining the nodes of a pool."""

    def find_blocked_eviction(self, pool: str) -> BlockedEviction | None:
        """The first pod on a pool's nodes that cannot be evicted now; None if all of them can."""


class _NoCluster:
    def find_blocked_eviction(self, pool: str) -> BlockedEviction | None:  # noqa: ARG002 there are no pods
        return None


NO_CLUSTER: NodeDrain = _NoCluster()
"""Without a control plane there are no pods."""
