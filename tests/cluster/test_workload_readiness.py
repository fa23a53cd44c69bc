"""Each reason why a workload does not become ready on a real control plane is one problem with a remedy.

Proves this for each defect with the real scheduler, admission and controllers. Only the conditions of an autoscaler
are set by hand, since its controller takes a quarter of a minute or more. Does not prove that a remedy helps. Kubelet
checks are tested in tests/unit; one case here shows that they find their objects.
"""

from __future__ import annotations

import re

import pytest

from kernel.annotations import NODES_ON_DEMAND
from rehearsal.kubernetes.client import ApiError, Object
from tests.support.namespaced_cluster import (
    HUGE,
    POD_CONTROLLERS,
    SMALL,
    NamespacedCluster,
    build_manifest,
    create_temporarily,
    unique_name,
)
from tests.support.waiting import eventually

LARGE = {"resources": {"requests": {"cpu": "2500m"}}}  # one fits on a node, two do not
WITH_GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def test_ready_workloads_have_no_problem(cluster: NamespacedCluster) -> None:
    for kind in POD_CONTROLLERS:
        cluster.create_workload(kind)
    cluster.create("Service", "web", spec={"ports": [{"port": 80}], "selector": {"app": "web"}})
    cluster.expect_problems_of()


def test_a_pod_that_requests_more_than_any_node_has(cluster: NamespacedCluster) -> None:
    cluster.create_workload("Deployment", HUGE, replicas=3)
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
        (WITH_GPU, {}, "it requests 1 nvidia.com/gpu, which no node offers", "groundwork:cluster.gpuPool.size"),
        (SMALL, {"nodeSelector": {"disk": "fast"}}, "no node has the labels disk: fast", "label a node pool"),
        (
            SMALL,
            {"serviceAccountName": "ghost"},
            'serviceaccount "ghost" not found',
            "the ServiceAccount ghost",
        ),
    ],
)
def test_a_pod_that_cannot_run_for_other_reasons(
    cluster: NamespacedCluster, container: Object, pod: Object, message: str, remedy: str
) -> None:
    cluster.create_workload("Deployment", container, pod, replicas=3)
    assert remedy in cluster.expect_problem(message).remedy


def test_a_pod_without_the_toleration_that_it_needs(cluster: NamespacedCluster, pool: str) -> None:
    cluster.create_workload("Deployment", pod={"nodeSelector": {"groundwork/pool": pool}})
    problem = cluster.expect_problem("1 node(s) had untolerated taint {dedicated: " + pool + "}")
    assert f"Add a toleration of dedicated ({pool}) to `tolerations`" in problem.remedy


def test_a_daemon_set_that_selects_no_node(cluster: NamespacedCluster) -> None:
    cluster.create_workload("DaemonSet", pod={"nodeSelector": {"disk": "fast"}})
    assert "nodeSelector" in cluster.expect_problem("it selects no node of ").remedy
    cluster.patch("apps/v1", "DaemonSet", "web", {"metadata": {"annotations": {NODES_ON_DEMAND: "true"}}})
    cluster.expect_problems_of()  # its nodes are added on demand


@pytest.mark.parametrize(
    ("storage_class", "message"),
    [(None, "and no storage class is set"), ("fast", 'storageclass.storage.k8s.io "fast" not found')],
)
def test_a_claim_without_a_storage_class(cluster: NamespacedCluster, storage_class: str | None, message: str) -> None:
    claim = {**CLAIM, **({"storageClassName": storage_class} if storage_class else {})}
    cluster.create("PersistentVolumeClaim", "alone", spec=claim)
    problem = cluster.expect_problem(message)
    assert problem.workload == f"PersistentVolumeClaim {cluster.namespace}/alone"
    assert "one of `kubectl get storageclass`" in problem.remedy
    cluster.api.delete("v1", "PersistentVolumeClaim", "alone", cluster.namespace)

    cluster.create_workload("StatefulSet", volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": claim}])
    assert message in cluster.expect_problem("pod has unbound immediate PersistentVolumeClaims; volume data: ").reason


def test_a_claim_whose_csi_driver_is_not_installed(cluster: NamespacedCluster) -> None:
    name = unique_name("driverless")
    driver = {"provisioner": "disk.example", "volumeBindingMode": "WaitForFirstConsumer"}
    storage_class = build_manifest("storage.k8s.io/v1", "StorageClass", name, **driver)
    claim = {**CLAIM, "storageClassName": name}
    with create_temporarily(cluster.api, storage_class):
        cluster.create("PersistentVolumeClaim", "unused", spec=claim)
        cluster.create_workload("StatefulSet", volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": claim}])
        problem = cluster.expect_problem("external provisioner 'disk.example'")
        assert "The CSI driver disk.example is not installed" in problem.remedy
        # A claim that waits for its first pod is not a problem.
        cluster.expect_problems_of(problem.workload)


@pytest.mark.parametrize("kind", POD_CONTROLLERS)
def test_an_exceeded_quota(cluster: NamespacedCluster, kind: str) -> None:
    cluster.create("ResourceQuota", "quota", spec={"hard": {"requests.cpu": "5m"}})
    # Before that, pods are refused because the quota's status is unknown; a Job waits ever longer between attempts.
    eventually(lambda: "hard" in cluster.read("ResourceQuota", "quota").get("status", {}))
    cluster.create_workload(kind)
    problem = cluster.expect_problem("exceeded quota: quota, requested: requests.cpu=10m")
    assert problem.workload == f"{kind} {cluster.namespace}/web"
    assert "forbidden" not in problem.reason  # nor the name of the pod, which changes with each attempt
    assert "another pod requests requests.cpu=10m, the quota is requests.cpu=5m)" in problem.remedy
    assert "or raise requests.cpu=5m in the ResourceQuota quota of the namespace" in problem.remedy


@pytest.mark.parametrize("kind", POD_CONTROLLERS)
def test_a_pod_that_violates_the_pod_security_level_of_its_namespace(cluster: NamespacedCluster, kind: str) -> None:
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    cluster.api.patch(build_manifest("v1", "Namespace", cluster.namespace), level)
    cluster.create_workload(kind)
    problem = cluster.expect_problem('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false')
    assert problem.workload == f"{kind} {cluster.namespace}/web"
    assert "securityContext" in problem.remedy


def test_a_rollout_that_does_not_progress(cluster: NamespacedCluster) -> None:
    cluster.create_workload("Deployment")
    cluster.expect_problems_of()
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}}
    cluster.patch("apps/v1", "Deployment", "web", nowhere)
    assert cluster.expect_problem("node affinity/selector").reason.startswith("0/1 pods ready: ")


def test_an_exceeded_limit_range(cluster: NamespacedCluster) -> None:
    cluster.create("LimitRange", "limits", spec={"limits": [{"type": "Container", "max": {"cpu": "1"}}]})
    cluster.create_workload("Deployment", {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}})
    assert "Keep cpu within 1" in cluster.expect_problem("maximum cpu usage per Container is 1, but limit is 2").remedy


def test_a_webhook_that_nothing_serves(cluster: NamespacedCluster) -> None:
    name = f"{unique_name('ghost')}.example.org"
    webhook = {
        "name": name,
        "clientConfig": {"service": {"namespace": cluster.namespace, "name": "ghost"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    group = "admissionregistration.k8s.io/v1"
    configuration = build_manifest(group, "ValidatingWebhookConfiguration", name, webhooks=[webhook])
    with create_temporarily(cluster.api, configuration):
        eventually(lambda: calls_webhook(cluster, name))
        cluster.create_workload("Deployment")
        problem = cluster.expect_problem(f'failed calling webhook "{name}"')
    assert problem.remedy.startswith(f"Nothing serves the webhook {name}: ")


def test_a_secret_without_the_referenced_key(cluster: NamespacedCluster) -> None:
    cluster.create("Secret", "keys", data={"user": "bmFtZQ=="})
    reference = {"secretKeyRef": {"name": "keys", "key": "password"}}
    cluster.create_workload("Deployment", {"env": [{"name": "PASSWORD", "valueFrom": reference}]}, replicas=2)
    problem = cluster.expect_problem(
        f"CreateContainerConfigError: couldn't find key password in Secret {cluster.namespace}/keys"
    )
    assert problem.workload == f"Deployment {cluster.namespace}/web"


def test_a_job_that_fails(cluster: NamespacedCluster) -> None:
    cluster.create_workload("Job", annotations={"rehearsal.groundwork/exit-code": "3"})
    problem = cluster.expect_problem("BackoffLimitExceeded: Job has reached the specified backoff limit")
    assert "container main ended with exit code 3" in problem.reason
    assert "rehearsal.groundwork/exit-code" in problem.remedy


def test_a_job_that_exceeds_its_deadline(cluster: NamespacedCluster) -> None:
    cluster.create_workload("Job", HUGE, activeDeadlineSeconds=1)
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


def test_problems_of_a_release_are_those_of_objects_with_its_annotation(cluster: NamespacedCluster) -> None:
    cluster.create_workload("Deployment", HUGE)
    cluster.create_workload("StatefulSet", pod={"nodeSelector": {"disk": "fast"}})
    annotation = {"metadata": {"annotations": {"meta.helm.sh/release-name": "shop"}}}
    cluster.patch("apps/v1", "Deployment", "web", annotation)
    names = [
        cluster.expect_problem("Insufficient cpu").workload,
        cluster.expect_problem("node affinity/selector").workload,
    ]
    cluster.expect_problems_of(*names)
    cluster.expect_problems_of(*names[:1], release="shop")
    cluster.expect_problems_of(release="other")


def calls_webhook(cluster: NamespacedCluster, webhook: str) -> bool:
    """Whether the API server calls a webhook for pods, which it does about a second after its creation."""
    try:
        cluster.create("Pod", unique_name("probe"), spec={"containers": [{"name": "main", "image": "x/y:1"}]})
    except ApiError as error:
        return webhook in str(error)
    return False
