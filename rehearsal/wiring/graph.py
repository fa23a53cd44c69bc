"""The input of the wiring rules: resources in the clouds, and objects in the cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kernel.paths import look_up
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.pod_texts import PodUse, list_pod_uses
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from rehearsal.simulator.core.resource_model import Resource, StateReader
from rehearsal.simulator.core.state_store import StateStore

AKS, EKS = "azure-native:containerservice:ManagedCluster", "aws:eks/cluster:Cluster"
RULE_API = "monitoring.coreos.com/v1"


@dataclass(frozen=True)
class StackResources:
    """A stack's resources in an account that other stacks may share; `find` covers the whole account."""

    account: StateStore
    stack: str

    def find(self, reference: str) -> Resource | None:
        return self.account.find(reference)

    def all(self, type_: str) -> Iterable[Resource]:
        return [record for record in self.account.all(type_) if self._has(record.urn)]

    def _has(self, urn: str) -> bool:
        """Resources that services create themselves have no URN, and belong to every stack."""
        return not urn or urn.startswith(f"urn:pulumi:{self.stack}::")


@dataclass(frozen=True)
class Wiring:
    """Both sides of every connection.

    clouds   the stack's resources in the simulated clouds
    cluster  the objects in the cluster; empty without a cluster
    """

    clouds: StateReader
    cluster: Snapshot

    @cached_property
    def pods(self) -> list[PodUse]:
        return list_pod_uses(self.cluster)

    def find_account(self, namespace: str, name: str) -> Object | None:
        """A service account."""
        return self.cluster.get("v1", "ServiceAccount", name, namespace)

    def find_one(self, type_: str, path: str, value: Any) -> Resource | None:
        """The resource of a type with this input, or output."""
        return next(self.find_all(type_, path, value), None)

    def find_all(self, type_: str, path: str, value: Any) -> Iterator[Resource]:
        """Resources of a type with this input, or output."""
        for resource in self.clouds.all(type_):
            if value in (look_up(resource.inputs, path, None), look_up(resource.outputs, path, None)):
                yield resource


Rule = Callable[[Wiring], Iterable[Problem]]
"""Reports missing connections."""


def describe(resource: Resource) -> str:
    """A resource's kind and name, for messages."""
    kind = resource.type.rpartition(":")[2]
    return f"{kind} {get_name(resource)}"


def get_name(resource: Resource) -> str:
    return resource.id.rpartition("/")[2] or resource.id


def is_same(one: Any, other: Any) -> bool:
    """Whether two of Azure's IDs are equal, ignoring case."""
    return str(one).lower() == str(other).lower()


def mentions(text: str, name: str) -> bool:
    """Whether a text contains a name as a whole, and not as a part of a longer one."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


def get_annotations(found: Mapping[str, Any]) -> Mapping[str, str]:
    return look_up(found, "metadata.annotations", {}) or {}
