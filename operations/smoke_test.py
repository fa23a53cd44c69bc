"""Tests whether a stack works: its cluster admits, refuses and runs pods, and its services answer."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.findings import Finding, missing, note, ok
from operations import health
from operations.database import find_database
from operations.target import Target

_NAMESPACE, _POD = "mlflow", "smoke-test"
_TIMEOUT = 10.0  # seconds
# The endpoints that are requested through the Kubernetes API: namespace, service and port, path.
_SERVICES = {
    "mlflow": ("mlflow", "mlflow:80", "health"),
    "argo-cd": ("argocd", "argo-cd-argocd-server:80", "healthz"),
    "prometheus": ("monitoring", "kube-prometheus-stack-prometheus:9090", "-/ready"),
}


def run(target: Target) -> list[Finding]:
    """Run all tests, and leave nothing behind. Returns only the first finding if the cluster does not answer."""
    api = health.check_api(target)
    if api.remedy:
        return [api]
    findings = [api, _check_refusal(target), _check_pod(target), _check_rights(target)]
    return [*findings, *_check_services(target), _check_database(target)]


def _check_refusal(target: Target) -> Finding:
    """Check that admission refuses a privileged pod."""
    pod = _pod(target)
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    answer = target.ask(
        "kubectl", *target.cluster_options, "create", "--dry-run=server", "--filename=-", text=json.dumps(pod)
    )
    if answer.code == 0:
        return missing(
            "admission", "a privileged pod was admitted", f"`make preview STACK={target.name}` shows what differs"
        )
    return ok("admission", f"a privileged pod is refused: {answer.reason[:160]}")


def _check_pod(target: Target) -> Finding:
    """Check that a pod like the platform's own is admitted, scheduled and started."""
    delete = ("delete", "pod", _POD, "--namespace", _NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=60s")
    target.kubectl(*delete)
    try:
        target.kubectl("create", "--filename=-", text=json.dumps(_pod(target)))
        wait = ["--for=jsonpath={.status.phase}=Running", "--timeout=180s"]
        answer = target.ask_kubectl("wait", f"pod/{_POD}", "--namespace", _NAMESPACE, *wait)
    finally:
        target.kubectl(*delete)
    if answer.code:
        return missing("pod", f"a pod in {_NAMESPACE} does not run: {answer.reason}", "see `make health` of the stack")
    return ok("pod", "a new pod is admitted, scheduled and runs")


def _check_rights(target: Target) -> Finding:
    """Check that a service account of the platform reads no Secrets of another namespace."""
    account = f"--as=system:serviceaccount:{_NAMESPACE}:mlflow"
    answer = target.ask_kubectl("auth", "can-i", "get", "secrets", "--namespace=argocd", account)
    if not answer.output.startswith("no"):
        return missing(
            "rights", f"MLflow's service account may read Argo CD's secrets: {answer.output or answer.error}"
        )
    return ok("rights", "MLflow's service account reads no secrets of Argo CD")


def _check_services(target: Target) -> Iterator[Finding]:
    if url := target.environment.get("MLFLOW_URL"):
        yield _ask_url(f"{url.rstrip('/')}/health")
    for subject, (namespace, service, path) in _SERVICES.items():
        if subject == "mlflow" and url:
            continue
        if target.is_rehearsed:
            yield note(subject, "a rehearsal's pods are simulated, and answer no requests")
            continue
        place = f"/api/v1/namespaces/{namespace}/services/{service}/proxy/{path}"
        answer = target.ask_kubectl("get", "--raw", place, "--request-timeout=10s")
        if answer.code:
            yield missing(subject, f"{service} in {namespace} does not answer: {answer.reason}", "see `make logs`")
        else:
            yield ok(subject, f"{service} answers /{path}")


def _ask_url(url: str) -> Finding:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as reply:  # noqa: S310 the operator's own URL
            return ok("mlflow", f"{url} answers {reply.status}")
    except (urllib.error.URLError, OSError) as error:
        return missing("mlflow", f"{url} does not answer: {error}", "see `make logs` of mlflow/mlflow")


def _check_database(target: Target) -> Finding:
    """Check the login from this machine; a private database may be reachable only from the cluster."""
    if not target.programs.find("psql"):
        return note("database", "`psql` is not on PATH, and nothing else can test the login")
    fault = find_database(target).find_fault()
    if fault:
        return note("database", f"this machine does not reach it: {fault}", "see docs/operations.md for how it can")
    return ok("database", "accepts the login that MLflow uses")


def _pod(target: Target) -> dict[str, Any]:
    """A pod that every policy admits, with the image that MLflow's pods run."""
    text = target.kubectl("get", "deployment", "mlflow", "--namespace", "mlflow", "--output", "json")
    spec: Mapping[str, Any] = json.loads(text)["spec"]["template"]["spec"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _POD, "namespace": _NAMESPACE, "labels": {"app.kubernetes.io/name": _POD}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": _POD,
                    "image": spec["containers"][0]["image"],
                    "command": ["sleep", "60"],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"cpu": "50m", "memory": "64Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
            "tolerations": spec.get("tolerations", []),
        },
    }
