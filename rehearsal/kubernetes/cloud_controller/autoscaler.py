"""A simulation of AKS's cluster autoscaler: it adds a node on which an unschedulable pod fits, and removes idle nodes.

It evaluates a pod's requests, node selector, required node affinity and tolerations, and no other reasons that prevent
scheduling, such as the zone of a volume or ports in use. EKS has no autoscaler unless the stack installs one.

Source: https://learn.microsoft.com/azure/aks/cluster-autoscaler-overview
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

from kernel.pod_resources import ResourceAmounts, pod_requests
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.cloud_controller import nodes, vm_sizes
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster, NodePool
from rehearsal.kubernetes.cloud_controller.reconciler import SIMULATED_SELECTOR
from rehearsal.kubernetes.readiness.capacity import node_allocatable, tolerates

_SCALE_UP_COOLDOWN = 20  # seconds in which a pod causes at most one new node: the scheduler retries it after up to ten
_IDLE_TIME = 60  # seconds after which a node without work is removed; AKS waits ten minutes
_FreeAmounts: TypeAlias = dict[str, Fraction]


class Autoscaler:
    """Decides how many nodes to add to each pool, and which to remove."""

    def __init__(self, api: ApiClient, version: str) -> None:
        self._api = api
        self._version = version
        self._last_scale_up: dict[str, float] = {}  # monotonic clock, keyed by the UID of the pod that caused it

    def plan_scale_up(self, cluster: ManagedCluster, *, with_gpus: bool) -> Mapping[str, int]:
        """The number of nodes to add, keyed by pool."""
        scalable = [pool for pool in cluster.pools if pool.max_count > pool.count]
        pending = [
            pod for pod in self._api.list("v1", "Pod", field_selector="spec.nodeName=") if _is_unschedulable(pod)
        ]
        if not scalable or not pending:
            return {}
        existing = self._api.list("v1", "Node")
        free = self._free_amounts(existing)
        headroom = {pool.name: pool.max_count - _count_nodes(pool, existing) for pool in scalable}
        templates = {
            pool.name: self._build_template(cluster, pool, with_gpus=with_gpus)
            for pool in scalable
            if _has_known_size(pool)
        }
        added: list[tuple[NodePool, _FreeAmounts]] = []
        for pod in pending:
            if self._fits_existing_node(pod, existing, free) or _fits_added_node(pod, added, templates):
                continue
            for pool in scalable:
                if headroom[pool.name] > 0 and pool.name in templates and _fits(*templates[pool.name], pod):
                    headroom[pool.name] -= 1
                    added.append((pool, _subtract(templates[pool.name][1], pod_requests(pod))))
                    self._last_scale_up[pod["metadata"]["uid"]] = time.monotonic()
                    break
        return {pool.name: sum(1 for added_to, _ in added if added_to is pool) for pool in scalable}

    def find_idle_nodes(self, cluster: ManagedCluster) -> frozenset[str]:
        """The nodes that the autoscaler has added and that run only pods of DaemonSets."""
        names = []
        for node in self._api.list("v1", "Node", label_selector=SIMULATED_SELECTOR):
            pool = next((pool for pool in cluster.pools if pool.name == nodes.pool_name(node)), None)
            if pool and nodes.node_index(node) >= pool.count and _age(node) > _IDLE_TIME:
                name = node["metadata"]["name"]
                pods = self._api.list("v1", "Pod", field_selector=f"spec.nodeName={name}")
                if all(_is_daemon(pod) for pod in pods):
                    names.append(name)
        return frozenset(names)

    def describe_scale_ups(self, cluster: ManagedCluster) -> list[str]:
        """One sentence for each pool that has been scaled up."""
        existing = self._api.list("v1", "Node", label_selector=SIMULATED_SELECTOR)
        counts = ((pool, _count_nodes(pool, existing)) for pool in cluster.pools)
        return [
            f"The simulated autoscaler scaled pool {pool.name} from {pool.count} to {count} nodes (maximum "
            f"{pool.max_count}) for pods that did not fit"
            for pool, count in counts
            if count > pool.count
        ]

    def _fits_existing_node(self, pod: Object, existing: Sequence[Object], free: Mapping[str, _FreeAmounts]) -> bool:
        """Whether a pod needs no new node: it has recently caused one, or it fits on an existing node."""
        last_scale_up = self._last_scale_up.get(pod["metadata"]["uid"], -_SCALE_UP_COOLDOWN)
        if time.monotonic() < last_scale_up + _SCALE_UP_COOLDOWN:
            return True
        if "anti-affinity" in _unschedulable_message(pod):
            return False
        for node in existing:
            node_free = free[node["metadata"]["name"]]
            if _fits(node, node_free, pod):
                node_free.update(_subtract(node_free, pod_requests(pod)))
                return True
        return False

    def _free_amounts(self, existing: Iterable[Object]) -> Mapping[str, _FreeAmounts]:
        """The resources of each node that its pods leave free."""
        free = {node["metadata"]["name"]: dict(node_allocatable(node)) for node in existing}
        for pod in self._api.list("v1", "Pod"):
            name = pod["spec"].get("nodeName")
            if name in free and pod["status"].get("phase") not in ("Succeeded", "Failed"):
                free[name] = _subtract(free[name], pod_requests(pod))
        return free

    def _build_template(
        self, cluster: ManagedCluster, pool: NodePool, *, with_gpus: bool
    ) -> tuple[Object, _FreeAmounts]:
        """A new node of a pool, and the resources that the pods of DaemonSets leave free on it."""
        node = nodes.build_node(cluster, pool, pool.count, self._version, with_gpus=with_gpus)
        free = dict(node_allocatable(node))
        for daemon_set in self._api.list("apps/v1", "DaemonSet"):
            pod = daemon_set["spec"]["template"]
            if _fits(node, free, pod):
                free = _subtract(free, pod_requests(pod))
        return node, free


def _has_known_size(pool: NodePool) -> bool:
    try:
        vm_sizes.azure_vm_size(pool.size)
    except vm_sizes.UnknownVmSizeError:
        return False
    return True


def _fits_added_node(
    pod: Object,
    added: Sequence[tuple[NodePool, _FreeAmounts]],
    templates: Mapping[str, tuple[Object, _FreeAmounts]],
) -> bool:
    """Whether a node that is about to be added anyway has room for a pod; if so, reserve it."""
    for pool, free in added:
        if _fits(templates[pool.name][0], free, pod):
            free.update(_subtract(free, pod_requests(pod)))
            return True
    return False


def _is_unschedulable(pod: Object) -> bool:
    return bool(_unschedulable_message(pod)) and "deletionTimestamp" not in pod["metadata"]


def _unschedulable_message(pod: Object) -> str:
    """Why the scheduler found no node for a pod; empty if it has reported no reason."""
    for condition in pod["status"].get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return str(condition.get("message"))
    return ""


def _is_daemon(pod: Object) -> bool:
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", ()))


def _count_nodes(pool: NodePool, existing: Iterable[Object]) -> int:
    return sum(1 for node in existing if nodes.pool_name(node) == pool.name)


def _age(node: Object) -> float:
    """Seconds since a node's creation."""
    created = datetime.datetime.fromisoformat(node["metadata"]["creationTimestamp"])
    return (datetime.datetime.now(datetime.UTC) - created).total_seconds()


def _subtract(free: ResourceAmounts, requests: ResourceAmounts) -> _FreeAmounts:
    """The free resources after one more pod with these requests."""
    left = {resource: amount - requests.get(resource, Fraction(0)) for resource, amount in free.items()}
    return {**left, "pods": left.get("pods", Fraction(0)) - 1}


def _fits(node: Object, free: ResourceAmounts, pod: Object) -> bool:
    """Whether the scheduler would place a pod on a node with these free resources."""
    spec, labels = pod["spec"], node["metadata"].get("labels", {})
    if node["spec"].get("unschedulable"):
        return False
    if any(labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    tolerations = spec.get("tolerations", ())
    if any(not any(tolerates(toleration, taint) for toleration in tolerations) for taint in _pool_taints(node)):
        return False
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")
    if terms and not any(_matches_term(term, labels) for term in terms):
        return False
    needed = {"pods": Fraction(1), **pod_requests(pod)}
    return all(amount <= free.get(resource, Fraction(0)) for resource, amount in needed.items() if amount)


def _pool_taints(node: Object) -> Iterator[Mapping[str, Any]]:
    """The taints of the node's pool that prevent scheduling."""
    for taint in node["spec"].get("taints", ()):
        if taint["effect"] != "PreferNoSchedule" and not nodes.LIFECYCLE_TAINT.match(taint["key"]):
            yield taint


def _matches_term(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    expressions = term.get("matchExpressions", ())
    return "matchFields" not in term and all(_matches_expression(expression, labels) for expression in expressions)


def _matches_expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#operators"""
    value, values = labels.get(expression["key"]), expression.get("values", ())
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(expression["operator"], False)
