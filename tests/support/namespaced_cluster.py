"""Creates workloads in one test's namespace and waits for their problems. Proves nothing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.readiness import workloads
from rehearsal.kubernetes.readiness.problem import Problem
from tests.support.waiting import eventually

_numbers = itertools.count(1)

SMALL = {"resources": {"requests": {"cpu": "10m"}}}
HUGE = {"resources": {"requests": {"cpu": "16"}}}  # more than any node has
POD_CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet", "Job")


def unique_name(prefix: str) -> str:
    """A name that is unique in this test run."""
    return f"{prefix}-{next(_numbers)}"


@dataclasses.dataclass(frozen=True)
class NamespacedCluster:
    """The cluster as seen from one namespace."""

    api: ApiClient
    namespace: str

    def create(
        self, kind: str, name: str, api_version: str = "v1", metadata: Object | None = None, **fields: Any
    ) -> Object:
        identity = {"name": name, "namespace": self.namespace, **(metadata or {})}
        return self.api.create({"apiVersion": api_version, "kind": kind, "metadata": identity, **fields})

    def read(self, kind: str, name: str, api_version: str = "v1") -> Object:
        """An object of this namespace, which must exist."""
        found = self.api.get(api_version, kind, name, self.namespace)
        assert found is not None, f"there is no {kind} {name}"
        return found

    def patch(self, api_version: str, kind: str, name: str, change: Object, subresource: str = "") -> None:
        identity = {"name": name, "namespace": self.namespace}
        self.api.patch({"apiVersion": api_version, "kind": kind, "metadata": identity}, change, subresource)

    def create_workload(self, kind: str, container: Object = SMALL, pod: Object | None = None, **spec: Any) -> None:
        """Create a workload `web` of one of the POD_CONTROLLERS; `pod` and `spec` extend its required fields."""
        labels = {"app": "web"}
        main = {"name": "main", "image": "registry.example/web:1", **container}
        restarts = {"restartPolicy": "Never"} if kind == "Job" else {}
        metadata = {"labels": labels, "annotations": spec.pop("annotations", {})}
        template = {"metadata": metadata, "spec": {"containers": [main], **restarts, **(pod or {})}}
        selector = {"selector": {"matchLabels": labels}}
        needed: Mapping[str, Mapping[str, Any]] = {
            "Deployment": selector,
            "StatefulSet": {**selector, "serviceName": "web"},
            "DaemonSet": selector,
            "Job": {"backoffLimit": 0},
        }
        api_version = "batch/v1" if kind == "Job" else "apps/v1"
        self.create(kind, "web", api_version, spec={"template": template, **needed[kind], **spec})

    def expect_problem(self, message: str, namespace: str | None = None) -> Problem:
        """Wait for exactly one problem whose reason contains a message, and return it."""

        def find_problem() -> Problem:
            problems = workloads.find_problems(self.api, self.namespace if namespace is None else namespace)
            matching = [problem for problem in problems if message in problem.reason]
            assert len(matching) == 1, [problem.message for problem in problems]
            return matching[0]

        return eventually(find_problem)

    def expect_problems_of(self, *names: str, release: str = "") -> None:
        """Wait until exactly these workloads have a problem. Their reasons may still change."""

        def match_names() -> bool:
            problems = workloads.find_problems(self.api, self.namespace, release)
            assert [problem.workload for problem in problems] == [*names]
            return True

        eventually(match_names)


def build_manifest(api_version: str, kind: str, name: str, **fields: Any) -> Object:
    """The manifest of a cluster-scoped object."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **fields.pop("metadata", {})}, **fields}


@contextmanager
def create_temporarily(api: ApiClient, *manifests: Object) -> Iterator[None]:
    """Create cluster-scoped objects, and delete them when the context ends."""
    for manifest in manifests:
        api.create(manifest)
    try:
        yield
    finally:
        for manifest in manifests:
            api.delete(manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"])
