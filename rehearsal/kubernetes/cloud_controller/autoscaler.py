"""AKS's cluster autoscaler, simulated: a node more where a pod waits that it would take, and away when it is idle.

It knows of a pod its requests, node selector, required node affinity and tolerations. What else may keep a pod from a
node, it does not: where a volume is, which ports are taken. EKS has none unless the stack installs one.

Source: https://learn.microsoft.com/azure/aks/cluster-autoscaler-overview
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.cloud_controller import nodes, vm_sizes
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster, NodePool
from rehearsal.kubernetes.cloud_controller.reconciler import SIMULATED_SELECTOR
from rehearsal.kubernetes.readiness.capacity import Amounts, allocatable, requests

_AGAIN = 20  # seconds in which one pod causes one node: the scheduler takes up to ten to look at it again
_IDLE = 60  # seconds after which a node without work goes; AKS waits ten minutes
_Free = dict[str, Fraction]


class Autoscaler:
    """Decides how many nodes more a pool needs."""

    def __init__(self, api: ApiClient, version: str) -> None:
        self._api = api
        self._version = version
        self._helped: dict[str, float] = {}

    def more(self, cluster: ManagedCluster, *, gpus: bool) -> Mapping[str, int]:
        """Nodes to add, by pool."""
        growing = [pool for pool in cluster.pools if pool.max_count > pool.count]
        waiting = [
            pod for pod in self._api.list("v1", "Pod", field_selector="spec.nodeName=") if _is_unschedulable(pod)
        ]
        if not growing or not waiting:
            return {}
        there = self._api.list("v1", "Node")
        free = self._free(there)
        room = {pool.name: pool.max_count - _count(pool, there) for pool in growing}
        fresh = {pool.name: self._fresh(cluster, pool, gpus=gpus) for pool in growing if _is_known(pool)}
        added: list[tuple[NodePool, _Free]] = []
        for pod in waiting:
            if self._finds_room(pod, there, free) or _place(pod, added, fresh):
                continue
            for pool in growing:
                if room[pool.name] > 0 and pool.name in fresh and _takes(*fresh[pool.name], pod):
                    room[pool.name] -= 1
                    added.append((pool, _less(fresh[pool.name][1], requests(pod))))
                    self._helped[pod["metadata"]["uid"]] = time.monotonic()
                    break
        return {pool.name: sum(1 for one, _ in added if one is pool) for pool in growing}

    def idle(self, cluster: ManagedCluster) -> frozenset[str]:
        """Nodes beyond those a pool begins with that run nothing but what runs on every node."""
        names = []
        for node in self._api.list("v1", "Node", label_selector=SIMULATED_SELECTOR):
            pool = next((one for one in cluster.pools if one.name == nodes.pool_name(node)), None)
            if pool and nodes.node_index(node) >= pool.count and _age(node) > _IDLE:
                here = self._api.list("v1", "Pod", field_selector=f"spec.nodeName={node['metadata']['name']}")
                if all(_is_daemon(pod) for pod in here):
                    names.append(node["metadata"]["name"])
        return frozenset(names)

    def notes(self, cluster: ManagedCluster) -> list[str]:
        """The pools that have grown, in words."""
        there = self._api.list("v1", "Node", label_selector=SIMULATED_SELECTOR)
        grown = ((pool, _count(pool, there)) for pool in cluster.pools)
        return [
            f"The simulated autoscaler brought pool {pool.name} from {pool.count} to {count} nodes, of at most "
            f"{pool.max_count}: pods did not fit"
            for pool, count in grown
            if count > pool.count
        ]

    def _finds_room(self, pod: Object, there: Sequence[Object], free: Mapping[str, _Free]) -> bool:
        """Whether a pod needs no new node: it has caused one lately, or one that is there takes it."""
        if time.monotonic() < self._helped.get(pod["metadata"]["uid"], -_AGAIN) + _AGAIN:
            return True
        if "anti-affinity" in _reason(pod):
            return False
        for node in there:
            left = free[node["metadata"]["name"]]
            if _takes(node, left, pod):
                left.update(_less(left, requests(pod)))
                return True
        return False

    def _free(self, there: Iterable[Object]) -> Mapping[str, _Free]:
        free = {node["metadata"]["name"]: dict(allocatable(node)) for node in there}
        for pod in self._api.list("v1", "Pod"):
            name = pod["spec"].get("nodeName")
            if name in free and pod["status"].get("phase") not in ("Succeeded", "Failed"):
                free[name] = _less(free[name], requests(pod))
        return free

    def _fresh(self, cluster: ManagedCluster, pool: NodePool, *, gpus: bool) -> tuple[Object, _Free]:
        """A new node of a pool, and what is left on it beside what runs on every node."""
        node = nodes.node(cluster, pool, pool.count, self._version, gpus=gpus)
        left = dict(allocatable(node))
        for daemon in self._api.list("apps/v1", "DaemonSet"):
            pod = daemon["spec"]["template"]
            if _takes(node, left, pod):
                left = _less(left, requests(pod))
        return node, left


def _is_known(pool: NodePool) -> bool:
    try:
        vm_sizes.azure_vm_size(pool.size)
    except vm_sizes.UnknownVmSizeError:
        return False
    return True


def _place(pod: Object, added: Sequence[tuple[NodePool, _Free]], fresh: Mapping[str, tuple[Object, _Free]]) -> bool:
    """Put a pod onto a node that is about to be added anyway."""
    for pool, left in added:
        if _takes(fresh[pool.name][0], left, pod):
            left.update(_less(left, requests(pod)))
            return True
    return False


def _is_unschedulable(pod: Object) -> bool:
    return bool(_reason(pod)) and "deletionTimestamp" not in pod["metadata"]


def _reason(pod: Object) -> str:
    """Why the scheduler has no node for a pod, empty where it does not say so."""
    conditions = pod["status"].get("conditions", ())
    said = (one for one in conditions if one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable")
    return next((str(one.get("message")) for one in said), "")


def _is_daemon(pod: Object) -> bool:
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", ()))


def _count(pool: NodePool, there: Iterable[Object]) -> int:
    return sum(1 for node in there if nodes.pool_name(node) == pool.name)


def _age(node: Object) -> float:
    made = datetime.datetime.fromisoformat(node["metadata"]["creationTimestamp"])
    return (datetime.datetime.now(datetime.UTC) - made).total_seconds()


def _less(free: Amounts, asked: Amounts) -> _Free:
    left = {resource: amount - asked.get(resource, Fraction(0)) for resource, amount in free.items()}
    return {**left, "pods": left.get("pods", Fraction(0)) - 1}


def _takes(node: Object, free: Amounts, pod: Object) -> bool:
    """Whether a node with so much left would take a pod."""
    spec, labels = pod["spec"], node["metadata"].get("labels", {})
    if node["spec"].get("unschedulable"):
        return False
    if any(labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    if any(not _is_tolerated(taint, spec.get("tolerations", ())) for taint in _taints(node)):
        return False
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")
    if terms and not any(_matches(term, labels) for term in terms):
        return False
    asked = {"pods": Fraction(1), **requests(pod)}
    return all(amount <= free.get(resource, Fraction(0)) for resource, amount in asked.items() if amount)


def _taints(node: Object) -> Iterator[Mapping[str, Any]]:
    """Those that stay, and keep pods away."""
    for taint in node["spec"].get("taints", ()):
        if taint["effect"] != "PreferNoSchedule" and not nodes.LIFECYCLE_TAINT.match(taint["key"]):
            yield taint


def _is_tolerated(taint: Mapping[str, Any], tolerations: Iterable[Mapping[str, Any]]) -> bool:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"""
    return any(
        one.get("key", taint["key"]) == taint["key"]
        and one.get("effect", taint["effect"]) == taint["effect"]
        and (one.get("operator") == "Exists" or one.get("value", "") == taint.get("value", ""))
        for one in tolerations
    )


def _matches(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    expressions = term.get("matchExpressions", ())
    return "matchFields" not in term and all(_holds(one, labels) for one in expressions)


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#operators"""
    value, values = labels.get(expression["key"]), expression.get("values", ())
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(expression["operator"], False)
