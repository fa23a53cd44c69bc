"""Requests of pods and resources of nodes: quantities, the scheduler's sums, and the lines of the summary.

Proves the arithmetic on objects in memory. tests/cluster proves that it agrees with the real scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import pytest

from kernel import pod_resources
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness import capacity
from tests.support.objects_in_memory import FakeApiClient

GPU = "nvidia.com/gpu"
TAINT = {"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}


def node(
    name: str,
    labels: Mapping[str, str],
    taints: Sequence[Object] = (),
    *,
    cpu: str = "3860m",
    memory: str = "12Gi",
    gpu: str = "",
) -> Object:
    gpus = {GPU: gpu} if gpu else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "30", **gpus}},
    }


def container(cpu: str = "", memory: str = "", gpu: str = "", *, sidecar: bool = False) -> Mapping[str, Any]:
    requests = {name: amount for name, amount in (("cpu", cpu), ("memory", memory), (GPU, gpu)) if amount}
    return {"resources": {"requests": requests}, **({"restartPolicy": "Always"} if sidecar else {})}


def pod(*containers: Object, on: str = "", phase: str = "Running", **spec: Any) -> Object:
    name = {"nodeName": on} if on else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod", "namespace": "shop"},
        "spec": {"containers": list(containers), **name, **spec},
        "status": {"phase": phase},
    }


def number_pods(*pods: Object) -> list[Object]:
    return [{**pod, "metadata": {**pod["metadata"], "name": f"pod-{number}"}} for number, pod in enumerate(pods)]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", Fraction(0)),
        ("0.5", Fraction(1, 2)),
        ("100m", Fraction(1, 10)),
        ("1500m", Fraction("1.5")),
        ("1.5Gi", Fraction(1536 * 1024**2)),
        ("1536Mi", Fraction(1536 * 1024**2)),
        ("128974848", Fraction(128974848)),
        ("129e6", Fraction(129_000_000)),
        ("129M", Fraction(129_000_000)),
        ("128974848000m", Fraction(128974848)),
        ("123Mi", Fraction(128974848)),
        ("12E6", Fraction(12_000_000)),
        ("1e3", Fraction(1000)),
        ("1e-3", Fraction(1, 1000)),
        ("2E", Fraction(2 * 10**18)),
        ("2Ei", Fraction(2 * 1024**6)),
        ("1k", Fraction(1000)),
        ("5u", Fraction(5, 10**6)),
        ("5n", Fraction(5, 10**9)),
        (".5", Fraction(1, 2)),
        ("2.", Fraction(2)),
        ("+1", Fraction(1)),
        ("-1", Fraction(-1)),
    ],
)
def test_quantities_are_read_exactly(text: str, amount: Fraction) -> None:
    """Most are examples of https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/."""
    assert pod_resources.parse_quantity(text) == amount


@pytest.mark.parametrize("text", ["", "m", "1K", "1ki", "1 Gi", "1e", "1.2.3", "0x10", "1Gi "])
def test_an_invalid_quantity_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        pod_resources.parse_quantity(text)


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        (pod(container("1"), container("500m")), "1.5"),
        (pod(container("1"), initContainers=[container("3")]), "3"),
        (pod(container("2"), initContainers=[container("1"), container("1")]), "2"),
        (pod(container("1"), initContainers=[container("500m", sidecar=True)]), "1.5"),
        # An init container runs beside the sidecars that were started before it, not beside later ones.
        (pod(container("1"), initContainers=[container("1", sidecar=True), container("3")]), "4"),
        (pod(container("1"), initContainers=[container("3"), container("1", sidecar=True)]), "3"),
        (pod(container("1"), initContainers=[container("3")], overhead={"cpu": "250m"}), "3.25"),
        (pod({}), "0"),
    ],
)
def test_requests_of_a_pod_are_what_the_scheduler_reserves(spec: Object, cpu: str) -> None:
    assert pod_resources.pod_requests(spec).get("cpu", Fraction(0)) == Fraction(cpu)


def test_each_resource_of_a_pod_is_computed_separately() -> None:
    requests = pod_resources.pod_requests(
        pod(container("1", memory="1Gi"), initContainers=[container("100m", memory="4Gi")])
    )
    assert requests == {"cpu": 1, "memory": 4 * 2**30}


def test_pools_are_identified_by_the_labels_of_project_and_clouds() -> None:
    nodes = [
        node("a", {"groundwork/pool": "user", "kubernetes.azure.com/agentpool": "user1"}),
        node("b", {"kubernetes.azure.com/agentpool": "user"}),
        node("c", {"eks.amazonaws.com/nodegroup": "system"}),
        node("d", {}),
    ]
    found = capacity.list_pool_usage(FakeApiClient(*nodes))
    assert [(usage.pool, usage.nodes) for usage in found] == [("no pool", 1), ("system", 1), ("user", 2)]


def test_a_pool_counts_its_active_pods() -> None:
    pods = number_pods(
        pod(container("500m", memory="1Gi"), on="a"),
        pod(container("1"), on="a", phase="Pending"),
        pod(container("9"), on="a", phase="Succeeded"),
        pod(container("9"), on="a", phase="Failed"),
        pod(container("9"), on="elsewhere"),
        pod(container("9"), phase="Pending"),
    )
    (usage,) = capacity.list_pool_usage(FakeApiClient(node("a", {"groundwork/pool": "user"}), *pods))
    assert (usage.cpu_requested, usage.cpu_allocatable) == (Fraction("1.5"), Fraction("3.86"))
    assert (usage.memory_requested, usage.memory_allocatable) == (Fraction(2**30), Fraction(12 * 2**30))
    assert (usage.pods, usage.pods_allocatable) == (2, 30)
    assert not usage.gpu_requested + usage.gpu_allocatable


def test_the_summary_has_a_line_for_each_pool_and_one_for_unscheduled_pods() -> None:
    nodes = [
        node("s1", {"groundwork/pool": "system"}),
        node("s2", {"groundwork/pool": "system"}),
        node("g1", {"groundwork/pool": "training"}, gpu="2"),
    ]
    pods = number_pods(
        pod(container("800m", memory="1288490188800m"), on="s1"),
        pod(container("1", gpu="1"), on="g1"),
        pod(container("16", memory="64Gi"), phase="Pending"),
        pod(container("16", gpu="2"), phase="Pending"),
    )
    assert capacity.summarize_capacity(FakeApiClient(*nodes, *pods)) == [
        "system        2 nodes   cpu 0.8 of 7.7 (10 %)   memory 1.2 of 24.0 GiB (5 %)   pods 1 of 60",
        "training      1 node   cpu 1.0 of 3.9 (26 %)   memory 0.0 of 12.0 GiB (0 %)   pods 1 of 30   gpu 1 of 2",
        "unscheduled   2 pods   cpu 32.0   memory 64.0 GiB   gpu 2",
    ]
    assert len(capacity.summarize_capacity(FakeApiClient(*nodes))) == 2


@pytest.mark.parametrize(
    ("tolerations", "may_run"),
    [
        ([], False),
        ([{"operator": "Exists"}], True),
        ([{"key": "CriticalAddonsOnly", "operator": "Exists"}], True),
        ([{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}], True),
        ([{"key": "CriticalAddonsOnly", "value": "false"}], False),
        ([{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoExecute"}], False),
        ([{"key": "other", "operator": "Exists"}], False),
    ],
)
def test_a_tainted_node_accepts_only_pods_that_tolerate_the_taint(
    tolerations: Sequence[Object], *, may_run: bool
) -> None:
    tainted = node("a", {"disk": "fast"}, [TAINT])
    assert capacity.may_run_on(pod(tolerations=tolerations), tainted) is may_run
    assert capacity.may_run_on(pod(tolerations=tolerations, nodeSelector={"disk": "slow"}), tainted) is False


def test_a_node_selector_is_compared_with_all_labels_of_a_node() -> None:
    nodes = [node("a", {"disk": "fast"}, [TAINT]), node("b", {"zone": "1"})]
    assert capacity.explain_unmatched_node_selector(pod(nodeSelector={"disk": "fast"}), nodes) == ""
    assert capacity.explain_unmatched_node_selector(pod(), nodes) == ""
    unmatched = pod(nodeSelector={"disk": "fast", "zone": "1"})
    assert capacity.explain_unmatched_node_selector(unmatched, nodes) == "no node has the labels disk: fast, zone: 1"


def test_a_prefer_no_schedule_taint_is_ignored() -> None:
    assert capacity.may_run_on(pod(), node("a", {}, [{**TAINT, "effect": "PreferNoSchedule"}]))


@pytest.mark.parametrize(
    ("container_manifest", "resource", "explanation"),
    [
        (container("16"), "cpu", "it requests 16 CPU, more than the 3.86 CPU of the largest node, of pool user"),
        (container("3"), "cpu", "it requests 3 CPU: pool user is full"),
        (
            container(memory="13Gi"),
            "memory",
            "it requests 13 GiB memory, more than the 12 GiB memory of the largest node, of pool user",
        ),
        (container(gpu="1"), GPU, "it requests 1 nvidia.com/gpu, which no node offers"),
    ],
)
def test_insufficient_resources_are_explained_by_eligible_nodes(
    container_manifest: Object, resource: str, explanation: str
) -> None:
    larger = node("b", {"groundwork/pool": "system"}, [TAINT], cpu="64", memory="256Gi", gpu="8")
    smaller = node("c", {"groundwork/pool": "user"}, cpu="2", memory="4Gi")
    nodes = [larger, smaller, node("a", {"groundwork/pool": "user"})]
    assert capacity.explain_insufficient_resource(pod(container_manifest), nodes, resource) == explanation
    assert capacity.explain_insufficient_resource(pod(container_manifest), [larger], resource) == ""
