"""Real parts for the serving tests: models in a real MLflow registry, and server processes.

Not proven: models other than scikit-learn's, which the serving contract rejects, and TLS, which the gateway terminates.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import infer_signature

from lifecycle import contract
from support.faulty_model import SLEEP
from support.network import free_port
from support.processes import ForkedProcess, fork_program
from support.waiting import TIMEOUT, eventually

TESTS = Path(__file__).resolve().parents[1]
FEATURES = ["alcohol", "acid", "sugar", "salt"]
WEIGHTS = [1.0, 10.0, 100.0, 1000.0]
FAULTY = "support.faulty_model"

Process = subprocess.Popen[bytes] | ForkedProcess


@dataclass
class Server:
    """A running server; `client` sends requests to it, `path` is the file of its log."""

    process: Process
    client: httpx.Client
    path: Path

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log's records, one JSON object per line."""
        return [json.loads(line) for line in self.path.read_text().splitlines() if line.startswith("{")]

    def find_logged(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.log if message in line["message"]]

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in children.read_text().split()]

    def metric(self, name: str, *labels: str) -> float:
        """The sum of a metric's samples with all these labels: `status="200"`."""
        lines = [
            line for line in self.client.get("/metrics").text.splitlines() if line.startswith((name + "{", name + " "))
        ]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in labels))

    def count_in_progress(self) -> float:
        """Requests that were received and are neither answered nor lost, the one for the metrics among them."""
        lines = self.client.get("/metrics").text.splitlines()

        def total(name: str) -> float:
            return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"groundwork_{name}_total{{"))

        return total("requests_received") - total("requests") - total("lost_requests")

    def predict(self, values: Mapping[str, float], request_id: str = "a-request") -> httpx.Response:
        """Request a prediction on a new connection."""
        return httpx.post(
            f"{self.client.base_url}/predict",
            json={"features": values},
            headers={"x-request-id": request_id},
            timeout=TIMEOUT,
            trust_env=False,
            verify=False,  # noqa: S501 (plain HTTP, for which authorities would be loaded all the same)
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)


def register(name: str, model: Any, table: pd.DataFrame, target: Any, **options: Any) -> str:
    """Fit, log as training does, and register; returns the version, which becomes the champion."""
    model.fit(table, target)
    options = {"signature": infer_signature(table, model.predict(table)), "input_example": table.head(2), **options}
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            registered_model_name=name,
            pip_requirements=contract.load().requirements,  # otherwise MLflow runs the model to infer them
            **options,
        )
    version = str(logged.registered_model_version)
    MlflowClient().set_registered_model_alias(name, "champion", version)
    return version


def fork(registry: str, path: Path, module: str = "lifecycle.serving", **environment: object) -> Process:
    """Start the process from one with imported libraries, which saves seconds, with its output in a file."""
    return fork_program(module, environment=variables(registry, environment), output=path)


def start(registry: str, path: Path, module: str = "lifecycle.serving", **environment: object) -> Process:
    """Start the process as a container does, with its output in a file."""
    with path.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module], env=variables(registry, environment), stdout=output, stderr=output
        )


def variables(registry: str, environment: Mapping[str, object]) -> dict[str, str]:
    """A process's environment, in which these variables take precedence."""
    defaults: Mapping[str, object] = {
        "MLFLOW_TRACKING_URI": registry,
        "HOST": "127.0.0.1",
        "WORKERS": 1,
        "DRAIN_DELAY": 0.5,
        "LOG_LEVEL": "debug",
        "PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}",
    }
    return {**os.environ, **{name: str(value) for name, value in {**defaults, **environment}.items()}}


@contextmanager
def serve(
    registry: str,
    folder: Path,
    model: str = "plain",
    module: str = "lifecycle.serving",
    start: Callable[..., Process] = fork,
    **environment: object,
) -> Iterator[Server]:
    """A server process that is ready; killed at the end if it still runs."""
    port = free_port()
    path = folder / f"server-{port}.log"
    process = start(registry, path, MODEL_NAME=model, PORT=port, module=module, **environment)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT) as client:
        server = Server(process, client, path)
        try:
            eventually(lambda: is_ready(server), "the server is ready")
            yield server
        finally:
            process.kill()
            process.wait()


def is_ready(server: Server) -> bool:
    if server.process.poll() is not None:
        pytest.fail(f"the server ended with {server.process.returncode}:\n{server.path.read_text()[-3000:]}")
    try:
        return server.client.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


def start_sleeping(server: Server, pool: ThreadPoolExecutor, seconds: float) -> Future[Any]:
    """Start a prediction that keeps the model busy; returns when it is running."""
    marker = server.path.parent / "asleep"
    marker.unlink(missing_ok=True)
    future = pool.submit(server.predict, row(SLEEP, 0, 0, seconds))
    eventually(marker.exists, "the model sleeps")
    return future


def row(*values: float) -> dict[str, float]:
    return dict(zip(FEATURES, values or (1.0, 2.0, 3.0, 4.0), strict=True))


def expected(values: Mapping[str, float]) -> float:
    return sum(weight * values[name] for name, weight in zip(FEATURES, WEIGHTS, strict=True))
