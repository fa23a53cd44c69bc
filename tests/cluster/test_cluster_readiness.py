"""Readiness of the cluster itself, the wait until it is stable, and the summary of its capacity.

Proves on a real control plane that namespaces, nodes, API services and custom resource definitions that are not ready
are problems, that a snapshot is consistent, when the wait ends, and that the scheduler agrees with the summary. The
conditions of nodes are set by hand, since their controller takes a quarter of a minute or more.
"""

from __future__ import annotations

import dataclasses
import time
from functools import partial

import pytest

from rehearsal.kubernetes.client import ApiClient, ApiUnreachableError, Object
from rehearsal.kubernetes.readiness import capacity, custom_objects, workloads
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from tests.support.namespaced_cluster import HUGE, NamespacedCluster, build_manifest, create_temporarily, unique_name
from tests.support.waiting import eventually


def test_a_namespace_that_is_stuck_in_deletion(cluster: NamespacedCluster) -> None:
    cluster.create("ConfigMap", "held", metadata={"finalizers": ["example.org/hold"]})
    cluster.api.delete("v1", "Namespace", cluster.namespace)
    problem = cluster.expect_problem("Some content in the namespace has finalizers remaining: example.org/hold")
    cluster.patch("v1", "ConfigMap", "held", {"metadata": {"finalizers": None}})
    assert problem.workload == f"Namespace {cluster.namespace}"
    assert "The controller that removes example.org/hold must be running" in problem.remedy


def test_a_node_that_is_not_ready(cluster: NamespacedCluster) -> None:
    name = unique_name("lost")
    ready = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni plugin not initialized"}
    with create_temporarily(cluster.api, build_manifest("v1", "Node", name, status={"conditions": [ready]})):
        assert cluster.expect_problem("not Ready: cni plugin not initialized", namespace="").workload == f"Node {name}"
        assert workloads.find_problems(cluster.api, cluster.namespace) == []


def test_an_api_service_that_does_not_answer(cluster: NamespacedCluster) -> None:
    name = f"v1.{unique_name('ghost')}.example.org"
    service = {"name": "ghost", "namespace": cluster.namespace}
    spec = {"group": name[3:], "version": "v1", "service": service, "groupPriorityMinimum": 100, "versionPriority": 1}
    with create_temporarily(cluster.api, build_manifest("apiregistration.k8s.io/v1", "APIService", name, spec=spec)):
        assert cluster.expect_problem("not Available: service/ghost", namespace="").workload == f"APIService {name}"


def build_definition(group: str, plural: str, kind: str) -> Object:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind}, "versions": [version]}
    return build_manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{plural}.{group}", spec=spec)


def test_a_custom_kind_whose_name_is_in_use(cluster: NamespacedCluster) -> None:
    group = f"{unique_name('conflict')}.example.org"
    definitions = [build_definition(group, plural, "Ship") for plural in ("ships", "boats")]
    with create_temporarily(cluster.api, *definitions):
        assert group in cluster.expect_problem("not Established: not all names are accepted", namespace="").workload
        assert "Ship" not in custom_objects.count_unserved_objects(cluster.api)


def test_custom_objects_are_counted_unless_a_real_controller_serves_them(cluster: NamespacedCluster) -> None:
    group = f"{unique_name('fleet')}.example.org"
    kinds = (("tugs", "Tug"), ("ferries", "Ferry"), ("rafts", "Raft"))
    with create_temporarily(cluster.api, *(build_definition(group, plural, kind) for plural, kind in kinds)):
        for kind, name in (("Tug", "one"), ("Tug", "two"), ("Tug", "three"), ("Ferry", "one")):
            eventually(partial(cluster.create, kind, name, f"{group}/v1"))
        unserved = custom_objects.count_unserved_objects(cluster.api, served_kinds=["Ferry"])
    assert unserved["Tug"] == 3
    assert unserved.keys().isdisjoint({"Ferry", "Raft"})


def test_a_snapshot_is_consistent(cluster: NamespacedCluster) -> None:
    """Otherwise a pod's claim could be listed without the pod, or a Job's failure without the failed pod."""
    snapshot = Snapshot(cluster.api, cluster.namespace)
    cluster.create("ConfigMap", "before")
    assert not snapshot.list("v1", "Pod")
    cluster.create("ConfigMap", "since")
    assert snapshot.get("v1", "ConfigMap", "before", cluster.namespace)
    assert not snapshot.get("v1", "ConfigMap", "since", cluster.namespace)


def restrict_to_namespace(cluster: NamespacedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat half a second without changes as stable, and check only the test's own namespace: others change."""
    monkeypatch.setattr(workloads, "_STABLE_AFTER", 0.5)
    monkeypatch.setattr(workloads, "find_problems", partial(workloads.find_problems, namespace=cluster.namespace))


def test_the_wait_ends_when_problems_no_longer_change(
    cluster: NamespacedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    restrict_to_namespace(cluster, monkeypatch)
    cluster.create_workload("Deployment", HUGE)
    started = time.monotonic()
    (problem,) = workloads.wait_until_stable(cluster.api, timeout=60)
    assert time.monotonic() - started < 40
    assert problem.workload == f"Deployment {cluster.namespace}/web"


def test_the_wait_for_a_problem_without_a_reason_times_out(
    cluster: NamespacedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    restrict_to_namespace(cluster, monkeypatch)
    cluster.create_workload("Deployment", pod={"schedulerName": "nobody"})
    started = time.monotonic()
    (problem,) = workloads.wait_until_stable(cluster.api, timeout=2)
    assert 2 <= time.monotonic() - started < 20
    assert problem.reason == "0/1 pods ready: no reason reported yet"


def test_an_unreachable_api_server_is_an_error_at_once(cluster: NamespacedCluster) -> None:
    with pytest.raises(ApiUnreachableError):
        workloads.wait_until_stable(
            ApiClient(dataclasses.replace(cluster.api.config, server="https://127.0.0.1:9")), timeout=20
        )


def test_the_scheduler_agrees_with_the_capacity_summary(cluster: NamespacedCluster, pool: str) -> None:
    """If the summary shows that a node is full to the last milli-CPU, the scheduler places no other pod."""

    def build_container(name: str, cpu: str, **fields: str) -> Object:
        return {"name": name, "image": "web", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}, **fields}

    on_pool = {"nodeSelector": {"groundwork/pool": pool}, "tolerations": [{"operator": "Exists"}]}
    init = [build_container("sidecar", "500m", restartPolicy="Always"), build_container("step", "1500m")]
    cluster.create(
        "Pod", "first", spec={"containers": [build_container("main", "1")], "initContainers": init, **on_pool}
    )
    cluster.expect_problems_of()
    (usage,) = (usage for usage in capacity.list_pool_usage(cluster.api) if usage.pool == pool)
    assert (
        usage.summary_line
        == f"{pool:11}   1 node   cpu 2.0 of 2.0 (100 %)   memory 2.0 of 4.0 GiB (50 %)   pods 1 of 30"
    )
    cluster.create("Pod", "second", spec={"containers": [build_container("main", "1m")], **on_pool})
    assert (
        cluster.expect_problem(f"it requests 0.001 CPU: pool {pool} is full").workload
        == f"Pod {cluster.namespace}/second"
    )
    assert capacity.summarize_capacity(cluster.api)[-1].startswith("unscheduled   ")
