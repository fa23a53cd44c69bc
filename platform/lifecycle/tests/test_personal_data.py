"""No log has the value of a feature, or a user's ID in plain text.

Marked values and IDs are sent to every server that receives requests, as processes: in requests that are answered and
in requests that are refused, in bodies, headers, paths and queries; then all output of the processes is searched. In
some requests, calls to other services fail too. The model server's logs are searched in tests/serving. Not proven:
libraries' logs below INFO, which nobody can enable, and the worker and the rollout's controller, which receive no
requests; the formatter that all share is proven in tests/core/test_telemetry.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest

from support.experiment import EXPERIMENT, FILE, INFER, KEY, user_of
from support.network import HttpRequest, HttpResponse, free_port, serve_http
from support.personal_data import USER, VALUE, WORD, assert_unmarked, send_everywhere
from support.waiting import TIMEOUT, eventually

pytestmark = pytest.mark.process

SOURCES = Path(__file__).resolve().parents[1] / "src"
TOKEN = "a-token-of-these-tests"
EVENTS = {"content-type": "application/cloudevents-batch+json"}


@dataclass
class Process:
    """A running server, and the file of all that it writes."""

    client: httpx.Client
    output: Path


@contextmanager
def run(folder: Path, *arguments: str, port_variable: str = "PORT", **variables: object) -> Iterator[Process]:
    port, output = free_port(), folder / f"{'-'.join(arguments)}.log"
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), port_variable: str(port)}
    environment |= {name: str(value) for name, value in variables.items()}
    with (
        output.open("wb") as file,
        subprocess.Popen([sys.executable, "-m", *arguments], env=environment, stdout=file, stderr=file) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT) as client,
    ):
        try:
            eventually(lambda: is_ready(client), f"{arguments} is ready")
            yield Process(client, output)
        finally:
            process.terminate()


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.HTTPError:
        return False


def test_the_receiver_of_webhooks(tmp_path: Path) -> None:
    secrets = {"PROMOTION_WEBHOOK_SECRET": "a-secret-of-these-tests", "PROMOTION_INBOX": f"sqlite:///{tmp_path}/inbox"}
    with run(tmp_path, "lifecycle.promotion", "serve", **secrets) as receiver:
        send_everywhere(receiver.client, "/webhooks/mlflow", **{"webhook-id": WORD, "webhook-signature": f"v1,{WORD}"})
    assert_unmarked(receiver.output, "A delivery was rejected", '"endpoint": "receive"')


def test_the_router_of_experiments(tmp_path: Path) -> None:
    file = tmp_path / "experiments.yaml"
    file.write_text(FILE)
    users = [f"{USER}-{number}" for number in range(20)]

    def respond(request: HttpRequest) -> HttpResponse:
        is_good = b"good" in request.body
        return HttpResponse(200 if is_good else 500, {"outputs": [WORD], "error": f"{VALUE} {USER}"})

    with serve_http(respond) as url:
        variables = {"EXPERIMENT_SERVICE_URL": f"{url}/{{service}}", "USER_ID_KEY": KEY, "EXPERIMENT_FILE": file}
        variables |= {"EXPERIMENT_FOLDER": tmp_path / "spool", "EXPERIMENT_USER_ID_KEY": KEY}
        arguments = ("lifecycle.experiment", "serve")
        with run(tmp_path, *arguments, port_variable="EXPERIMENT_PORT", **variables) as router:
            for user in (*users, user_of("challenger")):
                for content in (f"good {WORD}", f"bad {VALUE}"):
                    router.client.post(INFER, content=content, headers={"x-user-id": user})
            send_everywhere(router.client, INFER, "/ab-test/outcomes", f"/ab-test/experiments/{EXPERIMENT}/assignment")
            outcome = {"experiment": EXPERIMENT, "request_id": "r-1", "name": WORD, "value": VALUE}
            router.client.post("/ab-test/outcomes", json=[outcome])
    assert_unmarked(router.output, '"status": 500', '"user": "')


def test_the_collector_of_inferences(tmp_path: Path) -> None:
    variables = {"DRIFT_STORE": tmp_path / "store", "DRIFT_COLLECT_FOLDER": tmp_path / "events"}
    with run(tmp_path, "lifecycle.drift", "collect", DRIFT_COLLECT_INTERVAL="0.1", **variables) as collector:
        for event in events():
            reply = collector.client.post("/events", content=json.dumps([event]), headers=EVENTS)
            assert reply.status_code == 202
        send_everywhere(collector.client, "/events", **EVENTS)
        eventually(lambda: "are not inference events" in collector.output.read_text(), "events are rejected")
    assert_unmarked(collector.output, "are not inference events", '"status": 400')


def events() -> Iterator[Mapping[str, Any]]:
    """Inference events: a good one, and others with one fault each, in a value that is marked."""
    data = {
        "request_id": "r-1",
        "model": "wine",
        "model_version": "3",
        "latency_ms": 1.5,
        "inputs": [{"alcohol": VALUE, "colour": WORD}],
        "outputs": {"predict": [VALUE]},
        "user": USER,
    }
    good = {"id": "e-1", "type": "dev.groundwork.inference", "time": datetime.now(UTC).isoformat(), "data": data}
    yield good
    yield {**good, "id": "e-2", "type": WORD}
    yield {**good, "id": "e-3", "time": WORD}
    yield {**good, "id": "e-4", "data": {**data, "latency_ms": WORD}}
    yield {**good, "id": "e-5", "data": {**data, "inputs": [{"alcohol": [VALUE]}]}}
    yield {**good, "id": "e-6", "data": {**data, "inputs": WORD}}
    yield {WORD: VALUE}


def test_the_service_of_retraining(tmp_path: Path) -> None:
    template = tmp_path / "job.yaml"
    template.write_text("{kind: Job, spec: {template: {spec: {containers: [{name: training}]}}}}")
    (tmp_path / "token").write_text("x")
    (tmp_path / "ca.crt").write_text(Path(certifi.where()).read_text())
    variables = {
        "RETRAINING_TOKEN": TOKEN,
        "RETRAINING_MODELS": "churn",
        "RETRAINING_TEMPLATE": template,
        "RETRAINING_STACK": "dev",
        "RETRAINING_API_SERVER": "https://127.0.0.1:9",
        "RETRAINING_API_CREDENTIALS": tmp_path,
    }
    with run(tmp_path, "lifecycle.retraining", "serve", **variables) as service:
        authorized = {"authorization": f"Bearer {TOKEN}"}
        alert = {"status": "firing", "labels": {"alertname": "ModelDrifted", "model": "churn", "user": USER}}
        alert |= {"annotations": {"description": WORD}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f"}
        service.client.post("/alerts", json={"alerts": [alert], "status": "firing"}, headers=authorized)
        send_everywhere(service.client, "/alerts", "/events", **authorized)
        send_everywhere(service.client, "/alerts", authorization=f"Bearer {WORD}")
    assert_unmarked(service.output, '"status": 400', '"status": 401')
