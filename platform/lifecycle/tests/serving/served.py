"""Real parts for the serving tests: models put into a real MLflow registry, and server processes told by environment.

What is not proved here: any model beyond scikit-learn's, which the serving contract refuses, and TLS, which the
gateway does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import infer_signature

from lifecycle import contract

PATIENCE = 90.0  # seconds until a server that is not ready counts as dead; it takes 5 on an idle machine
HERE = Path(__file__).parent
FEATURES = ["alcohol", "acid", "sugar", "salt"]
WEIGHTS = [1.0, 10.0, 100.0, 1000.0]

_T = TypeVar("_T")


@dataclass
class Server:
    """A running server: `client` talks to it, `log` is what it said, one JSON object per line."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    path: Path

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines() if line.startswith("{")]

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.log if message in line["message"]]

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in children.read_text().split()]

    def metric(self, name: str, *labels: str) -> float:
        """The sum of a metric's samples that carry all these labels: `status="200"`."""
        lines = [
            line for line in self.client.get("/metrics").text.splitlines() if line.startswith((name + "{", name + " "))
        ]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in labels))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def register(name: str, model: Any, table: pd.DataFrame, target: Any, **how: Any) -> str:
    """Fit, log as training does and register; returns the version, which becomes the champion."""
    model.fit(table, target)
    how = {"signature": infer_signature(table, model.predict(table)), "input_example": table.head(2), **how}
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            registered_model_name=name,
            pip_requirements=contract.load().requirements,  # else MLflow runs the model to find out
            **how,
        )
    version = str(logged.registered_model_version)
    MlflowClient().set_registered_model_alias(name, "champion", version)
    return version


@contextmanager
def serving(
    registry: str, folder: Path, model: str = "plain", module: str = "lifecycle.serving", **environment: object
) -> Iterator[Server]:
    """A server process that is ready; killed at the end if it still runs."""
    port = free_port()
    path = folder / f"server-{port}.log"
    process = start(registry, path, MODEL_NAME=model, PORT=port, module=module, **environment)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        server = Server(process, client, path)
        try:
            wait_until(lambda: ready(server), "the server is ready")
            yield server
        finally:
            process.kill()
            process.wait()


def start(
    registry: str, path: Path, module: str = "lifecycle.serving", **environment: object
) -> subprocess.Popen[bytes]:
    """The bare process, its output going into a file."""
    told: Mapping[str, object] = {
        "MLFLOW_TRACKING_URI": registry,
        "HOST": "127.0.0.1",
        "WORKERS": 1,
        "DRAIN_DELAY": 0.5,
        "LOG_LEVEL": "debug",
        "PYTHONPATH": f"{HERE.parents[1] / 'src'}:{HERE}",
        **environment,
    }
    variables = {**os.environ, **{name: str(value) for name, value in told.items()}}
    with path.open("ab") as output:
        return subprocess.Popen([sys.executable, "-m", module], env=variables, stdout=output, stderr=output)


def ready(server: Server) -> bool:
    if server.process.poll() is not None:
        pytest.fail(f"the server ended with {server.process.returncode}:\n{server.path.read_text()[-3000:]}")
    try:
        return server.client.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(holds: Callable[[], _T], what: str, patience: float = PATIENCE) -> _T:
    """What `holds` gives, once it gives anything."""
    deadline = time.monotonic() + patience
    while not (found := holds()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def row(*values: float) -> dict[str, float]:
    return dict(zip(FEATURES, values or (1.0, 2.0, 3.0, 4.0), strict=True))


def expected(values: Mapping[str, float]) -> float:
    return sum(weight * values[name] for name, weight in zip(FEATURES, WEIGHTS, strict=True))
