"""The service's application on simulated Jobs, with a clock that tests move. Proves nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from lifecycle.core.endpoint import Heartbeat
from lifecycle.retraining.kubernetes_client import KubernetesClient
from lifecycle.retraining.server import create_app
from lifecycle.retraining.settings import RetrainingSettings
from lifecycle.retraining.starter import Starter
from support.kubernetes_jobs import SimulatedJobs

TOKEN = "a-token-of-these-tests"
TEMPLATE = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"namespace": "training", "labels": {"app.kubernetes.io/name": "training-run"}},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {"containers": [{"name": "training", "image": "x", "env": [{"name": "A", "value": "b"}]}]}
        },
    },
}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 30, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@dataclass
class Service:
    """The requests of tests, and their results."""

    settings: RetrainingSettings
    jobs: SimulatedJobs
    starter: Starter
    http: TestClient
    clock: Clock

    def post(self, path: str, content: object, token: str = TOKEN) -> Any:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.http.post(path, content=body, headers={"authorization": f"Bearer {token}"})

    def answers(self, path: str, content: object) -> dict[str, str]:
        """The answer by model."""
        reply = self.post(path, content)
        assert reply.status_code == 202, reply.text
        return {each["model"]: each["answer"] for each in reply.json()["requests"]}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    template = tmp_path / "job.json"
    template.write_text(json.dumps(TEMPLATE))
    clock = Clock()
    jobs = SimulatedJobs(clock)
    settings = RetrainingSettings(
        token=TOKEN,
        models=("churn", "fraud"),
        scheduled=("churn", "fraud"),
        template=template,
        stack="aws-dev",
        run_url="https://mlflow.example.com/#/runs/{run}",
    )
    starter = Starter(settings, cast("KubernetesClient", jobs), clock)
    app = create_app(settings, starter, Heartbeat())
    return Service(settings, jobs, starter, TestClient(app, raise_server_exceptions=False), clock)


def alert(name: str = "ModelDrifted", status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "warning", **labels},
        "annotations": {"description": f"{labels.get('model')} has drifted"},
        "startsAt": "2026-11-30T01:55:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus",
        "fingerprint": "c3f4",
    }


def notification(*alerts: dict[str, Any]) -> dict[str, Any]:
    """Alertmanager's message, version 4, with all of its fields."""
    return {
        "version": "4",
        "groupKey": '{}/{alertname="ModelDrifted"}:{}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "retraining",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": [*alerts],
    }


def event(
    type_: str = "dev.groundwork.new-data", id_: str = "1", model: object = "churn", **data: Any
) -> dict[str, Any]:
    content = {"model": model, **data}
    return {"specversion": "1.0", "id": id_, "source": "/tests", "type": type_, "data": content}
