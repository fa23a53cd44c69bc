"""What each chart costs: its share of the pools that its pods run on, according to their requests, and its volumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from estimates.catalogue.cluster import list_volumes
from estimates.cost import Estimate
from estimates.resources import Resource, find_group
from kernel.pod_resources import ResourceAmounts, parse_amounts, pod_requests

_GIB = 2**30
_CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet")
_OPERATED = ("Prometheus", "Alertmanager")  # an operator creates a StatefulSet for each
_POOL_LABEL = "groundwork/pool"
Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class NodeSize:
    """What a node of a size offers to pods: cores, and GiB of memory."""

    cpu: float
    memory_gib: float


@dataclass(frozen=True)
class Pool:
    """A pool at its smallest size, and what it costs in a month with its nodes' disks."""

    name: str
    size: str
    nodes: int
    usd: float
    is_tainted: bool


@dataclass(frozen=True)
class ChartCost:
    """What a chart's pods request of a pool, and what that share of the pool costs in a month.

    It is the mean of the shares of CPU and memory, so that all shares and the unrequested rest add up to the pool.
    """

    chart: str
    pool: str
    cpu: float
    memory_gib: float
    volumes_gib: float
    usd: float


@dataclass(frozen=True)
class PoolUse:
    """The requests of all pods, compared with what a pool's nodes offer."""

    pool: Pool
    cpu: float
    memory_gib: float
    allocatable: NodeSize

    @property
    def unused_usd(self) -> float:
        """The cost of capacity that no pod requests."""
        return self.pool.usd * (1 - _share(self.cpu, self.memory_gib, self.allocatable))


def list_pools(resources: Sequence[Resource], estimate: Estimate) -> list[Pool]:
    """The pools that a stack declares."""
    rows = {row.urn: row for row in estimate.rows}
    pools = []
    for resource in resources:
        for profile in _list_profiles(resource):
            nodes = int(profile.get("scalingConfig.minSize") or profile.get("minCount") or profile.get("count") or 0)
            row = rows.get(resource.urn)
            usd = sum(item.usd for item in row.items if item.charge.what.startswith("node")) if row else 0.0
            labels = profile.get("labels") or profile.get("nodeLabels") or {}
            name = str(labels.get(_POOL_LABEL) or profile.get("agentPoolName") or profile.name)
            size = str(profile.get("vmSize") or (profile.get("instanceTypes") or [""])[0])
            tainted = bool(profile.get("taints") or profile.get("nodeTaints"))
            pools.append(Pool(name, size, nodes, usd, tainted))
    return pools


def _list_profiles(resource: Resource) -> Iterator[Resource]:
    if resource.type == "azure-native:containerservice:ManagedCluster":
        for profile in resource.get("agentPoolProfiles") or ():
            yield Resource(resource.urn, resource.type, profile)
    elif resource.type in ("azure-native:containerservice:AgentPool", "aws:eks/nodeGroup:NodeGroup"):
        yield resource


def list_workloads(
    resources: Sequence[Resource], charts: Mapping[str, Sequence[Manifest]]
) -> dict[str, list[Manifest]]:
    """Objects with pods or volumes, keyed by release for those of charts, by component for those of the program."""
    by_urn = {resource.urn: resource for resource in resources}
    found: dict[str, list[Manifest]] = {}
    for resource in resources:
        if resource.type.startswith("kubernetes:") and resource.inputs.get("kind") in _CONTROLLERS:
            found.setdefault(find_group(resource, by_urn), []).append(resource.inputs)
    for urn, manifests in charts.items():
        found[urn.rpartition("::")[2]] = list(manifests)
    return found


def share_pools(
    pools: Sequence[Pool], workloads: Mapping[str, Sequence[Manifest]], sizes: Mapping[str, NodeSize]
) -> tuple[list[ChartCost], list[PoolUse]]:
    """What each chart costs on each pool, the most expensive first, and how full the pools are.

    sizes  what a node of each size offers to pods; pools of other sizes are left out
    """
    known = [pool for pool in pools if pool.size in sizes and pool.nodes]
    total = {
        pool.name: NodeSize(sizes[pool.size].cpu * pool.nodes, sizes[pool.size].memory_gib * pool.nodes)
        for pool in known
    }
    costs = []
    for chart, manifests in workloads.items():
        volumes = sum(sum(list_volumes(manifest)) for manifest in manifests)
        requested = _sum_requests(manifests, known)
        for number, pool in enumerate(pool for pool in known if pool.name in requested):
            cpu, memory = requested[pool.name]
            usd = pool.usd * _share(cpu, memory, total[pool.name])
            costs.append(ChartCost(chart, pool.name, cpu, memory, 0 if number else volumes, usd))
    costs.sort(key=lambda cost: -cost.usd)
    uses = [
        PoolUse(
            pool,
            sum(cost.cpu for cost in costs if cost.pool == pool.name),
            sum(cost.memory_gib for cost in costs if cost.pool == pool.name),
            total[pool.name],
        )
        for pool in known
    ]
    return costs, uses


def _share(cpu: float, memory: float, allocatable: NodeSize) -> float:
    return (cpu / allocatable.cpu + memory / allocatable.memory_gib) / 2


def _sum_requests(manifests: Sequence[Manifest], pools: Sequence[Pool]) -> dict[str, tuple[float, float]]:
    """Cores and GiB, keyed by pool."""
    found: dict[str, tuple[float, float]] = {}
    for manifest in manifests:
        for pool, pods, requests in _place(manifest, pools):
            cpu, memory = found.get(pool, (0.0, 0.0))
            more = (float(requests.get("cpu", 0)) * pods, float(requests.get("memory", 0)) * pods / _GIB)
            found[pool] = (cpu + more[0], memory + more[1])
    return found


def _place(manifest: Manifest, pools: Sequence[Pool]) -> Iterator[tuple[str, int, ResourceAmounts]]:
    """The pools that an object's pods run on, how many, and what each requests."""
    kind, spec = manifest.get("kind"), manifest.get("spec") or {}
    if kind in _OPERATED:
        pod: Mapping[str, Any] = spec
        requests = parse_amounts((spec.get("resources") or {}).get("requests") or {})
    elif kind in _CONTROLLERS:
        pod = (spec.get("template") or {}).get("spec") or {}
        requests = pod_requests({"spec": pod}) if pod.get("containers") else {}
    else:
        return
    if kind == "DaemonSet":
        yield from ((pool.name, pool.nodes, requests) for pool in pools)
        return
    replicas = int(spec.get("replicas", 1))
    pool = _choose_pool(pod, pools)
    if pool and replicas:
        yield pool.name, replicas, requests


def _choose_pool(pod: Mapping[str, Any], pools: Sequence[Pool]) -> Pool | None:
    """The pool that a pod names; otherwise a tainted one if it tolerates taints, and an untainted one if not."""
    wanted = (pod.get("nodeSelector") or {}).get(_POOL_LABEL)
    if wanted:
        return next((pool for pool in pools if pool.name == wanted), None)
    tolerates = bool(pod.get("tolerations"))
    return next((pool for pool in pools if pool.is_tainted == tolerates), pools[0] if pools else None)
