"""Whether a pool's nodes could be drained, determined by dry runs of evictions at the API server.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.cloud_controller.nodes import pool_name
from rehearsal.kubernetes.cloud_controller.reconciler import SIMULATED_SELECTOR
from rehearsal.simulator.core.node_drain import BlockedEviction

_TOO_MANY_REQUESTS = 429
_ENDED = ("Succeeded", "Failed")


class ClusterDrain:
    """The nodes of the rehearsal's cluster."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def find_blocked_eviction(self, pool: str) -> BlockedEviction | None:
        """The first pod on a pool's nodes that cannot be evicted now; None if all can."""
        nodes = self._api.list("v1", "Node", label_selector=SIMULATED_SELECTOR)
        names = {node["metadata"]["name"] for node in nodes if pool_name(node) == pool}
        pods = (pod for pod in self._api.list("v1", "Pod") if pod["spec"].get("nodeName") in names)
        found = (self._try_to_evict(pod) for pod in pods if not _stays(pod))
        return next(filter(None, found), None)

    def _try_to_evict(self, pod: Object) -> BlockedEviction | None:
        metadata = pod["metadata"]
        identity = {"name": metadata["name"], "namespace": metadata["namespace"]}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": identity}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
        try:
            self._api.request("POST", path, {"dryRun": "All"}, {**eviction, "deleteOptions": {"dryRun": ["All"]}})
        except ApiError as error:
            causes = [cause for cause in error.details.get("causes", ()) if cause.get("reason") == "DisruptionBudget"]
            if error.status != _TOO_MANY_REQUESTS or not causes:
                return None  # the pod was deleted meanwhile, or the error is transient
            detail = str(causes[0].get("message", ""))
            return BlockedEviction(
                node=str(pod["spec"]["nodeName"]),
                pod=f"{metadata['namespace']}/{metadata['name']}",
                budget=_read_budget(detail),
                error=str(error),
                detail=detail,
            )
        return None


def _stays(pod: Object) -> bool:
    """Whether a drain skips a pod: it has ended, is being deleted, or belongs to a DaemonSet."""
    owners = pod["metadata"].get("ownerReferences", ())
    has_ended = pod.get("status", {}).get("phase") in _ENDED or "deletionTimestamp" in pod["metadata"]
    return has_ended or any(owner["kind"] == "DaemonSet" for owner in owners)


def _read_budget(detail: str) -> str:
    """The budget's name in `The disruption budget NAME needs 1 healthy pods and has 1 currently`."""
    words = detail.split()
    return words[3] if len(words) > 3 else ""
