"""A problem with something that is not ready in the cluster, and the names of objects in messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from rehearsal.kubernetes.client import Object


@dataclass(frozen=True)
class Problem:
    """One reason why something is not ready.

    workload  `Deployment mlflow/mlflow`; `Node user-0` if there is no namespace
    reason    the message of the scheduler, of admission, of a controller or of a kubelet
    remedy    the setting to change; empty if none is known
    """

    workload: str
    reason: str
    remedy: str

    @property
    def message(self) -> str:
        summary = f"{self.workload}: {self.reason.rstrip('. ')}."
        return f"{summary} Remedy: {self.remedy}" if self.remedy else summary


ProblemsOfObjects: TypeAlias = Iterator[tuple[Object, Problem]]
"""Problems, each with its object, whose annotations identify the Helm release that it belongs to."""


def describe_object(found: Object) -> str:
    """An object's name in messages: `Deployment mlflow/mlflow`, `Node user-0`."""
    namespace = found["metadata"].get("namespace", "")
    return f"{found['kind']} {namespace + '/' if namespace else ''}{found['metadata']['name']}"
