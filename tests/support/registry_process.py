"""A real MLflow server on a real PostgreSQL database, and its registered models."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from rehearsal.kubernetes.control_plane.control_plane import HOST, free_ports
from rehearsal.toolchain import ROOT
from tests.support.postgresql import PostgresServer
from tests.support.waiting import eventually

_PYTHON = ROOT / "platform" / "lifecycle" / ".venv" / "bin" / "python"
_START = 900.0  # seconds, for a busy machine


class Registry:
    """MLflow's REST API, https://mlflow.org/docs/latest/api_reference/rest-api.html"""

    def __init__(self, url: str) -> None:
        self.url = url

    def register(self, model: str, root: str, store: Path) -> str:
        """Register a version with files below `root`, which is the folder `store`; returns its number."""
        experiment = self._post("experiments/create", name=model, artifact_location=f"{root}/{model}")["experiment_id"]
        run = self._post("runs/create", experiment_id=experiment)["run"]["info"]
        self._post("runs/log-metric", run_id=run["run_id"], key="f1", value=0.97, timestamp=1)
        files = Path(run["artifact_uri"].removeprefix(root).strip("/"), "model")
        (store / files).mkdir(parents=True)
        (store / files / "MLmodel").write_text(f"flavors: {{}}\nrun_id: {run['run_id']}\n")
        (store / files / "model.skops").write_bytes(bytes(range(256)) * 64)
        self._post("registered-models/create", name=model)
        source = f"{run['artifact_uri']}/model"
        version = self._post("model-versions/create", name=model, source=source, run_id=run["run_id"])["model_version"]
        self._post("registered-models/alias", name=model, alias="champion", version=version["version"])
        return str(version["version"])

    def add_model(self, model: str) -> None:
        self._post("registered-models/create", name=model)

    def list_models(self) -> set[str]:
        reply = self._get("registered-models/search")
        return {each["name"] for each in reply.get("registered_models", ())}

    def find_champion(self, model: str) -> Mapping[str, Any]:
        version: Mapping[str, Any] = self._get("registered-models/alias", name=model, alias="champion")["model_version"]
        return version

    def _post(self, path: str, **body: Any) -> Any:
        return _answer(requests.post(f"{self.url}/api/2.0/mlflow/{path}", json=body, timeout=60))

    def _get(self, path: str, **parameters: str) -> Any:
        return _answer(requests.get(f"{self.url}/api/2.0/mlflow/{path}", params=parameters, timeout=60))


def find_obstacle() -> str:
    """Why no server can run; empty if one can."""
    if not _PYTHON.exists():
        return "platform/lifecycle has no virtual environment"
    return "" if subprocess.run([_PYTHON, "-c", "import psycopg"], check=False).returncode == 0 else "no psycopg"


@contextmanager
def run_registry(database: PostgresServer, password: str, root: str, log: Path) -> Iterator[Registry]:
    """Run the server while the context lasts; `root` is the location to which clients write artifacts."""
    (port,) = free_ports(1)
    uri = f"postgresql+psycopg://mlflow:{password}@{HOST}:{database.port}/mlflow"
    options = ["--host", HOST, "--port", str(port), "--workers", "1", "--backend-store-uri", uri]
    with log.open("w") as output:
        process = subprocess.Popen(
            [_PYTHON, "-m", "mlflow", "server", *options, "--default-artifact-root", root, "--no-serve-artifacts"],
            env={
                "PATH": "/usr/bin:/bin",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            eventually(lambda: _is_ready(process, port, log), _START)
            yield Registry(f"http://{HOST}:{port}")
        finally:
            process.terminate()
            process.wait()


def _is_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"MLflow ended:\n{log.read_text()[-2000:]}")
    try:
        return requests.get(f"http://{HOST}:{port}/health", timeout=5).ok
    except requests.RequestException:
        return False


def _answer(reply: requests.Response) -> Any:
    assert reply.ok, reply.text
    return reply.json()
