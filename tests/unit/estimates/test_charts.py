"""What charts cost, according to what their pods request from pools, and what could be saved.

Proves the arithmetic on two pools. Not proven: where a scheduler would place a pod that fits on both.
"""

from __future__ import annotations

from typing import Any

import pytest

from estimates import NodeSize, list_pools, list_savings, list_workloads, load_prices, monthly_cost, share_pools
from estimates.charts import Pool
from tests.support.estimated_resources import USAGE, provider, resource

SYSTEM, USER = Pool("system", "small", 2, 200.0, is_tainted=True), Pool("user", "small", 2, 400.0, is_tainted=False)
SIZES = {"small": NodeSize(4, 16)}
NODES = "aws:eks/nodeGroup:NodeGroup"
PRICES = load_prices()


def workload(kind: str, cpu: str, memory: str, replicas: int = 1, **pod: Any) -> dict[str, Any]:
    containers = [{"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]
    return {"kind": kind, "spec": {"replicas": replicas, "template": {"spec": {"containers": containers, **pod}}}}


def test_a_chart_pays_for_the_share_that_its_pods_request() -> None:
    costs, uses = share_pools([SYSTEM, USER], {"app": [workload("Deployment", "1", "4Gi", replicas=2)]}, SIZES)
    # 2 of 8 cores and 8 of 32 GiB are a quarter of both.
    assert [(cost.chart, cost.pool, cost.cpu, cost.memory_gib, cost.usd) for cost in costs] == [
        ("app", "user", 2, 8, 100)
    ]
    assert [(use.pool.name, use.unused_usd) for use in uses] == [("system", 200), ("user", 300)]


def test_shares_are_the_mean_of_cpu_and_memory() -> None:
    (cost,), _ = share_pools([USER], {"app": [workload("Deployment", "4", "0")]}, SIZES)
    assert cost.usd == 100  # half of the cores, none of the memory


@pytest.mark.parametrize(
    ("pod", "pool"),
    [
        ({}, "user"),
        ({"tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}]}, "system"),
        ({"nodeSelector": {"groundwork/pool": "system"}}, "system"),
    ],
)
def test_pods_are_counted_on_the_pool_that_they_can_run_on(pod: dict[str, Any], pool: str) -> None:
    (cost,), _ = share_pools([SYSTEM, USER], {"app": [workload("Deployment", "1", "1Gi", **pod)]}, SIZES)
    assert cost.pool == pool


def test_a_daemon_set_has_a_pod_on_every_node() -> None:
    costs, _ = share_pools([SYSTEM, USER], {"agent": [workload("DaemonSet", "1", "1Gi")]}, SIZES)
    assert {(cost.pool, cost.cpu) for cost in costs} == {("system", 2), ("user", 2)}


def test_a_prometheus_requests_the_resources_of_its_pods() -> None:
    manifest = {"kind": "Prometheus", "spec": {"replicas": 2, "resources": {"requests": {"cpu": "500m"}}}}
    (cost,), _ = share_pools([USER], {"monitoring": [manifest]}, SIZES)
    assert cost.cpu == 1


def test_jobs_and_stopped_workloads_request_nothing() -> None:
    manifests = [workload("Job", "1", "1Gi"), workload("Deployment", "1", "1Gi", replicas=0)]
    assert share_pools([USER], {"app": manifests}, SIZES)[0] == []


def test_pools_are_read_from_the_stack_with_their_minimum_size() -> None:
    stack = [
        provider("aws"),
        resource(
            NODES,
            "cluster-user",
            instanceTypes=["m6i.xlarge"],
            scalingConfig={"minSize": 2, "maxSize": 9},
            labels={"groundwork/pool": "user"},
        ),
    ]
    (pool,) = list_pools(stack, monthly_cost(stack, PRICES, USAGE))
    assert (pool.name, pool.size, pool.nodes, pool.is_tainted) == ("user", "m6i.xlarge", 2, False)
    assert pool.usd == pytest.approx(312.44)


def test_workloads_of_the_program_are_listed_by_component_and_those_of_charts_by_release() -> None:
    own = resource("kubernetes:apps/v1:Deployment", "promotion", **workload("Deployment", "1", "1Gi"))
    charts = {"urn::kubernetes:helm.sh/v3:Release::mlflow": [workload("Deployment", "1", "1Gi")]}
    found = list_workloads([own, resource("kubernetes:core/v1:Secret", kind="Secret")], charts)
    assert {name: len(manifests) for name, manifests in found.items()} == {"other": 1, "mlflow": 1}


def test_savings_are_computed_independently() -> None:
    logs = resource("aws:cloudwatch/logGroup:LogGroup", retentionInDays=90)
    pools = [
        resource(NODES, "user", instanceTypes=["m6i.xlarge"], scalingConfig={"minSize": 2}),
        resource(NODES, "system", instanceTypes=["m6i.xlarge"], scalingConfig={"minSize": 2}, taints=[{"key": "a"}]),
    ]
    stack = [provider("aws"), *pools, logs]
    estimate = monthly_cost(stack, PRICES, USAGE)
    savings = {saving.name: saving.usd for saving in list_savings(stack, PRICES, USAGE, estimate)}
    assert savings["spot"] == pytest.approx(0.90 * 312.44)
    assert savings["reservation"] == pytest.approx(0.72 * 2 * 312.44)
    assert savings["schedule"] == pytest.approx(4 * (730 - 220) * 0.214)
    assert savings["scale to zero"] == pytest.approx(312.44 * 510 / 730)
    assert savings["retention"] == pytest.approx(20 * 2 * 0.03)
