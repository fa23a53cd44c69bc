"""The workloads in rendered objects: replicas, pods, and the disruption budgets that select them. Proves nothing.

They include Prometheus and Alertmanager: the operator creates a StatefulSet for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kernel.paths import look_up

Manifest = Mapping[str, Any]

# Kinds for which an operator creates StatefulSets, and the labels of their pods.
# Source: https://prometheus-operator.dev/docs/platform/platform-guide/
_OPERATED = {"Prometheus": "prometheus", "Alertmanager": "alertmanager"}


@dataclass(frozen=True)
class ReplicatedWorkload:
    """A workload with a number of replicas."""

    name: str
    namespace: str
    replicas: int
    labels: Mapping[str, str]
    pod: Manifest

    def find_budgets(self, objects: Iterable[Manifest], namespace: str) -> list[Manifest]:
        """The budgets that select its pods; `namespace` applies to objects that do not name one."""
        return [
            manifest["spec"]
            for manifest in objects
            if manifest["kind"] == "PodDisruptionBudget"
            and manifest["metadata"].get("namespace", namespace) == self.namespace
            and self.is_selected(manifest["spec"]["selector"])
        ]

    def is_selected(self, selector: Manifest) -> bool:
        """Whether a label selector without expressions selects its pods."""
        labels: Mapping[str, str] = selector.get("matchLabels") or {}
        return bool(labels) and labels.items() <= self.labels.items()

    def allows_disruption(self, budget: Manifest) -> bool:
        """Whether a budget allows the eviction of one pod while all are healthy."""
        if "maxUnavailable" in budget:
            return str(budget["maxUnavailable"]) not in ("0", "0%")
        return int(budget["minAvailable"]) < self.replicas


def list_replicated_workloads(objects: Iterable[Manifest], namespace: str) -> Iterator[ReplicatedWorkload]:
    """Deployments and StatefulSets; `namespace` applies to objects that do not name one."""
    for manifest in objects:
        metadata, spec = manifest["metadata"], manifest.get("spec") or {}
        where = f"{manifest['kind']}/{metadata['name']}", metadata.get("namespace", namespace)
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            template = spec["template"]
            yield ReplicatedWorkload(*where, spec.get("replicas", 1), template["metadata"]["labels"], template["spec"])
        elif manifest["kind"] in _OPERATED:
            labels = {
                "app.kubernetes.io/name": _OPERATED[manifest["kind"]],
                "operator.prometheus.io/name": metadata["name"],
                manifest["kind"].lower(): metadata["name"],
            }
            yield ReplicatedWorkload(*where, spec.get("replicas", 1), labels, spec)


def list_containers(manifest: Manifest) -> list[Manifest]:
    """The containers of a rendered workload; none for other objects."""
    spec = look_up(manifest, "spec.jobTemplate.spec.template.spec", look_up(manifest, "spec.template.spec", None))
    return [*spec["containers"], *spec.get("initContainers", ())] if isinstance(spec, Mapping) else []
