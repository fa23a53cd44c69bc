"""What is healthy and what is not, according to kubectl; tests/engine/test_operations.py has a real control plane."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.findings import render
from deploy.programs import Answer
from operations import health, logs, smoke_test
from tests.support.fake_target import fake_target, kubernetes_object, list_of

GET = "kubectl get {} --all-namespaces"
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
SERVED = {"observedGeneration": 1, "availableReplicas": 2}


def answers(**objects: Any) -> dict[str, Any]:
    """kubectl's output for a cluster that has these objects, keyed by the first word of their kind."""
    kinds = {
        "nodes": "nodes",
        "certificates": "certificates.cert-manager.io",
        "externalsecrets": "externalsecrets.external-secrets.io",
        "inferenceservices": "inferenceservices.serving.kserve.io",
        "deployments": "deployments.apps",
        "statefulsets": "statefulsets.apps",
        "daemonsets": "daemonsets.apps",
        "pods": "pods",
        "applications": "applications.argoproj.io",
    }
    listed = {GET.format(kind): list_of(*objects.get(word, ())) for word, kind in kinds.items()}
    return {"kubectl get --raw /readyz": "ok", **listed}


def check(**objects: Any) -> str:
    return render(health.check(fake_target(answers(**objects))))


def test_a_stack_with_healthy_objects() -> None:
    text = check(
        nodes=[kubernetes_object("Node", "one", status=READY)],
        deployments=[kubernetes_object("Deployment", "mlflow/mlflow", spec={"replicas": 2}, status=SERVED)],
        applications=[
            kubernetes_object(
                "Application", "argocd/models", status={"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}
            )
        ],
    )
    assert "missing" not in text
    assert "all 1 are healthy" in text
    assert "note     certificates" in text


@pytest.mark.parametrize(
    ("word", "item", "shown"),
    [
        ("nodes", kubernetes_object("Node", "one", status={"conditions": []}), "1 of 1 are not healthy: one"),
        (
            "deployments",
            kubernetes_object("Deployment", "mlflow/mlflow", spec={"replicas": 3}, status=SERVED),
            "1 of 1 are not healthy: mlflow/mlflow",
        ),
        (
            "deployments",
            kubernetes_object("Deployment", "mlflow/mlflow", generation=2, spec={"replicas": 2}, status=SERVED),
            "1 of 1 are not healthy: mlflow/mlflow",
        ),
        (
            "pods",
            kubernetes_object("Pod", "mlflow/job", status={"phase": "Failed"}),
            "neither run nor succeeded: mlflow",
        ),
        (
            "applications",
            kubernetes_object("Application", "argocd/models", status={"sync": {"status": "OutOfSync"}}),
            "ArgoCdOutOfSync.md",
        ),
        ("certificates", kubernetes_object("Certificate", "gateway/tls", status={}), "CertificateNotReady.md"),
    ],
)
def test_an_unhealthy_object_is_reported_with_its_runbook(word: str, item: Any, shown: str) -> None:
    text = check(**{word: [item]})
    assert text.count("missing") == 1
    assert shown in text


def test_only_the_cluster_is_reported_if_it_does_not_answer() -> None:
    target = fake_target({"kubectl get --raw /readyz": Answer(1, "", "connection refused")})
    (finding,) = health.check(target)
    assert "does not answer: connection refused" in finding.text
    assert "failover.md" in finding.remedy


def test_a_kind_that_the_cluster_does_not_have_is_not_a_problem() -> None:
    known = answers()
    known[GET.format("inferenceservices.serving.kserve.io")] = Answer(
        1, "", 'error: the server doesn\'t have a resource type "inferenceservices"'
    )
    assert "note     inferenceservices" in render(health.check(fake_target(known)))


MLFLOW = kubernetes_object("Deployment", "mlflow/mlflow", spec={"template": {"spec": {"containers": [{"image": "i"}]}}})
SMOKE = {
    "kubectl get --raw /readyz": "ok",
    "kubectl get deployment mlflow": MLFLOW,
    "kubectl create --dry-run=server": Answer(1, "", "error: admission webhook denied it: privileged"),
    "kubectl create --filename=-": "created",
    "kubectl delete pod smoke-test": "",
    "kubectl wait pod/smoke-test": "condition met",
    "kubectl auth can-i": Answer(1, "no\n", ""),
}


def smoke(**more: Any) -> str:
    return render(smoke_test.run(fake_target({**SMOKE, **more}, PATH="/nowhere")))


def test_a_stack_that_passes_the_smoke_test() -> None:
    text = smoke()
    assert "missing" not in text
    assert "a privileged pod is refused: admission webhook denied it" in text
    assert "note     mlflow" in text, "pods of a rehearsal do not respond"


@pytest.mark.parametrize(
    ("command", "answer", "shown"),
    [
        ("kubectl create --dry-run=server", "created", "a privileged pod was admitted"),
        ("kubectl wait pod/smoke-test", Answer(1, "", "timed out"), "a pod in mlflow does not run: timed out"),
        ("kubectl auth can-i", "yes", "may read Argo CD's secrets"),
    ],
)
def test_the_smoke_test_reports_a_failure(command: str, answer: Any, shown: str) -> None:
    text = smoke(**{command: answer})
    assert text.count("missing") == 1
    assert shown in text


def test_the_pod_of_the_smoke_test_is_deleted_if_it_does_not_run() -> None:
    target = fake_target({**SMOKE, "kubectl wait pod/smoke-test": Answer(1, "", "timed out")}, PATH="/nowhere")
    smoke_test.run(target)
    words = [" ".join(line.split()[:2]) for line in target.commands]
    assert words.count("kubectl delete") == 2
    assert words[::-1].index("kubectl delete") < words[::-1].index("kubectl wait")


def test_logs_are_of_the_workloads_pods() -> None:
    pods = [kubernetes_object("Pod", f"mlflow/{name}", status={"phase": "Running"}) for name in ("mlflow-1", "other-1")]
    target = fake_target(
        {
            GET.format("pods"): list_of(*pods),
            "kubectl events": "Scheduled",
            "kubectl logs mlflow-1": Answer(1, "", "error: dial tcp: refused"),
        }
    )
    lines = list(logs.show(target, "mlflow/mlflow", "10m"))
    assert lines == [
        "== mlflow/mlflow-1: Running",
        "Scheduled",
        "no output can be read: dial tcp: refused (its processes are simulated)",
    ]
