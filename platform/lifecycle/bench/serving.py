"""Serving speed, paired: one model, one machine, one run, every server in turn. `python bench/serving.py [REPORT.md]`

Each round visits every server before the next round begins, so that a busy moment of the machine meets them all.
Servers that are not being measured are up, and idle. The load generator runs on the same cores as the servers. The
peers' environments are made in .bench when they are not there. The exit code is 1 when a request failed, or a server
is missing.
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
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serving_load import Load, measure, request
from serving_peers import GROUNDWORK, SERVERS, WORKERS, MissingPeerError, Server, Subject, say

CLIENTS = (1, 8, 64)
ROUNDS = 3
SECONDS = 2.0
WARM_UP = 0.5
PATIENCE = 300.0  # seconds until a server that does not answer is given up

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
from lifecycle.training.models import FAMILIES  # noqa: E402 (not installed: found by its path)

MODELS = {
    "forest": FAMILIES["random-forest"].make({"n_estimators": 100}),
    "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
}


@dataclass
class Measured:
    """One server with one model: loads by clients, megabytes, or why there are none."""

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


# A worker has one core; threads of numeric libraries would only take it from each other. The same for all.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main(report: Path | None) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are ended whatever ends this
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, registry(Path(scratch)) as uri:
        results = {}
        for name, model in MODELS.items():
            results[name] = bench(prepare(name, model, uri, Path(scratch)))
            say("\n".join(table(name, results[name])))
    minutes = (time.monotonic() - started) / 60
    tables = [line for name, result in results.items() for line in table(name, result)]
    text = "\n".join([*preface(results, minutes), *tables])
    print(text)
    if report is not None:
        report.write_text(text + "\n")
    wrong = [
        f"{title}: {each.missing or f'{each.failures()} requests failed'}"
        for title, each in every(results)
        if each.missing or each.failures()
    ]
    for line in wrong:
        say(line)
    return 1 if wrong else 0


def every(results: Mapping[str, Mapping[str, Measured]]) -> list[tuple[str, Measured]]:
    return [(f"{name}, {title}", each) for name, result in results.items() for title, each in result.items()]


def prepare(name: str, model: ClassifierMixin, uri: str, scratch: Path) -> Subject:
    """Train, log and register the model, and save it for those who take a joblib file."""
    data = load_breast_cancer(as_frame=True)
    table = data.data.astype(np.float64)
    model.fit(table, data.target)
    folder = scratch / name
    folder.mkdir()
    joblib.dump(model, folder / "model.joblib")
    mlflow.set_tracking_uri(uri)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    how = {"signature": infer_signature(table, model.predict(table)), "input_example": table.head(1)}
    trusted = ["sklearn.tree._tree.Tree"] if name == "forest" else None
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=trusted,
            registered_model_name=name,
            **how,
        )
    MlflowClient().set_registered_model_alias(name, "champion", str(logged.registered_model_version))
    local = mlflow.artifacts.download_artifacts(logged.model_uri, dst_path=str(folder / "mlflow"))
    row = [float(value) for value in table.iloc[0]]
    return Subject(Path(local), folder / "model.joblib", name, uri, list(table.columns), row)


def bench(subject: Subject) -> Mapping[str, Measured]:
    results = {title: Measured() for title in SERVERS}
    with contextlib.ExitStack() as stack:
        running: dict[str, Running] = {}
        for title, server in SERVERS.items():
            say(f"{subject.name}: starting {title}")
            try:
                running[title] = stack.enter_context(started(server, subject))
            except MissingPeerError as error:
                results[title].missing = str(error)
                say(f"{title}: {error}")
        for clients in CLIENTS:
            for number in range(ROUNDS):
                for title, one in running.items():
                    load = measure(one.port, one.message, clients, SECONDS, WARM_UP)
                    results[title].loads.setdefault(clients, []).append(load)
                say(f"{subject.name}: {clients} clients, round {number + 1} of {ROUNDS}")
        for title, one in running.items():
            weigh(one.process.pid, results[title])
    return results


@contextlib.contextmanager
def started(server: Server, subject: Subject) -> Iterator[Running]:
    """Start it, and hold its prediction against the model's own. Raises MissingPeerError when it does not serve."""
    port = free_port()
    command, environment, folder = server.start(subject, port)
    path, body = server.ask(subject)
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
        answer = answered(port, path, payload, process, log)
        truth = joblib.load(subject.joblib).predict([subject.row])[0]
        if server.answer(answer) != truth:
            raise MissingPeerError(f"predicts {server.answer(answer)!r}, the model itself {truth!r}")
        yield Running(process, port, request(path, payload))
    finally:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def answered(port: int, path: str, payload: bytes, process: subprocess.Popen[bytes], log: Path) -> object:
    ask = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=payload, headers={"content-type": "application/json"}
    )
    deadline, problem = time.monotonic() + PATIENCE, "it ended"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(ask, timeout=30) as reply:  # noqa: S310 (an address of this machine)
                answer: object = json.load(reply)
                return answer
        except OSError as error:
            problem = str(error)
            time.sleep(0.5)
    raise MissingPeerError(f"does not serve ({problem}); its log ends with: {log.read_text()[-500:]}")


def weigh(leader: int, result: Measured) -> None:
    """Megabytes of a process and all below it, and how many of those answer requests."""
    for process in family(leader):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
        rollup = {line.split()[0]: int(line.split()[1]) for line in lines}
        if rollup["Rss:"] < 50_000:
            continue  # a resource tracker of Python's, or a shell
        result.workers += 1
        result.resident = max(result.resident, rollup["Rss:"] / 1024)
        result.proportional += rollup["Pss:"] / 1024


def family(leader: int) -> list[int]:
    children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    return [leader, *(process for child in children for process in family(int(child)))]


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[str]:
    """An MLflow server with SQLite, for the run."""
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
            # Its dozen processes for jobs of GenAI evaluations would take the cores from what is measured.
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
                    break
                time.sleep(0.3)
            yield uri
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def preface(results: Mapping[str, Mapping[str, Measured]], minutes: float) -> list[str]:
    cores = len(os.sched_getaffinity(0))
    loads = [load for _, each in every(results) for runs in each.loads.values() for load in runs if load.latencies]
    cost = statistics.median(load.busy / len(load.latencies) for load in loads) * 1e6
    share = max(load.busy / load.seconds for load in loads)
    return [
        "## Serving",
        "",
        f"`make bench-lifecycle`, {time.strftime('%Y-%m-%d')}, {platform.machine()}, {cores} cores, Python "
        f"{platform.python_version()}, {minutes:.0f} minutes; load average {os.getloadavg()[2]:.1f} over the last 15. "
        f"{WORKERS} workers each, one row per request over kept connections, {ROUNDS} interleaved rounds of "
        f"{SECONDS:g} s; medians of the rounds. The load generator (`bench/serving_load.py`, one process) shares the "
        f"cores: {cost:.0f} microseconds of processor time per request, at most {share:.0%} of a core. "
        "The floor parses and predicts without checking anything. KServe's sklearnserver is on no package index; "
        "its stand-in is KServe's own ModelServer with a model class that loads and predicts as it does. MLServer has "
        "a process for HTTP beside its workers.",
        "",
    ]


def table(name: str, results: Mapping[str, Measured]) -> list[str]:
    columns = " | ".join(f"{clients} clients: req/s, p50, p99 ms" for clients in CLIENTS)
    lines = [f"### Model: {name}", "", f"| server | settings | {columns} | RSS of a worker, PSS of all, MB |"]
    lines.append("|---" * (len(CLIENTS) + 3) + "|")
    for title, result in results.items():
        cells = [cell(result, clients) for clients in CLIENTS] if result.loads else [result.missing] * len(CLIENTS)
        memory = f"{result.resident:.0f}, {result.proportional:.0f} ({result.workers} processes)"
        failures = f" ({result.failures()} failures)" if result.loads and result.failures() else ""
        lines.append(f"| {title}{failures} | {SERVERS[title].settings} | {' | '.join(cells)} | {memory} |")
    return [*lines, "", *verdict(results), ""]


def cell(result: Measured, clients: int) -> str:
    median, worst = result.percentile(clients, 50), result.percentile(clients, 99)
    return f"{result.rate(clients):,.0f}, {median:.2f}, {worst:.2f}"


def verdict(results: Mapping[str, Measured]) -> list[str]:
    """Ours against the best peer at each number of clients; the goal is twice its rate at no worse p99."""
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
    """A port with two free ones behind it, which MLServer wants for gRPC and metrics."""
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
