"""Continuous training on a real API server: two processes of the service, the declared role and the declared Job.

Proves that the API server accepts the Job, that the role is sufficient and allows no more, that only one of several
requests to both processes starts a run, and that one notice reports the run's end. A run's pod is never scheduled: the
test sets its final status in place of a kubelet. The service's other decisions are tested in platform/lifecycle, on
simulated Jobs.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from infra.cluster.retraining import RULES
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane, free_ports
from rehearsal.scenarios.notification_stub import NotificationStub
from rehearsal.scenarios.pod_volumes import create_volumes
from rehearsal.toolchain import ROOT
from tests.support.namespaced_cluster import NamespacedCluster
from tests.support.waiting import eventually
from tests.unit.infra.test_retraining import declare, template

LIFECYCLE = ROOT / "platform" / "lifecycle"
PYTHON = LIFECYCLE / ".venv" / "bin" / "python"
TOKEN = "a-token-of-these-tests"
ACCOUNT = "retraining"
RBAC = "rbac.authorization.k8s.io/v1"
EVENT = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "dev.groundwork.new-data"}


@dataclass
class Services:
    """The addresses of two processes of the service, and their notices."""

    urls: Sequence[str]
    notices: NotificationStub
    credentials: Path
    cluster: NamespacedCluster

    def send(self, url: str, model: str, id_: str) -> Any:
        content: Any = {**EVENT, "id": id_, "data": {"model": model}}
        return requests.post(f"{url}/events", json=content, headers={"authorization": f"Bearer {TOKEN}"}, timeout=60)

    def send_all(self, model: str, times: int) -> list[str]:
        """The answers to simultaneous requests to both."""
        with ThreadPoolExecutor(times) as pool:
            replies = pool.map(lambda number: self.send(self.urls[number % 2], model, str(number)), range(times))
            return sorted(reply.json()["requests"][0]["answer"] for reply in replies)

    def list_runs(self) -> list[str]:
        jobs = self.cluster.api.list("batch/v1", "Job", self.cluster.namespace)
        return sorted(job["metadata"]["name"] for job in jobs)

    def find_pod(self, run: str) -> Any:
        selector = f"batch.kubernetes.io/job-name={run}"
        return eventually(lambda: self.cluster.api.list("v1", "Pod", self.cluster.namespace, label_selector=selector))[
            0
        ]


@pytest.fixture
def services(plane: ControlPlane, cluster: NamespacedCluster, tmp_path: Path) -> Iterator[Services]:
    if not PYTHON.exists():
        pytest.skip("the environment of platform/lifecycle is missing: make test-lifecycle creates it")
    allow(cluster)
    job = template(declare())
    job["metadata"]["namespace"] = cluster.namespace
    job["spec"]["template"]["spec"] |= {
        "nodeSelector": {"kubernetes.io/hostname": "none"},
        "serviceAccountName": "default",
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    credentials = mount_credentials(cluster, tmp_path)
    notices = NotificationStub()
    with ExitStack() as stack:
        environment = {
            "PYTHONPATH": str(LIFECYCLE / "src"),
            "RETRAINING_TOKEN": TOKEN,
            "RETRAINING_MODELS": "churn,fraud",
            "RETRAINING_TEMPLATE": str(tmp_path / "job.json"),
            "RETRAINING_NAMESPACE": cluster.namespace,
            "RETRAINING_STACK": "aws-dev",
            "RETRAINING_POLL_INTERVAL": "0.2",
            "RETRAINING_API_SERVER": plane.api.config.server,
            "RETRAINING_API_CREDENTIALS": str(credentials),
            "NOTIFY_SLACK_URL": stack.enter_context(notices.run()),
        }
        ports = free_ports(2)
        for port in ports:
            stack.enter_context(run_service(environment, port, tmp_path / f"{port}.log"))
        urls = [f"http://{HOST}:{port}" for port in ports]
        for url in urls:
            eventually(partial(is_ready, url))
        yield Services(urls, notices, credentials, cluster)


def allow(cluster: NamespacedCluster) -> None:
    """Apply the declared role in the test's namespace."""
    cluster.create("ServiceAccount", ACCOUNT)
    cluster.create("Role", ACCOUNT, RBAC, rules=[*RULES])
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": cluster.namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT}
    cluster.create("RoleBinding", ACCOUNT, RBAC, roleRef=reference, subjects=[subject])


def mount_credentials(cluster: NamespacedCluster, folder: Path) -> Path:
    """The folder of the declared pod with the token and the API server's certificate."""
    (deployment,) = [
        item.inputs for item in declare().of_type("kubernetes:apps/v1:Deployment") if item.name == "retraining"
    ]
    spec = deployment["spec"]["template"]["spec"]
    mount = next(one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "kubernetes")
    pod = {
        "metadata": {"namespace": cluster.namespace},
        "spec": {
            "serviceAccountName": ACCOUNT,
            "containers": [{"volumeMounts": [mount]}],
            "volumes": [one for one in spec["volumes"] if one["name"] == "kubernetes"],
        },
    }
    eventually(lambda: cluster.api.get("v1", "ConfigMap", "kube-root-ca.crt", cluster.namespace))
    (path,) = create_volumes(cluster.api, pod, folder / "volumes").values()
    return path


@contextmanager
def run_service(environment: dict[str, str], port: int, log: Path) -> Iterator[None]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RETRAINING_", "NOTIFY_"))}
    command = [str(PYTHON), "-m", "lifecycle.retraining", "serve"]
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, env={**inherited, **environment, "PORT": str(port)}, stdout=output, stderr=output
        ) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_only_one_of_many_simultaneous_requests_starts_a_run_and_one_notice_reports_its_end(services: Services) -> None:
    answers = services.send_all("churn", 8)
    assert answers == ["running"] * 7 + ["started"]
    assert services.send_all("fraud", 1) == ["started"]
    assert services.list_runs() == ["retrain-churn-1", "retrain-fraud-1"]

    report = {"outcome": "gate-refused", "version": "", "run_id": "abc", "reasons": ["accuracy is 0.8"]}
    pod = services.find_pod("retrain-churn-1")
    variables = pod["spec"]["containers"][0]["env"]
    assert variables[0] == {"name": "TRAINING_MODEL", "value": "churn"}
    end = {"exitCode": 1, "reason": "Error", "message": json.dumps(report)}
    container = {"name": "training", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    status = {"phase": "Failed", "containerStatuses": [{**container, "state": {"terminated": end}}]}
    services.cluster.patch("v1", "Pod", pod["metadata"]["name"], {"status": status}, "/status")

    def has_notice() -> bool:
        job = services.cluster.api.get("batch/v1", "Job", "retrain-churn-1", services.cluster.namespace)
        return bool(job and job["metadata"]["annotations"].get("groundwork.dev/notice", "").startswith("sent"))

    eventually(has_notice)
    (text,) = services.notices.texts
    assert "churn (aws-dev): gate-refused" in text
    assert "accuracy is 0.8" in text
    # The same eight events again, since any of them may have started the run.
    assert services.send_all("churn", 8) == ["cooling-down"] * 7 + ["duplicate"]
    assert services.list_runs() == ["retrain-churn-1", "retrain-fraud-1"], "no second attempt"


def test_the_role_allows_no_more_than_that(services: Services, plane: ControlPlane) -> None:
    token = (services.credentials / "token").read_text()
    server, namespace = plane.api.config.server, services.cluster.namespace

    def request(method: str, path: str) -> int:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/merge-patch+json"}
        certificate = str(services.credentials / "ca.crt")
        return requests.request(
            method, f"{server}{path}", headers=headers, verify=certificate, json={}, timeout=30
        ).status_code

    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    assert request("GET", jobs) == 200
    forbidden = [
        ("DELETE", f"{jobs}/retrain-churn-1"),
        ("GET", f"/api/v1/namespaces/{namespace}/secrets"),
        ("POST", f"/api/v1/namespaces/{namespace}/pods"),
        ("PATCH", f"/api/v1/namespaces/{namespace}/pods/x"),
        ("GET", "/apis/batch/v1/jobs"),
        ("GET", "/apis/batch/v1/namespaces/default/jobs"),
    ]
    assert {call: request(*call) for call in forbidden} == dict.fromkeys(forbidden, 403)
