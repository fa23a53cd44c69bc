"""What pods ask for and what nodes have: per pool, for the summary, and node by node, for the verdict.

Amounts are exact: cores, bytes and counts as fractions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rehearsal.kubernetes.client import ApiClient, Object

Amounts = Mapping[str, Fraction]  # by resource as Kubernetes names it: cpu, memory, pods, nvidia.com/gpu

# Where a node says which pool it belongs to: this project's own label, then those of AKS and EKS.
# Source: https://learn.microsoft.com/azure/aks/use-labels, https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html
_POOL_LABELS = ("groundwork/pool", "kubernetes.azure.com/agentpool", "eks.amazonaws.com/nodegroup")
_GIB = 2**30

# Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(\d+\.?\d*|\.\d+))((?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?\d+))?"
)
_SUFFIXES: Mapping[str, Fraction] = {
    **{f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)},
    **{letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", 1)},
    **{letter: Fraction(1, 1000**power) for power, letter in enumerate("mun", 1)},
}


@dataclass(frozen=True)
class PoolUse:
    """What the pods on a pool's nodes ask for and what its nodes have: CPU in cores, memory in bytes."""

    pool: str
    nodes: int
    cpu_requested: Fraction
    cpu_allocatable: Fraction
    memory_requested: Fraction
    memory_allocatable: Fraction
    gpu_requested: Fraction
    gpu_allocatable: Fraction
    pods: int
    pods_allocatable: int

    @property
    def text(self) -> str:
        """A line of the summary; GPUs only where there are any."""
        gpu = f"gpu {self.gpu_requested} of {self.gpu_allocatable}" if self.gpu_allocatable else ""
        columns = [
            f"{self.pool:11}",
            f"{self.nodes} node{'s' if self.nodes != 1 else ''}",
            f"cpu {_used(self.cpu_requested, self.cpu_allocatable, 1)}",
            f"memory {_used(self.memory_requested, self.memory_allocatable, _GIB, ' GiB')}",
            f"pods {self.pods} of {self.pods_allocatable}",
            gpu,
        ]
        return "   ".join(columns).rstrip()


def parse_quantity(text: str | float) -> Fraction:
    """A quantity as Kubernetes writes it: `100m`, `1.5Gi`, `12e6`. Raises ValueError for what is none."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(
            f"{text!r} is no quantity: a number, then a suffix such as m, k, M, Gi, or an exponent such as e3"
        )
    scale = Fraction(10) ** int(match["exponent"] or 0)
    return Fraction(match["number"]) * scale * _SUFFIXES.get(match["suffix"], Fraction(1))


def requests(pod: Object) -> Amounts:
    """What the scheduler sets aside for a pod.

    Its containers and sidecars (init containers that are always restarted) together, or an init container beside the
    sidecars started before it where that is more; and the overhead of its runtime class.
    Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    spec = pod["spec"]
    sidecars: Amounts = {}
    most: Amounts = {}
    for container in spec.get("initContainers", ()):
        now = _sum([sidecars, _requested(container)])
        most = _most(most, now)
        if container.get("restartPolicy") == "Always":
            sidecars = now
    running = _sum([sidecars, *map(_requested, spec["containers"])])
    return _sum([_most(most, running), _amounts(spec.get("overhead", {}))])


def allocatable(node: Object) -> Amounts:
    """What a node has for pods."""
    return _amounts(node.get("status", {}).get("allocatable", {}))


def pool(node: Object) -> str:
    """The pool that a node belongs to, empty where it says none."""
    labels = node["metadata"].get("labels", {})
    return next((labels[label] for label in _POOL_LABELS if label in labels), "")


def per_pool(api: ApiClient) -> list[PoolUse]:
    """Every pool, in the order of their names, with what is on it now."""
    pods, members = _holding(api.list("v1", "Pod")), _by_pool(api.list("v1", "Node"))
    return [_use(name, members[name], pods) for name in sorted(members)]


def lines(api: ApiClient) -> list[str]:
    """The summary's lines: one for each pool, and one for the pods that are on no node, if there are any."""
    waiting = [pod for pod in _holding(api.list("v1", "Pod")) if not pod["spec"].get("nodeName")]
    asked = _sum(requests(pod) for pod in waiting)
    found = [use.text for use in per_pool(api)]
    if waiting:
        gpu = f"   gpu {_gpus(asked)}" if _gpus(asked) else ""
        count = f"{len(waiting)} pod{'s' if len(waiting) != 1 else ''}"
        cpu, memory = asked.get("cpu", Fraction(0)), asked.get("memory", Fraction(0))
        found.append(f"{'unscheduled':11}   {count}   cpu {_tenths(cpu)}   memory {_tenths(memory / _GIB)} GiB{gpu}")
    return found


def lacking(pod: Object, nodes: Iterable[Object], resource: str) -> str:
    """The numbers behind the scheduler's `Insufficient <resource>`: what a pod asks for, and what the nodes have that
    it may run on. Empty where it may run on none."""
    possible = [node for node in nodes if may_run(pod, node)]
    if not possible:
        return ""
    largest = max(possible, key=lambda node: allocatable(node).get(resource, Fraction(0)))
    asked, has = requests(pod).get(resource, Fraction(0)), allocatable(largest).get(resource, Fraction(0))
    asks, name = f"it asks {_amount(resource, asked)}", pool(largest) or "unknown"
    if not has:
        return f"{asks}, which no node offers"
    if asked > has:
        return f"{asks}, more than the {_amount(resource, has)} of the largest node, of pool {name}"
    return f"{asks}: pool {name} is full"


def may_run(pod: Object, node: Object) -> bool:
    """Whether a node's taints and a pod's nodeSelector leave the two together."""
    taints = (taint for taint in node["spec"].get("taints", ()) if taint["effect"] != "PreferNoSchedule")
    tolerations = pod["spec"].get("tolerations", ())
    tolerated = (any(_tolerates(toleration, taint) for toleration in tolerations) for taint in taints)
    return _selects(pod, node) and all(tolerated)


def unlabelled(pod: Object, nodes: Iterable[Object]) -> str:
    """That no node has the labels which a pod's nodeSelector asks for; empty where one has."""
    if any(_selects(pod, node) for node in nodes):
        return ""
    labels = ", ".join(f"{key}: {value}" for key, value in pod["spec"].get("nodeSelector", {}).items())
    return f"no node has the labels {labels}" if labels else ""


def _selects(pod: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in pod["spec"].get("nodeSelector", {}).items())


def _tolerates(toleration: Mapping[str, str], taint: Mapping[str, str]) -> bool:
    """Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"""
    return (
        toleration.get("effect") in (None, "", taint["effect"])
        and toleration.get("key") in (None, "", taint["key"])
        and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""))
    )


def _amount(resource: str, amount: Fraction) -> str:
    """For people: `3.86 CPU`, `12.4 GiB memory`, `1 nvidia.com/gpu`."""
    if resource in ("memory", "ephemeral-storage"):
        return f"{float(round(amount / _GIB, 1)):g} GiB {resource}"
    return f"{float(round(amount, 3)):g} {'CPU' if resource == 'cpu' else resource}"


def _use(name: str, nodes: Sequence[Object], pods: Iterable[Object]) -> PoolUse:
    names = {node["metadata"]["name"] for node in nodes}
    here = [pod for pod in pods if pod["spec"].get("nodeName") in names]
    asked, snapshot = _sum(map(requests, here)), _sum(map(allocatable, nodes))
    nothing = Fraction(0)
    return PoolUse(
        name or "no pool",
        len(nodes),
        asked.get("cpu", nothing),
        snapshot.get("cpu", nothing),
        asked.get("memory", nothing),
        snapshot.get("memory", nothing),
        _gpus(asked),
        _gpus(snapshot),
        len(here),
        int(snapshot.get("pods", nothing)),
    )


def _by_pool(nodes: Iterable[Object]) -> dict[str, list[Object]]:
    members: dict[str, list[Object]] = {}
    for node in nodes:
        members.setdefault(pool(node), []).append(node)
    return members


def _holding(pods: Iterable[Object]) -> list[Object]:
    """The pods that hold what they asked for, or wait for it; those that have ended do not."""
    return [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]


def _requested(container: Object) -> Amounts:
    return _amounts(container.get("resources", {}).get("requests", {}))


def _amounts(resources: Mapping[str, str]) -> Amounts:
    return {name: parse_quantity(amount) for name, amount in resources.items()}


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    total: dict[str, Fraction] = {}
    for some in amounts:
        for name, amount in some.items():
            total[name] = total.get(name, Fraction(0)) + amount
    return total


def _most(one: Amounts, other: Amounts) -> Amounts:
    nothing = Fraction(0)
    return {name: max(one.get(name, nothing), other.get(name, nothing)) for name in {*one, *other}}


def _gpus(amounts: Amounts) -> Fraction:
    return sum((amount for name, amount in amounts.items() if name.endswith("/gpu")), Fraction(0))


def _used(asked: Fraction, snapshot: Fraction, unit: int, name: str = "") -> str:
    share = f" ({round(asked / snapshot * 100)} %)" if snapshot else ""
    return f"{_tenths(asked / unit)} of {_tenths(snapshot / unit)}{name}{share}"


def _tenths(amount: Fraction) -> str:
    return f"{float(amount):.1f}"
