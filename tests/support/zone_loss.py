"""Drains the nodes of a zone as `kubectl drain` does, and finds what cannot be rescheduled. Proves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kernel.paths import look_up
from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from tests.support.waiting import eventually

ZONE_LABEL = "topology.kubernetes.io/zone"
_TOO_MANY_REQUESTS = 429
_NOT_FOUND = 404


@dataclass
class ZoneLoss:
    """The loss of one zone: its nodes accept no more pods, and their pods are evicted.

    refusals  the budget's message at a pod's last refused eviction, keyed by pod
    """

    api: ApiClient
    zone: str
    refusals: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def drained(self, timeout: float) -> Iterator[None]:
        """Drain the zone; at the end, its nodes accept pods again.

        Raises AssertionError with the pods that could not be evicted within `timeout` seconds.
        """
        self._mark(unschedulable=True)
        try:
            eventually(self._evict_all, timeout)
        except AssertionError:
            raise AssertionError(f"not evicted from {self.zone}: {self.refusals}") from None
        try:
            yield
        finally:
            self._mark(unschedulable=False)

    def list_bound_pods(self) -> list[Object]:
        """The pods that wait for the zone because one of their volumes is in it."""
        return [pod for pod in self.api.list("v1", "Pod") if not pod["spec"].get("nodeName") and self._is_bound(pod)]

    def _mark(self, *, unschedulable: bool) -> None:
        for node in self._nodes().values():
            self.api.patch(node, {"spec": {"unschedulable": unschedulable}})

    def _nodes(self) -> Mapping[str, Object]:
        nodes = self.api.list("v1", "Node", label_selector=f"{ZONE_LABEL}={self.zone}")
        return {node["metadata"]["name"]: node for node in nodes}

    def _evict_all(self) -> bool:
        """Evict every pod that the budgets allow now; returns whether none is left."""
        names = self._nodes().keys()
        pods = [pod for pod in self.api.list("v1", "Pod") if pod["spec"].get("nodeName") in names and _moves(pod)]
        for pod in pods:
            self._evict(pod)
        return not pods

    def _evict(self, pod: Object) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        try:
            self.api.request("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body=body)
        except ApiError as error:
            if error.status not in (_TOO_MANY_REQUESTS, _NOT_FOUND):
                raise
            self.refusals[f"{namespace}/{name}"] = str(error)

    def _is_bound(self, pod: Object) -> bool:
        namespace = pod["metadata"]["namespace"]
        claims = [each["persistentVolumeClaim"] for each in pod["spec"]["volumes"] if "persistentVolumeClaim" in each]
        for claim in claims:
            found = self.api.get("v1", "PersistentVolumeClaim", claim["claimName"], namespace)
            volume = self.api.get("v1", "PersistentVolume", look_up(found, "spec.volumeName", "none"))
            terms: Any = look_up(volume, "spec.nodeAffinity.required.nodeSelectorTerms", ())
            if any(self.zone in expression["values"] for term in terms for expression in term["matchExpressions"]):
                return True
        return False


def _moves(pod: Object) -> bool:
    """Whether a drain evicts a pod: pods of DaemonSets stay, and completed pods use no resources."""
    owners = pod["metadata"].get("ownerReferences", ())
    return pod["status"].get("phase") not in ("Succeeded", "Failed") and not any(
        owner["kind"] == "DaemonSet" for owner in owners
    )


def is_running(pod: Object) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
    return pod["status"].get("phase") == "Running" and conditions.get("Ready") == "True"


def find_stateful_siblings(api: ApiClient, pod: Object) -> list[Object]:
    """The other pods of the same StatefulSet."""
    owners = {owner["uid"] for owner in pod["metadata"].get("ownerReferences", ())}
    return [
        each
        for each in api.list("v1", "Pod", pod["metadata"]["namespace"])
        if each["metadata"]["uid"] != pod["metadata"]["uid"]
        and any(owner["uid"] in owners for owner in each["metadata"].get("ownerReferences", ()))
    ]
