"""Requests of pods and resources of nodes: per node pool for the summary, per node for unscheduled pods.

Amounts are exact: cores, bytes and counts as fractions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from kernel.pod_resources import ResourceAmounts, parse_amounts, pod_requests, sum_amounts
from rehearsal.kubernetes.client import ApiClient, Object

# The labels that name a node's pool: this project's, then AKS's and EKS's.
# Source: https://learn.microsoft.com/azure/aks/use-labels, https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html
_POOL_LABELS = ("groundwork/pool", "kubernetes.azure.com/agentpool", "eks.amazonaws.com/nodegroup")
_GIB = 2**30
_NONE = Fraction(0)


@dataclass(frozen=True)
class NodePoolUsage:
    """Requests of the pods on a pool's nodes, and the nodes' allocatable resources: CPU in cores, memory in bytes."""

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
    def summary_line(self) -> str:
        """One line of the summary; with GPUs only if the pool has any."""
        gpu = f"gpu {self.gpu_requested} of {self.gpu_allocatable}" if self.gpu_allocatable else ""
        columns = [
            f"{self.pool:11}",
            f"{self.nodes} node{'s' if self.nodes != 1 else ''}",
            f"cpu {_format_usage(self.cpu_requested, self.cpu_allocatable, 1)}",
            f"memory {_format_usage(self.memory_requested, self.memory_allocatable, _GIB, ' GiB')}",
            f"pods {self.pods} of {self.pods_allocatable}",
            gpu,
        ]
        return "   ".join(columns).rstrip()


def node_allocatable(node: Object) -> ResourceAmounts:
    """The resources of a node that are allocatable to pods."""
    return parse_amounts(node.get("status", {}).get("allocatable", {}))


def node_pool_name(node: Object) -> str:
    """The pool that a node belongs to; empty if its labels name none."""
    labels = node["metadata"].get("labels", {})
    return next((labels[label] for label in _POOL_LABELS if label in labels), "")


def list_pool_usage(api: ApiClient) -> list[NodePoolUsage]:
    """The usage of every node pool, sorted by name."""
    pods, nodes_by_pool = _select_active(api.list("v1", "Pod")), _group_by_pool(api.list("v1", "Node"))
    return [_measure_pool(name, nodes_by_pool[name], pods) for name in sorted(nodes_by_pool)]


def summarize_capacity(api: ApiClient) -> list[str]:
    """The lines of the summary: one for each node pool, and one for unscheduled pods if there are any."""
    lines = [usage.summary_line for usage in list_pool_usage(api)]
    unscheduled = [pod for pod in _select_active(api.list("v1", "Pod")) if not pod["spec"].get("nodeName")]
    if unscheduled:
        requested = sum_amounts(pod_requests(pod) for pod in unscheduled)
        gpu = f"   gpu {_count_gpus(requested)}" if _count_gpus(requested) else ""
        count = f"{len(unscheduled)} pod{'s' if len(unscheduled) != 1 else ''}"
        cpu, memory = _one_decimal(requested.get("cpu", _NONE)), _one_decimal(requested.get("memory", _NONE) / _GIB)
        lines.append(f"{'unscheduled':11}   {count}   cpu {cpu}   memory {memory} GiB{gpu}")
    return lines


def explain_insufficient_resource(pod: Object, nodes: Iterable[Object], resource: str) -> str:
    """The figures behind the scheduler's `Insufficient <resource>`: the pod's request, and eligible nodes' resources.

    Empty if none of the nodes is eligible.
    """
    eligible = [node for node in nodes if may_run_on(pod, node)]
    if not eligible:
        return ""
    largest = max(eligible, key=lambda node: node_allocatable(node).get(resource, _NONE))
    requested = pod_requests(pod).get(resource, _NONE)
    available = node_allocatable(largest).get(resource, _NONE)
    request, pool = f"it requests {_format_amount(resource, requested)}", node_pool_name(largest) or "unknown"
    if not available:
        return f"{request}, which no node offers"
    if requested > available:
        return f"{request}, more than the {_format_amount(resource, available)} of the largest node, of pool {pool}"
    return f"{request}: pool {pool} is full"


def may_run_on(pod: Object, node: Object) -> bool:
    """Whether a pod tolerates a node's taints and its nodeSelector matches the node's labels."""
    taints = (taint for taint in node["spec"].get("taints", ()) if taint["effect"] != "PreferNoSchedule")
    tolerations = pod["spec"].get("tolerations", ())
    tolerated = (any(tolerates(toleration, taint) for toleration in tolerations) for taint in taints)
    return _selects(pod, node) and all(tolerated)


def tolerates(toleration: Mapping[str, str], taint: Mapping[str, str]) -> bool:
    """Whether a toleration matches a taint.

    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
    """
    return (
        toleration.get("effect") in (None, "", taint["effect"])
        and toleration.get("key") in (None, "", taint["key"])
        and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""))
    )


def explain_unmatched_node_selector(pod: Object, nodes: Iterable[Object]) -> str:
    """Explain that no node has the labels in a pod's nodeSelector; empty if one has them."""
    if any(_selects(pod, node) for node in nodes):
        return ""
    labels = ", ".join(f"{key}: {value}" for key, value in pod["spec"].get("nodeSelector", {}).items())
    return f"no node has the labels {labels}" if labels else ""


def _selects(pod: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in pod["spec"].get("nodeSelector", {}).items())


def _format_amount(resource: str, amount: Fraction) -> str:
    """Format an amount for people: `3.86 CPU`, `12.4 GiB memory`, `1 nvidia.com/gpu`."""
    if resource in ("memory", "ephemeral-storage"):
        return f"{float(round(amount / _GIB, 1)):g} GiB {resource}"
    return f"{float(round(amount, 3)):g} {'CPU' if resource == 'cpu' else resource}"


def _measure_pool(name: str, nodes: Sequence[Object], pods: Iterable[Object]) -> NodePoolUsage:
    node_names = {node["metadata"]["name"] for node in nodes}
    on_pool = [pod for pod in pods if pod["spec"].get("nodeName") in node_names]
    requested, allocatable = sum_amounts(map(pod_requests, on_pool)), sum_amounts(map(node_allocatable, nodes))
    return NodePoolUsage(
        name or "no pool",
        len(nodes),
        requested.get("cpu", _NONE),
        allocatable.get("cpu", _NONE),
        requested.get("memory", _NONE),
        allocatable.get("memory", _NONE),
        _count_gpus(requested),
        _count_gpus(allocatable),
        len(on_pool),
        int(allocatable.get("pods", _NONE)),
    )


def _group_by_pool(nodes: Iterable[Object]) -> dict[str, list[Object]]:
    groups: dict[str, list[Object]] = {}
    for node in nodes:
        groups.setdefault(node_pool_name(node), []).append(node)
    return groups


def _select_active(pods: Iterable[Object]) -> list[Object]:
    """The pods whose requests are allocated or pending, without completed pods."""
    return [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]


def _count_gpus(amounts: ResourceAmounts) -> Fraction:
    return sum((amount for name, amount in amounts.items() if name.endswith("/gpu")), _NONE)


def _format_usage(requested: Fraction, allocatable: Fraction, unit: int, unit_name: str = "") -> str:
    share = f" ({round(requested / allocatable * 100)} %)" if allocatable else ""
    return f"{_one_decimal(requested / unit)} of {_one_decimal(allocatable / unit)}{unit_name}{share}"


def _one_decimal(amount: Fraction) -> str:
    return f"{float(amount):.1f}"
