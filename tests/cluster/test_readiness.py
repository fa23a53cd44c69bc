"""Each reason why something does not become ready in a real control plane is one problem, with its remedy.

Proves it defect by defect against the real scheduler, admission and controllers. Only the conditions of nodes and
autoscalers are set by hand, since their controllers take a quarter of a minute or more. Does not prove that a remedy
helps. The checks of a kubelet are in tests/unit; one case here shows that they find their objects.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.readiness import capacity, custom_objects, workloads
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from tests.support.waiting import eventually

_numbers = itertools.count(1)

SMALL = {"resources": {"requests": {"cpu": "10m"}}}
HUGE = {"resources": {"requests": {"cpu": "16"}}}
LARGE = {"resources": {"requests": {"cpu": "2500m"}}}  # a node has room for one, not for two
WITH_GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
POD_CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet", "Job")


@dataclasses.dataclass(frozen=True)
class NamespacedCluster:
    """The cluster as seen from one namespace."""

    api: ApiClient
    namespace: str

    def create(
        self, kind: str, name: str, api_version: str = "v1", metadata: Object | None = None, **fields: Any
    ) -> None:
        named = {"name": name, "namespace": self.namespace, **(metadata or {})}
        self.api.create({"apiVersion": api_version, "kind": kind, "metadata": named, **fields})

    def patch(self, api_version: str, kind: str, name: str, change: Object, subresource: str = "") -> None:
        named = {"name": name, "namespace": self.namespace}
        self.api.patch({"apiVersion": api_version, "kind": kind, "metadata": named}, change, subresource)

    def workload(self, kind: str, container: Object = SMALL, pod: Object | None = None, **spec: Any) -> None:
        """Create a workload `web` of one of the POD_CONTROLLERS; `pod` and `spec` extend what each needs."""
        labels = {"app": "web"}
        main = {"name": "main", "image": "registry.example/web:1", **container}
        restarts = {"restartPolicy": "Never"} if kind == "Job" else {}
        metadata = {"labels": labels, "annotations": spec.pop("annotations", {})}
        template = {"metadata": metadata, "spec": {"containers": [main], **restarts, **(pod or {})}}
        selector = {"selector": {"matchLabels": labels}}
        needed: Mapping[str, Mapping[str, Any]] = {
            "Deployment": selector,
            "StatefulSet": {**selector, "serviceName": "web"},
            "DaemonSet": selector,
            "Job": {"backoffLimit": 0},
        }
        api_version = "batch/v1" if kind == "Job" else "apps/v1"
        self.create(kind, "web", api_version, spec={"template": template, **needed[kind], **spec})

    def expect_problem(self, message: str, namespace: str | None = None) -> Problem:
        """Wait for exactly one problem whose reason contains a message, and return it."""

        def reported() -> Problem:
            problems = workloads.find_problems(self.api, self.namespace if namespace is None else namespace)
            found = [problem for problem in problems if message in problem.reason]
            assert len(found) == 1, [problem.message for problem in problems]
            return found[0]

        return eventually(reported)

    def expect_problems_of(self, *names: str, release: str = "") -> None:
        """Wait until exactly these workloads have a problem. Its reason may change meanwhile."""

        def reported() -> bool:
            problems = workloads.find_problems(self.api, self.namespace, release)
            assert [problem.workload for problem in problems] == [*names]
            return True

        eventually(reported)


def unnamespaced(api_version: str, kind: str, name: str, **fields: Any) -> Object:
    """The manifest of an object without a namespace."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **fields.pop("metadata", {})}, **fields}


@contextmanager
def temporary(api: ApiClient, *manifests: Object) -> Iterator[None]:
    """Objects without a namespace that exist while the context lasts."""
    for manifest in manifests:
        api.create(manifest)
    try:
        yield
    finally:
        for manifest in manifests:
            api.delete(manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"])


@pytest.fixture
def cluster(plane: ControlPlane, namespace: str) -> NamespacedCluster:
    return NamespacedCluster(plane.api, namespace)


@pytest.fixture
def pool(plane: ControlPlane) -> Iterator[str]:
    """The name of a node pool with one tainted node of two cores."""
    name = f"pool{next(_numbers)}"
    marks = {"labels": {"groundwork/pool": name}, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    taint = {"key": "dedicated", "value": name, "effect": "NoSchedule"}
    size = {"cpu": "2", "memory": "4Gi", "pods": "30"}
    status = {"allocatable": size, "capacity": size}
    with temporary(
        plane.api, unnamespaced("v1", "Node", name, metadata=marks, spec={"taints": [taint]}, status=status)
    ):
        yield name


def test_ready_workloads_have_no_problem(cluster: NamespacedCluster) -> None:
    for kind in POD_CONTROLLERS:
        cluster.workload(kind)
    cluster.create("Service", "web", spec={"ports": [{"port": 80}], "selector": {"app": "web"}})
    cluster.expect_problems_of()


def test_a_pod_that_requests_more_than_any_node_has(cluster: NamespacedCluster) -> None:
    cluster.workload("Deployment", HUGE, replicas=3)
    problem = cluster.expect_problem("Insufficient cpu")
    assert problem.workload == f"Deployment {cluster.namespace}/web"
    assert re.match(r"0/3 pods ready: 0/\d nodes are available: .*\d Insufficient cpu", problem.reason)
    assert "requests 16 CPU, more than the 4 CPU of the largest node, of pool user" in problem.reason
    assert "preemption" not in problem.reason
    assert "groundwork:cluster.userPool.size" in problem.remedy


@pytest.mark.parametrize(
    ("container", "pod", "message", "remedy"),
    [
        (LARGE, {}, "it requests 2.5 CPU: pool user is full", "groundwork:cluster.userPool.maximum"),
        (WITH_GPU, {}, "it requests 1 nvidia.com/gpu, which no node offers", "LimitRange"),
        (SMALL, {"nodeSelector": {"disk": "fast"}}, "no node has the labels disk: fast", "label a node pool"),
        (SMALL, {"serviceAccountName": "ghost"}, 'serviceaccount "ghost" not found', "infra/access.py"),
    ],
)
def test_a_pod_that_cannot_run_for_other_reasons(
    cluster: NamespacedCluster, container: Object, pod: Object, message: str, remedy: str
) -> None:
    cluster.workload("Deployment", container, pod, replicas=3)
    assert remedy in cluster.expect_problem(message).remedy


def test_a_pod_without_the_toleration_that_it_needs(cluster: NamespacedCluster, pool: str) -> None:
    cluster.workload("Deployment", pod={"nodeSelector": {"groundwork/pool": pool}})
    problem = cluster.expect_problem("1 node(s) had untolerated taint {dedicated: " + pool + "}")
    assert f"Add a toleration of dedicated ({pool}) to `tolerations`" in problem.remedy


def test_a_daemon_set_that_selects_no_node(cluster: NamespacedCluster) -> None:
    cluster.workload("DaemonSet", pod={"nodeSelector": {"disk": "fast"}})
    assert "nodeSelector" in cluster.expect_problem("it selects no node of ").remedy


@pytest.mark.parametrize(
    ("storage_class", "message"),
    [(None, "and no storage class is set"), ("fast", 'storageclass.storage.k8s.io "fast" not found')],
)
def test_a_claim_without_a_storage_class(cluster: NamespacedCluster, storage_class: str | None, message: str) -> None:
    claim = {**CLAIM, **({"storageClassName": storage_class} if storage_class else {})}
    cluster.create("PersistentVolumeClaim", "alone", spec=claim)
    problem = cluster.expect_problem(message)
    assert problem.workload == f"PersistentVolumeClaim {cluster.namespace}/alone"
    assert "ClusterContract.storage_class" in problem.remedy
    cluster.api.delete("v1", "PersistentVolumeClaim", "alone", cluster.namespace)

    cluster.workload("StatefulSet", volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": claim}])
    assert message in cluster.expect_problem("pod has unbound immediate PersistentVolumeClaims; volume data: ").reason


def test_a_claim_whose_csi_driver_is_not_installed(cluster: NamespacedCluster) -> None:
    name = f"driverless-{next(_numbers)}"
    driver = {"provisioner": "disk.example", "volumeBindingMode": "WaitForFirstConsumer"}
    storage_class = unnamespaced("storage.k8s.io/v1", "StorageClass", name, **driver)
    claim = {**CLAIM, "storageClassName": name}
    with temporary(cluster.api, storage_class):
        cluster.create("PersistentVolumeClaim", "unused", spec=claim)
        cluster.workload("StatefulSet", volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": claim}])
        problem = cluster.expect_problem("external provisioner 'disk.example'")
        assert "The CSI driver disk.example is not installed" in problem.remedy
        # A claim that waits for its first pod is no problem.
        cluster.expect_problems_of(problem.workload)


@pytest.mark.parametrize("kind", POD_CONTROLLERS)
def test_an_exceeded_quota(cluster: NamespacedCluster, kind: str) -> None:
    cluster.create("ResourceQuota", "quota", spec={"hard": {"requests.cpu": "5m"}})
    cluster.workload(kind)
    problem = cluster.expect_problem("exceeded quota: quota, requested: requests.cpu=10m")
    assert problem.workload == f"{kind} {cluster.namespace}/web"
    assert "forbidden" not in problem.reason  # nor the name of the pod, which changes with each attempt
    assert (
        "another pod requests requests.cpu=10m, the quota is requests.cpu=5m), or raise the namespace's limits"
        in problem.remedy
    )


@pytest.mark.parametrize("kind", POD_CONTROLLERS)
def test_a_pod_that_violates_the_pod_security_level_of_its_namespace(cluster: NamespacedCluster, kind: str) -> None:
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    cluster.api.patch(unnamespaced("v1", "Namespace", cluster.namespace), level)
    cluster.workload(kind)
    problem = cluster.expect_problem('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false')
    assert problem.workload == f"{kind} {cluster.namespace}/web"
    assert "securityContext" in problem.remedy


def test_a_rollout_that_does_not_progress(cluster: NamespacedCluster) -> None:
    cluster.workload("Deployment")
    cluster.expect_problems_of()
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}}
    cluster.patch("apps/v1", "Deployment", "web", nowhere)
    assert cluster.expect_problem("node affinity/selector").reason.startswith("0/1 pods ready: ")


def test_an_exceeded_limit_range(cluster: NamespacedCluster) -> None:
    cluster.create("LimitRange", "limits", spec={"limits": [{"type": "Container", "max": {"cpu": "1"}}]})
    cluster.workload("Deployment", {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}})
    assert "Keep cpu within 1" in cluster.expect_problem("maximum cpu usage per Container is 1, but limit is 2").remedy


def test_a_webhook_that_nothing_serves(cluster: NamespacedCluster) -> None:
    name = f"ghost-{next(_numbers)}.example.org"
    webhook = {
        "name": name,
        "clientConfig": {"service": {"namespace": cluster.namespace, "name": "ghost"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    group = "admissionregistration.k8s.io/v1"
    with temporary(cluster.api, unnamespaced(group, "ValidatingWebhookConfiguration", name, webhooks=[webhook])):
        eventually(lambda: _is_refused(cluster, name))
        cluster.workload("Deployment")
        problem = cluster.expect_problem(f'failed calling webhook "{name}"')
    assert problem.remedy.startswith(f"Nothing serves the webhook {name}: ")


def test_a_secret_without_the_referenced_key(cluster: NamespacedCluster) -> None:
    cluster.create("Secret", "keys", data={"user": "bmFtZQ=="})
    reference = {"secretKeyRef": {"name": "keys", "key": "password"}}
    cluster.workload("Deployment", {"env": [{"name": "PASSWORD", "valueFrom": reference}]}, replicas=2)
    problem = cluster.expect_problem(
        f"CreateContainerConfigError: couldn't find key password in Secret {cluster.namespace}/keys"
    )
    assert problem.workload == f"Deployment {cluster.namespace}/web"


def test_a_job_that_fails(cluster: NamespacedCluster) -> None:
    cluster.workload("Job", annotations={"rehearsal.groundwork/exit-code": "3"})
    problem = cluster.expect_problem("BackoffLimitExceeded: Job has reached the specified backoff limit")
    assert "container main ended with exit code 3" in problem.reason
    assert "rehearsal.groundwork/exit-code" in problem.remedy


def test_a_job_that_exceeds_its_deadline(cluster: NamespacedCluster) -> None:
    cluster.workload("Job", HUGE, activeDeadlineSeconds=1)
    assert "activeDeadlineSeconds" in cluster.expect_problem("DeadlineExceeded: Job was active longer than").remedy


def test_a_service_that_gets_no_load_balancer(cluster: NamespacedCluster) -> None:
    cluster.create("Service", "web", spec={"type": "LoadBalancer", "ports": [{"port": 80}], "loadBalancerClass": "a/b"})
    assert "ClusterIP" in cluster.expect_problem("it has no load balancer").remedy


def test_an_autoscaler_without_metrics(cluster: NamespacedCluster) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    cluster.create(
        "HorizontalPodAutoscaler", "web", "autoscaling/v2", spec={"maxReplicas": 2, "scaleTargetRef": target}
    )
    message = "unable to fetch metrics from resource metrics API: the server could not find the requested resource"
    condition = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": message}
    status = {"status": {"desiredReplicas": 0, "conditions": [condition]}}
    cluster.patch("autoscaling/v2", "HorizontalPodAutoscaler", "web", status, "/status")
    assert "no metrics API" in cluster.expect_problem(f"FailedGetResourceMetric: {message}").remedy


def test_a_namespace_that_is_stuck_in_deletion(cluster: NamespacedCluster) -> None:
    cluster.create("ConfigMap", "held", metadata={"finalizers": ["example.org/hold"]})
    cluster.api.delete("v1", "Namespace", cluster.namespace)
    problem = cluster.expect_problem("Some content in the namespace has finalizers remaining: example.org/hold")
    cluster.patch("v1", "ConfigMap", "held", {"metadata": {"finalizers": None}})
    assert problem.workload == f"Namespace {cluster.namespace}"
    assert "The controller that removes example.org/hold must be running" in problem.remedy


def test_a_node_that_is_not_ready(cluster: NamespacedCluster) -> None:
    name = f"lost-{next(_numbers)}"
    ready = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni plugin not initialized"}
    with temporary(cluster.api, unnamespaced("v1", "Node", name, status={"conditions": [ready]})):
        assert cluster.expect_problem("not Ready: cni plugin not initialized", namespace="").workload == f"Node {name}"
        assert workloads.find_problems(cluster.api, cluster.namespace) == []


def test_an_api_service_that_does_not_answer(cluster: NamespacedCluster) -> None:
    name = f"v1.ghost{next(_numbers)}.example.org"
    service = {"name": "ghost", "namespace": cluster.namespace}
    spec = {"group": name[3:], "version": "v1", "service": service, "groupPriorityMinimum": 100, "versionPriority": 1}
    with temporary(cluster.api, unnamespaced("apiregistration.k8s.io/v1", "APIService", name, spec=spec)):
        assert cluster.expect_problem("not Available: service/ghost", namespace="").workload == f"APIService {name}"


def definition(group: str, plural: str, kind: str) -> Object:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind}, "versions": [version]}
    return unnamespaced("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{plural}.{group}", spec=spec)


def test_a_custom_kind_whose_name_is_taken(cluster: NamespacedCluster) -> None:
    group = f"taken{next(_numbers)}.example.org"
    with temporary(cluster.api, definition(group, "ships", "Ship"), definition(group, "boats", "Ship")):
        assert group in cluster.expect_problem("not Established: not all names are accepted", namespace="").workload
        assert "Ship" not in custom_objects.count_unserved_objects(cluster.api)


def test_custom_objects_are_counted_unless_a_real_controller_serves_them(cluster: NamespacedCluster) -> None:
    group = f"fleet{next(_numbers)}.example.org"
    kinds = (("tugs", "Tug"), ("ferries", "Ferry"), ("rafts", "Raft"))
    with temporary(cluster.api, *(definition(group, plural, kind) for plural, kind in kinds)):
        for kind, name in (("Tug", "one"), ("Tug", "two"), ("Tug", "three"), ("Ferry", "one")):
            eventually(partial(cluster.create, kind, name, f"{group}/v1"))
        found = custom_objects.count_unserved_objects(cluster.api, served_kinds=["Ferry"])
    assert found["Tug"] == 3
    assert found.keys().isdisjoint({"Ferry", "Raft"})


def test_a_release_has_the_problems_of_objects_that_helm_marked(cluster: NamespacedCluster) -> None:
    cluster.workload("Deployment", HUGE)
    cluster.workload("StatefulSet", pod={"nodeSelector": {"disk": "fast"}})
    marked = {"metadata": {"annotations": {"meta.helm.sh/release-name": "shop"}}}
    cluster.patch("apps/v1", "Deployment", "web", marked)
    found = [
        cluster.expect_problem("Insufficient cpu").workload,
        cluster.expect_problem("node affinity/selector").workload,
    ]
    cluster.expect_problems_of(*found)
    cluster.expect_problems_of(*found[:1], release="shop")
    cluster.expect_problems_of(release="other")


def test_a_snapshot_is_consistent(cluster: NamespacedCluster) -> None:
    """Otherwise a pod's claim could be listed without the pod, and a Job's failure without the failed pod."""
    snapshot = Snapshot(cluster.api, cluster.namespace)
    cluster.create("ConfigMap", "before")
    assert not snapshot.list("v1", "Pod")
    cluster.create("ConfigMap", "since")
    assert snapshot.get("v1", "ConfigMap", "before", cluster.namespace)
    assert not snapshot.get("v1", "ConfigMap", "since", cluster.namespace)


def restrict_to_namespace(cluster: NamespacedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat half a second without changes as stable, and check the test's own namespace only: others change."""
    monkeypatch.setattr(workloads, "_STABLE_AFTER", 0.5)
    monkeypatch.setattr(workloads, "find_problems", partial(workloads.find_problems, namespace=cluster.namespace))


def test_the_wait_ends_when_problems_no_longer_change(
    cluster: NamespacedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    restrict_to_namespace(cluster, monkeypatch)
    cluster.workload("Deployment", HUGE)
    started = time.monotonic()
    (problem,) = workloads.wait_until_stable(cluster.api, timeout=60)
    assert time.monotonic() - started < 40
    assert problem.workload == f"Deployment {cluster.namespace}/web"


def test_the_wait_for_a_problem_without_a_reason_times_out(
    cluster: NamespacedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    restrict_to_namespace(cluster, monkeypatch)
    cluster.workload("Deployment", pod={"schedulerName": "nobody"})
    started = time.monotonic()
    (problem,) = workloads.wait_until_stable(cluster.api, timeout=2)
    assert 2 <= time.monotonic() - started < 20
    assert problem.reason == "0/1 pods ready: no reason given yet"


def test_an_unreachable_api_server_is_an_error_at_once(cluster: NamespacedCluster) -> None:
    with pytest.raises(ApiUnreachableError):
        workloads.wait_until_stable(
            ApiClient(dataclasses.replace(cluster.api.config, server="https://127.0.0.1:9")), timeout=20
        )


def test_the_scheduler_agrees_with_the_capacity_summary(cluster: NamespacedCluster, pool: str) -> None:
    """Where the summary says that a node is full to the last milli-CPU, the scheduler places no other pod."""

    def container(name: str, cpu: str, **more: str) -> Object:
        return {"name": name, "image": "web", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}, **more}

    within = {"nodeSelector": {"groundwork/pool": pool}, "tolerations": [{"operator": "Exists"}]}
    init = [container("sidecar", "500m", restartPolicy="Always"), container("step", "1500m")]
    cluster.create("Pod", "first", spec={"containers": [container("main", "1")], "initContainers": init, **within})
    cluster.expect_problems_of()
    (usage,) = (usage for usage in capacity.list_pool_usage(cluster.api) if usage.pool == pool)
    assert (
        usage.summary_line
        == f"{pool:11}   1 node   cpu 2.0 of 2.0 (100 %)   memory 2.0 of 4.0 GiB (50 %)   pods 1 of 30"
    )
    cluster.create("Pod", "second", spec={"containers": [container("main", "1m")], **within})
    assert (
        cluster.expect_problem(f"it requests 0.001 CPU: pool {pool} is full").workload
        == f"Pod {cluster.namespace}/second"
    )
    assert capacity.summarize_capacity(cluster.api)[-1].startswith("unscheduled   ")


def _is_refused(cluster: NamespacedCluster, webhook: str) -> bool:
    """Whether the API server calls a webhook for pods, which it does about a second after its creation."""
    try:
        cluster.create("Pod", f"probe-{next(_numbers)}", spec={"containers": [{"name": "main", "image": "x/y:1"}]})
    except ApiError as error:
        return webhook in str(error)
    return False
