"""Compares serving speed: one model, one machine, one run, every server in turn. `python bench/serving.py [REPORT.md]`

Each round measures every server before the next round, so that load on the machine affects them all. Servers that are
not being measured run, and are idle. The load generator runs on the same cores as the servers. The peers'
environments are created in .bench. The exit code is 1 if a request failed, or a server is missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import joblib
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from serving_load import Load, measure, request
from serving_peers import GROUNDWORK, SERVERS, WORKERS, MissingPeerError, Server, Subject, info

CLIENTS = (1, 8, 64)
ROUNDS = 3
SECONDS = 2.0
WARM_UP = 0.5
TIMEOUT = 300.0  # seconds for a server to respond

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
from lifecycle.training.models import FAMILIES  # noqa: E402 (not installed: found by its path)

MODELS = {
    "forest": FAMILIES["random-forest"].create({"n_estimators": 100}),
    "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    # Off the fast path, because the encoder's output is sparse: scikit-learn itself predicts.
    "text": make_pipeline(OneHotEncoder(handle_unknown="ignore"), RandomForestClassifier(50, random_state=0)),
}
LEVELS = ("low", "medium", "high", "extreme")  # the features' values of the model `text`, by quartile


@dataclass
class Measurement:
    """One server with one model: loads by number of clients and memory in MB, or why they are missing."""

    loads: dict[int, list[Load]] = field(default_factory=dict)
    workers: int = 0
    resident: float = 0.0
    proportional: float = 0.0
    missing: str = ""

    def rate(self, clients: int) -> float:
        return statistics.median(load.rate for load in self.loads[clients])

    def percentile(self, clients: int, percent: float) -> float:
        return statistics.median(load.percentile(percent) for load in self.loads[clients])

    def failures(self) -> int:
        return sum(load.failures for loads in self.loads.values() for load in loads)


@dataclass(frozen=True)
class Running:
    """A started server and the request that is sent to it."""

    process: subprocess.Popen[bytes]
    port: int
    message: bytes


# A worker has one core, so threads of numeric libraries would only compete for it. The same for all servers.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main(report: Path | None) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped too
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, registry(Path(scratch)) as uri:
        results = {}
        for name, model in MODELS.items():
            results[name] = compare(prepare(name, model, uri, Path(scratch)))
            info("\n".join(table(name, results[name])))
    minutes = (time.monotonic() - started) / 60
    tables = [line for name, result in results.items() for line in table(name, result)]
    text = "\n".join([*preface(results, minutes), *tables])
    print(text)
    if report is not None:
        report.write_text(text + "\n")
    problems = [
        f"{title}: {each.missing or f'{each.failures()} requests failed'}"
        for title, each in all_measurements(results)
        if each.missing or each.failures()
    ]
    for line in problems:
        info(line)
    return 1 if problems else 0


def all_measurements(results: Mapping[str, Mapping[str, Measurement]]) -> list[tuple[str, Measurement]]:
    return [(f"{name}, {title}", each) for name, result in results.items() for title, each in result.items()]


def prepare(name: str, model: ClassifierMixin, uri: str, scratch: Path) -> Subject:
    """Train, log and register the model, and save it for servers that load a joblib file."""
    data = load_breast_cancer(as_frame=True)
    table = data.data.astype(np.float64)
    if name == "text":
        table = table.apply(lambda column: pd.qcut(column, len(LEVELS), LEVELS).astype(str))
    model.fit(table, data.target)
    folder = scratch / name
    folder.mkdir()
    joblib.dump(model, folder / "model.joblib")
    mlflow.set_tracking_uri(uri)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    options = {"signature": infer_signature(table, model.predict(table)), "input_example": table.head(1)}
    trusted = None if name == "linear" else ["sklearn.tree._tree.Tree"]
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=trusted,
            registered_model_name=name,
            **options,
        )
    MlflowClient().set_registered_model_alias(name, "champion", str(logged.registered_model_version))
    local = mlflow.artifacts.download_artifacts(logged.model_uri, dst_path=str(folder / "mlflow"))
    row = table.iloc[0].tolist()
    return Subject(Path(local), folder / "model.joblib", name, uri, list(table.columns), row)


def compare(subject: Subject) -> Mapping[str, Measurement]:
    results = {title: Measurement() for title in SERVERS}
    with contextlib.ExitStack() as stack:
        running: dict[str, Running] = {}
        for title, server in SERVERS.items():
            info(f"{subject.name}: starting {title}")
            try:
                running[title] = stack.enter_context(running_server(server, subject))
            except MissingPeerError as error:
                results[title].missing = str(error)
                info(f"{title}: {error}")
        for clients in CLIENTS:
            for number in range(ROUNDS):
                for title, target in running.items():
                    load = measure(target.port, target.message, clients, SECONDS, WARM_UP)
                    results[title].loads.setdefault(clients, []).append(load)
                info(f"{subject.name}: {clients} clients, round {number + 1} of {ROUNDS}")
        for title, target in running.items():
            measure_memory(target.process.pid, results[title])
    return results


@contextlib.contextmanager
def running_server(server: Server, subject: Subject) -> Iterator[Running]:
    """Start a server, and compare its prediction with the model's. Raises MissingPeerError if it does not serve."""
    port = free_port()
    command, environment, folder = server.start(subject, port)
    path, body = server.request(subject)
    payload = json.dumps(body).encode()
    log = subject.joblib.parent / f"{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **THREADS, **environment},
            cwd=folder,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        response = wait_for_response(port, path, payload, process, log)
        truth = joblib.load(subject.joblib).predict([subject.row])[0]
        if server.prediction(response) != truth:
            raise MissingPeerError(f"predicts {server.prediction(response)!r}, the model itself {truth!r}")
        yield Running(process, port, request(path, payload))
    finally:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_response(port: int, path: str, payload: bytes, process: subprocess.Popen[bytes], log: Path) -> object:
    http_request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=payload, headers={"content-type": "application/json"}
    )
    deadline, problem = time.monotonic() + TIMEOUT, "it exited"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(http_request, timeout=30) as response:  # noqa: S310 (an address of this machine)
                content: object = json.load(response)
                return content
        except OSError as error:
            problem = str(error)
            time.sleep(0.5)
    raise MissingPeerError(f"does not serve ({problem}); its log ends with: {log.read_text()[-500:]}")


def measure_memory(leader: int, result: Measurement) -> None:
    """Megabytes of a process and its descendants, and how many of those are workers."""
    for process in descendants(leader):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
        rollup = {line.split()[0]: int(line.split()[1]) for line in lines}
        if rollup["Rss:"] < 50_000:
            continue  # Python's resource tracker, or a shell
        result.workers += 1
        result.resident = max(result.resident, rollup["Rss:"] / 1024)
        result.proportional += rollup["Pss:"] / 1024


def descendants(leader: int) -> list[int]:
    children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    return [leader, *(process for child in children for process in descendants(int(child)))]


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[str]:
    """An MLflow server with SQLite."""
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    options += [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder / "store"),
    ]
    with (
        (folder / "mlflow.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options],
            # Its dozen processes for jobs of GenAI evaluations would compete with the measured servers.
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + TIMEOUT
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
                    break
                time.sleep(0.3)
            yield uri
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def preface(results: Mapping[str, Mapping[str, Measurement]], minutes: float) -> list[str]:
    cores = len(os.sched_getaffinity(0))
    loads = [
        load for _, each in all_measurements(results) for runs in each.loads.values() for load in runs if load.latencies
    ]
    cost = statistics.median(load.busy / len(load.latencies) for load in loads) * 1e6
    share = max(load.busy / load.seconds for load in loads)
    return [
        "## Serving",
        "",
        f"`make bench-lifecycle`, {time.strftime('%Y-%m-%d')}, {platform.machine()}, {cores} cores, Python "
        f"{platform.python_version()}, {minutes:.0f} minutes; load average {os.getloadavg()[2]:.1f} over the last 15. "
        f"{WORKERS} workers each, one row per request over keep-alive connections, {ROUNDS} interleaved rounds of "
        f"{SECONDS:g} s; medians of the rounds. The load generator (`bench/serving_load.py`, one process) shares the "
        f"cores: {cost:.0f} microseconds of processor time per request, at most {share:.0%} of a core. "
        "The floor parses and predicts without checking anything. KServe's sklearnserver is on no package index and "
        "is represented by KServe's ModelServer with a model class that loads and predicts as it does. MLServer has "
        "a process for HTTP beside its workers.",
        "",
    ]


def table(name: str, results: Mapping[str, Measurement]) -> list[str]:
    columns = " | ".join(f"{clients} clients: req/s, p50, p99 ms" for clients in CLIENTS)
    lines = [f"### Model: {name}", "", f"| server | settings | {columns} | RSS of a worker, PSS of all, MB |"]
    lines.append("|---" * (len(CLIENTS) + 3) + "|")
    for title, result in results.items():
        cells = [cell(result, clients) for clients in CLIENTS] if result.loads else [result.missing] * len(CLIENTS)
        memory = f"{result.resident:.0f}, {result.proportional:.0f} ({result.workers} processes)"
        failures = f" ({result.failures()} failures)" if result.loads and result.failures() else ""
        lines.append(f"| {title}{failures} | {SERVERS[title].settings} | {' | '.join(cells)} | {memory} |")
    return [*lines, "", *compare_with_goal(results), ""]


def cell(result: Measurement, clients: int) -> str:
    median, worst = result.percentile(clients, 50), result.percentile(clients, 99)
    return f"{result.rate(clients):,.0f}, {median:.2f}, {worst:.2f}"


def compare_with_goal(results: Mapping[str, Measurement]) -> list[str]:
    """Compare with the best peer at each number of clients; the goal is twice its rate with no higher p99."""
    peers = {t: r for t, r in results.items() if r.loads and not SERVERS[t].floor and not t.startswith("lifecycle")}
    lines = []
    if not peers or not results[GROUNDWORK].loads:
        return ["- Nothing to compare with."]
    for clients in CLIENTS:
        best = max(peers, key=lambda title: peers[title].rate(clients))
        us, them = results[GROUNDWORK], peers[best]
        times = us.rate(clients) / them.rate(clients)
        p99 = f"p99 {us.percentile(clients, 99):.2f} ms against {them.percentile(clients, 99):.2f} ms"
        met = times >= 2 and us.percentile(clients, 99) <= them.percentile(clients, 99)
        lines.append(f"- {clients} clients: {times:.1f} x {best}, {p99}: goal {'met' if met else 'missed'}")
    return lines


def free_port() -> int:
    """A port followed by two free ones, which MLServer needs for gRPC and metrics."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            for offset in (1, 2):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            return port


def paths(arguments: Sequence[str]) -> Path | None:
    return Path(arguments[0]) if arguments else None


if __name__ == "__main__":
    sys.exit(main(paths(sys.argv[1:])))
