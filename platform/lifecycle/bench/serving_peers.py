"""What is measured: each server, how it is installed, started and asked. A peer that cannot be had is reported so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent / ".bench"
WORKERS = 2
BATCH = 32

Row = Sequence[float]


class MissingPeerError(Exception):
    """A peer cannot be installed here; the message says why."""


@dataclass(frozen=True)
class Subject:
    """The one model that all serve: as MLflow's folder, as a joblib file, and in the registry."""

    folder: Path
    joblib: Path
    name: str
    registry: str
    features: Sequence[str]
    row: Row


@dataclass(frozen=True)
class Server:
    """One measured server.

    settings   in words: what its documentation offers to make it fast
    start      command, environment and folder to run it in, for a port
    ask        path and body of a request for one row
    answer     the prediction in the answer's JSON
    """

    title: str
    settings: str
    start: Callable[[Subject, int], tuple[list[str], dict[str, str], Path]]
    ask: Callable[[Subject], tuple[str, object]]
    answer: Callable[[object], object]
    floor: bool = field(default=False)


def ours(subject: Subject, port: int) -> tuple[list[str], dict[str, str], Path]:
    told = {"MLFLOW_TRACKING_URI": subject.registry, "MODEL_NAME": subject.name, "PORT": str(port)}
    told |= {"HOST": "127.0.0.1", "WORKERS": str(WORKERS), "MAX_BATCH_SIZE": str(BATCH), "LOG_LEVEL": "warning"}
    return [sys.executable, "-m", "lifecycle.serving"], {**told, "PYTHONPATH": str(HERE.parent / "src")}, HERE


def floor(batching: bool) -> Callable[[Subject, int], tuple[list[str], dict[str, str], Path]]:
    def start(subject: Subject, port: int) -> tuple[list[str], dict[str, str], Path]:
        options = ["--port", str(port), "--workers", str(WORKERS), "--loop", "uvloop", "--http", "httptools"]
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "serving_floor:app",
            *options,
            "--no-access-log",
            "--lifespan",
            "off",
        ]
        return command, {"BENCH_MODEL": str(subject.joblib), "BENCH_BATCHING": str(int(batching))}, HERE

    return start


def mlserver(batch_seconds: float) -> Callable[[Subject, int], tuple[list[str], dict[str, str], Path]]:
    """Settings from https://mlserver.readthedocs.io/en/latest/user-guide/: parallel inference, adaptive batching."""

    def start(subject: Subject, port: int) -> tuple[list[str], dict[str, str], Path]:
        python = environment("mlserver")
        folder = subject.folder.parent / f"mlserver-{port}"
        folder.mkdir()
        shutil.copy(subject.joblib, folder / "model.joblib")
        server = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "host": "127.0.0.1"}
        server |= {"parallel_workers": WORKERS, "debug": False, "gzip_enabled": False}
        model = {"name": subject.name, "implementation": "mlserver_sklearn.SKLearnModel"}
        model |= {"parameters": {"uri": "./model.joblib"}, "max_batch_size": BATCH, "max_batch_time": batch_seconds}
        (folder / "settings.json").write_text(json.dumps(server))
        (folder / "model-settings.json").write_text(json.dumps(model))
        return [str(python.parent / "mlserver"), "start", "."], {}, folder

    return start


def mlflow_serve(subject: Subject, port: int) -> tuple[list[str], dict[str, str], Path]:
    """https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/"""
    python = environment("mlserver")
    options = ["--port", str(port), "--host", "127.0.0.1", "--workers", str(WORKERS), "--env-manager", "local"]
    command = [str(python.parent / "mlflow"), "models", "serve", "-m", str(subject.folder), *options]
    return command, {"PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}, HERE


def kserve(subject: Subject, port: int) -> tuple[list[str], dict[str, str], Path]:
    python = environment("kserve")
    options = ["--http_port", str(port), "--enable_grpc", "False", "--workers", str(WORKERS)]
    options += ["--enable_latency_logging", "False", "--model_name", subject.name, "--path", str(subject.joblib)]
    return [str(python), str(HERE / "serving_kserve.py"), *options], {}, HERE


def environment(peer: str) -> Path:
    """The interpreter of a peer's own environment, made from its lock when there is none. Raises MissingPeerError."""
    python = CACHE / peer / "bin" / "python"
    done = CACHE / peer / "installed"
    lock = HERE / f"requirements-{peer}.txt"
    if done.exists() and done.read_text() == lock.read_text():
        return python
    uv = shutil.which("uv")
    if uv is None:
        raise MissingPeerError("uv is not on PATH; install it (https://docs.astral.sh/uv/)")
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", "3.11", str(CACHE / peer)],
        [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock)],
    ):
        reply = subprocess.run(command, capture_output=True, text=True, check=False)
        if reply.returncode != 0:
            raise MissingPeerError(f"cannot be installed: {reply.stderr.strip()[-300:]}")
    done.write_text(lock.read_text())
    return python


def _instances(subject: Subject) -> object:
    return {"instances": [list(subject.row)]}


def _named(subject: Subject) -> object:
    return {"instances": [dict(zip(subject.features, subject.row, strict=True))]}


def _tensor(subject: Subject) -> object:
    shape = [1, len(subject.row)]
    return {"inputs": [{"name": "predict", "shape": shape, "datatype": "FP64", "data": list(subject.row)}]}


def _v1(answer: object) -> object:
    return _of(answer, "predictions", 0)


def _v2(answer: object) -> object:
    return _of(answer, "outputs", 0, "data", 0)


def _of(answer: object, *path: str | int) -> object:
    for step in path:
        assert isinstance(answer, dict | list)  # noqa: S101 (a peer that answers otherwise fails the run)
        answer = answer[step]  # type: ignore[call-overload]
    return answer


def v1(asks: Callable[[Subject], object]) -> Callable[[Subject], tuple[str, object]]:
    return lambda subject: (f"/v1/models/{subject.name}:predict", asks(subject))


def v2(subject: Subject) -> tuple[str, object]:
    return f"/v2/models/{subject.name}/infer", _tensor(subject)


def invocation(subject: Subject) -> tuple[str, object]:
    return "/invocations", {"dataframe_split": {"columns": list(subject.features), "data": [list(subject.row)]}}


GROUNDWORK = "lifecycle.serving, v1"

SERVERS: Mapping[str, Server] = {
    server.title: server
    for server in (
        Server(GROUNDWORK, f"{WORKERS} workers, features by name", ours, v1(_named), _v1),
        Server("lifecycle.serving, v2", f"{WORKERS} workers, one tensor", ours, v2, _v2),
        Server("MLServer 1.7.1, 1 ms", f"{WORKERS} parallel workers, batches <= {BATCH}", mlserver(0.001), v2, _v2),
        Server("MLServer 1.7.1, 10 ms", f"{WORKERS} parallel workers, batches <= {BATCH}", mlserver(0.01), v2, _v2),
        Server("mlflow models serve 3.17.2", f"{WORKERS} workers", mlflow_serve, invocation, _v1),
        Server("KServe 0.21.0, scikit-learn", f"{WORKERS} workers, no gRPC", kserve, v1(_instances), _v1),
        Server("floor", f"{WORKERS} workers, no batching", floor(False), v1(_instances), _v1, floor=True),
        Server("floor, batching", f"{WORKERS} workers, greedy batches", floor(True), v1(_instances), _v1, floor=True),
    )
}
