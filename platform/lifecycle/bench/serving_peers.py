"""The measured servers: how each is installed, started and called. A peer that cannot be installed is reported."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent / ".bench"
UV = HERE.parents[2] / ".venv" / "bin" / "uv"  # the project's; pip, which every environment has, is slower
WORKERS = min(len(os.sched_getaffinity(0)), 4)  # of every server; the serving's own default
BATCH = 32  # rows of a predict call at most; the serving's own default

Row = Sequence[float] | Sequence[str]


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

    @property
    def datatype(self) -> str:
        """The Open Inference Protocol's name of the features' type."""
        return "BYTES" if isinstance(self.row[0], str) else "FP64"


@dataclass(frozen=True)
class Server:
    """One measured server.

    settings   the ones from its documentation that make it fast, as text
    start      command, environment and folder to run it in, for a port
    request    path and body of a request for one row
    prediction the prediction in the response's JSON
    """

    title: str
    settings: str
    start: Callable[[Subject, int], tuple[list[str], dict[str, str], Path]]
    request: Callable[[Subject], tuple[str, object]]
    prediction: Callable[[object], object]
    floor: bool = field(default=False)


def groundwork(subject: Subject, port: int) -> tuple[list[str], dict[str, str], Path]:
    settings = {"MLFLOW_TRACKING_URI": subject.registry, "MODEL_NAME": subject.name, "PORT": str(port)}
    settings |= {"HOST": "127.0.0.1", "WORKERS": str(WORKERS), "MAX_BATCH_SIZE": str(BATCH), "LOG_LEVEL": "warning"}
    return [sys.executable, "-m", "lifecycle.serving"], {**settings, "PYTHONPATH": str(HERE.parent / "src")}, HERE


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
    """The interpreter of a peer's own environment, created from its lock. Raises MissingPeerError."""
    folder, lock = CACHE / peer, _lock(peer)
    python, done = folder / "bin" / "python", folder / "installed"
    if done.exists() and done.read_text() == lock.read_text():
        return python
    info(f"setting up {folder}, once")
    install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)]
    if UV.exists():
        install = [str(UV), "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], install):
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        if process.returncode != 0:
            raise MissingPeerError(f"cannot be installed: {describe_failure(process.stderr)}")
    done.write_text(lock.read_text())
    return python


def describe_failure(errors: str) -> str:
    """The end of a process's error output, as one line, without this machine's paths."""
    return " ".join(errors.replace(f"{HERE.resolve().parent}/", "").split())[-300:]


def info(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _lock(peer: str) -> Path:
    return HERE / f"requirements-{peer}.txt"


def _version(peer: str, package: str) -> str:
    """The version in the peer's lock."""
    found = re.search(rf"(?m)^{package}==(\S+)", _lock(peer).read_text())
    return found[1] if found else "?"


def _instances(subject: Subject) -> object:
    return {"instances": [list(subject.row)]}


def _named(subject: Subject) -> object:
    return {"instances": [dict(zip(subject.features, subject.row, strict=True))]}


def _tensor(subject: Subject) -> object:
    shape = [1, len(subject.row)]
    return {"inputs": [{"name": "predict", "shape": shape, "datatype": subject.datatype, "data": list(subject.row)}]}


def _text_columns(subject: Subject) -> object:
    """Text in MLServer's format: https://mlserver.readthedocs.io/en/latest/user-guide/content-type.html"""
    text = {"shape": [1], "datatype": "BYTES", "parameters": {"content_type": "str"}}
    columns = [
        {**text, "name": name, "data": [value]} for name, value in zip(subject.features, subject.row, strict=True)
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": columns}


def _v1(response: object) -> object:
    return _look_up(response, "predictions", 0)


def _v2(response: object) -> object:
    return _look_up(response, "outputs", 0, "data", 0)


def _look_up(content: object, *path: str | int) -> object:
    for step in path:
        assert isinstance(content, dict | list)  # noqa: S101 (an unexpected response fails the run)
        content = content[step]  # type: ignore[call-overload]
    return content


def v1(body: Callable[[Subject], object]) -> Callable[[Subject], tuple[str, object]]:
    return lambda subject: (f"/v1/models/{subject.name}:predict", body(subject))


def v2(subject: Subject) -> tuple[str, object]:
    return f"/v2/models/{subject.name}/infer", _tensor(subject)


def mlserver_v2(subject: Subject) -> tuple[str, object]:
    path, body = v2(subject)
    return path, _text_columns(subject) if subject.datatype == "BYTES" else body


def invocation(subject: Subject) -> tuple[str, object]:
    return "/invocations", {"dataframe_split": {"columns": list(subject.features), "data": [list(subject.row)]}}


GROUNDWORK = "lifecycle.serving, v1"
MLSERVER = f"MLServer {_version('mlserver', 'mlserver')}"
MLFLOW = f"mlflow models serve {_version('mlserver', 'mlflow')}"
KSERVE = f"KServe {_version('kserve', 'kserve')} (ModelServer)"

_BATCHES = f"parallel workers, adaptive batches of {BATCH} at most"
SERVERS: Mapping[str, Server] = {
    server.title: server
    for server in (
        Server(GROUNDWORK, "features by name", groundwork, v1(_named), _v1),
        Server("lifecycle.serving, v2", "one tensor", groundwork, v2, _v2),
        Server(f"{MLSERVER}, 1 ms", f"v2; {_BATCHES}, waits at most 1 ms", mlserver(0.001), mlserver_v2, _v2),
        Server(f"{MLSERVER}, 10 ms", f"v2; {_BATCHES}, waits at most 10 ms", mlserver(0.01), mlserver_v2, _v2),
        Server(MLFLOW, "its own protocol; env-manager local", mlflow_serve, invocation, _v1),
        Server(KSERVE, "v1; no gRPC, no latency log", kserve, v1(_instances), _v1),
        Server("floor", "no batches", floor(False), v1(_instances), _v1, floor=True),
        Server("floor, batching", "all waiting requests are one batch", floor(True), v1(_instances), _v1, floor=True),
    )
}
