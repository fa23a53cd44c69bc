"""What is not ready in the cluster: one problem, and how the objects in it are named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from rehearsal.kubernetes.client import Object


@dataclass(frozen=True)
class Problem:
    """One reason why something is not ready.

    workload  `Deployment mlflow/mlflow`; `Node user-0` where there is no namespace
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
"""Problems, each with the object that has it: its annotations tell which Helm release it belongs to."""


def describe_object(found: Object) -> str:
    """An object in messages: `Deployment mlflow/mlflow`, `Node user-0`."""
    namespace = found["metadata"].get("namespace", "")
    return f"{found['kind']} {namespace + '/' if namespace else ''}{found['metadata']['name']}"
