"""From an alias set in MLflow to its commit in the remote: 10,000 events, none of which may be lost.

    python bench/promotion.py [REPORT.md] [--events N] [--rate N]     events in all; events per second offered

Real: MLflow's server on SQLite and its own webhooks, the receiver and the worker as the command line runs them, an
inbox in SQLite with a sync for each event, git and a bare repository on this machine. Simulated: the gate, which
passes at once; a real one takes seconds to load the model, concurrently for several models.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

SECRET = "the-secret-of-this-bench"  # noqa: S105 (used nowhere else)
MODELS = 250  # an environment's models; each event sets one's alias to the other of its two versions
WARM_UP = 50  # events that are not counted: by then every process has its imports and connections
SENDERS = 8
SERVERS = 2  # processes of MLflow's server: one for each core of the reference machine
FLOOR_PAUSE = 1.0  # seconds between two measurements of the floor during the run
TIMEOUT = 300.0  # seconds for a process to respond, and for the next commit
API = "/api/2.0/mlflow"
SOURCE = Path(__file__).resolve().parents[1] / "src"
# The worker as the command line runs it, with a gate that passes at once.
WORKER = """
from types import SimpleNamespace
from lifecycle.promotion import __main__ as command
command.evaluate_version = lambda *_, **__: SimpleNamespace(passed=True, reasons=())
command.main(["work"])
"""


@dataclass
class Floor:
    """The minimum: seconds of a git commit with its push, and of a read of an alias."""

    commits: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Event:
    """Times of one event in seconds since 1970; `committed` is None if it has no commit."""

    sent: float
    received: float
    committed: float | None
    outcome: str


@dataclass
class Run:
    """Measurements of one run; `lost` is the number of aliases that were set and never reached the inbox."""

    events: list[Event]
    lost: int
    pushes: int
    floor: Floor
    processor: Mapping[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", type=Path, help="file to write the figures to")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=16.0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes are stopped too
    with tempfile.TemporaryDirectory() as scratch:
        run = measure(Path(scratch), options.events, options.rate)
    text = "\n".join(report(run, options.rate)) + "\n"
    print(text, end="")
    if options.report:
        options.report.write_text(text)
    return 1 if run.lost or any(event.committed is None for event in run.events) else 0


def measure(folder: Path, events: int, rate: float) -> Run:
    remote, inbox = _remote(folder), folder / "inbox.db"
    uri, receiver = (f"http://127.0.0.1:{port}" for port in _free_ports(2))
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(_process(folder, name, command, environment))
            for name, (command, environment) in _commands(folder, remote, inbox, uri, receiver).items()
        }
        for url in (uri, receiver):
            _eventually(lambda url=url: httpx.get(f"{url}/health", timeout=5).is_success)  # type: ignore[misc]
        registry = stack.enter_context(httpx.Client(base_url=uri, timeout=TIMEOUT))
        _register(registry, f"{receiver}/webhooks/mlflow")
        _set_aliases(registry, range(WARM_UP), rate, inbox)
        _eventually(lambda: _count_processed(inbox) == WARM_UP)
        before = {name: _processor_seconds(process) for name, process in processes.items()}
        floor = stack.enter_context(_floor(folder, registry))
        sent = _set_aliases(registry, range(WARM_UP, WARM_UP + events), rate, inbox)
        _drain(inbox, WARM_UP + events)
        used = {name: _processor_seconds(process) - before[name] for name, process in processes.items()}
    run_events = _read_events(inbox, _read_push_times(remote), sent)
    pushes = len({event.committed for event in run_events})
    processor = {name: seconds / events for name, seconds in used.items()}
    return Run(run_events, events - len(run_events), pushes, floor, processor)


def _commands(
    folder: Path, remote: Path, inbox: Path, uri: str, receiver: str
) -> Mapping[str, tuple[Sequence[str], Mapping[str, str]]]:
    """The command and the environment of each process."""
    registry = {
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    promotion = {
        "PYTHONPATH": str(SOURCE),
        "PROMOTION_INBOX": f"sqlite:///{inbox}",
        "PROMOTION_WEBHOOK_SECRET": SECRET,
        "MLFLOW_TRACKING_URI": uri,
        "GITOPS_REPOSITORY": str(remote),
        "GITOPS_STACK": "dev",
    }
    database, artifacts = f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts")
    stores = ["--backend-store-uri", database, "--artifacts-destination", artifacts]
    # On a busy machine, imports take longer than the 5 s after which uvicorn replaces a process that does not respond.
    options = ["--workers", str(SERVERS), "--uvicorn-opts", f"--timeout-worker-healthcheck {TIMEOUT:.0f}"]
    server = ["-m", "mlflow", "server", *_address(uri), *options, *stores]
    return {
        "MLflow": (server, registry),
        "receiver": (["-m", "lifecycle.promotion", "serve"], {**promotion, "PORT": receiver.rpartition(":")[2]}),
        "worker and git": (["-c", WORKER], promotion),
    }


def _address(url: str) -> list[str]:
    host, _, port = url.removeprefix("http://").partition(":")
    return ["--host", host, "--port", port]


def _free_ports(number: int) -> Sequence[int]:
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in free]


@contextmanager
def _process(
    folder: Path, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in its own session; at the end, stop it with its children."""
    with (
        (folder / f"{name}.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time of a session's processes and of their children that have exited."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # the process has exited
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == process.pid:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _remote(folder: Path) -> Path:
    """A bare repository that logs the time of each push that it accepts."""
    seed, remote = folder / "seed", folder / "remote.git"
    (seed / "stacks" / "dev").mkdir(parents=True)
    (seed / "stacks" / "dev" / "kustomization.yaml").write_text("resources: []\n")
    _git("init", "--quiet", "--initial-branch=main", str(seed))
    _git("-C", str(seed), "add", ".")
    _git("-C", str(seed), "commit", "--quiet", "-m", "An empty environment")
    for name in ("remote.git", "floor.git"):
        _git("clone", "--quiet", "--bare", str(seed), str(folder / name))
    hook = remote / "hooks" / "post-receive"
    hook.write_text('#!/bin/sh\nread old new ref\necho "$(date +%s.%N) $new" >> pushes\n')
    hook.chmod(0o755)
    return remote


def _git(*arguments: str) -> str:
    command = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@localhost", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _register(registry: httpx.Client, receiver: str) -> None:
    """Register the models with two versions each, and the webhook."""

    def register_model(number: int) -> None:
        _post(registry, "registered-models/create", name=f"model-{number}")
        for _ in range(2):
            _post(registry, "model-versions/create", name=f"model-{number}", source="s3://bench/model")

    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(register_model, range(MODELS)))
    events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
    _post(registry, "webhooks", name="promotion", url=receiver, events=events, secret=SECRET)


def _post(registry: httpx.Client, path: str, **content: object) -> None:
    response = registry.post(f"{API}/{path}", json=content)
    if response.is_error:
        raise RuntimeError(f"MLflow responded to {path} with {response.status_code}: {response.text[:300]}")


def _set_aliases(registry: httpx.Client, numbers: range, rate: float, inbox: Path) -> Mapping[str, list[float]]:
    """Set aliases at a steady rate; returns the times of the requests, in order, by model.

    The models take turns. If the machine cannot keep up, a model's next event waits until half of the round is
    processed: an event that is overtaken by the next one of its model is superseded, and gets no commit.
    """
    sent: dict[str, list[float]] = defaultdict(list)
    started = time.time()

    def send(number: int) -> None:
        time.sleep(max(0.0, started + (number - numbers.start) / rate - time.time()))
        if number >= MODELS and number % SENDERS == 0:
            _eventually(lambda: _count_processed(inbox) >= number - MODELS // 2)
        name, version = f"model-{number % MODELS}", str(number // MODELS % 2 + 1)
        sent[name].append(time.time())
        _post(registry, "registered-models/alias", name=name, alias="challenger", version=version)

    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send, numbers))
    return sent


@contextmanager
def _floor(folder: Path, registry: httpx.Client) -> Iterator[Floor]:
    """Measure the floor repeatedly during the run, so that load on the machine affects it too."""
    work, floor, stop = str(folder / "work"), Floor(), threading.Event()
    _git("clone", "--quiet", str(folder / "floor.git"), work)

    def commit() -> None:
        _git("-C", work, "commit", "--quiet", "--allow-empty", "-m", "The floor")
        _git("-C", work, "push", "--quiet")

    def read() -> None:
        registry.get(f"{API}/registered-models/alias", params={"name": "model-0", "alias": "challenger"})

    def sample() -> None:
        while not stop.wait(FLOOR_PAUSE):
            floor.commits.append(_measure_seconds(commit))
            floor.reads.append(_measure_seconds(read))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield floor
    finally:
        stop.set()
        thread.join()


def _measure_seconds(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        with suppress(httpx.HTTPError, sqlite3.Error):
            if condition():
                return
        time.sleep(0.2)
    raise RuntimeError(f"the condition did not hold within {TIMEOUT:g} s")


def _count_processed(inbox: Path) -> int:
    with closing(sqlite3.connect(inbox, timeout=30)) as database:
        return int(database.execute("SELECT COUNT(*) FROM event WHERE outcome IS NOT NULL").fetchone()[0])


def _drain(inbox: Path, events: int) -> None:
    """Wait until every event is processed, or none has been for TIMEOUT seconds."""
    done, progressed = -1, time.monotonic()
    while done < events and time.monotonic() < progressed + TIMEOUT:
        before, done = done, _count_processed(inbox)
        if done != before:
            progressed = time.monotonic()
        time.sleep(1)


def _read_push_times(remote: Path) -> Mapping[str, float]:
    """When the commit of each event was pushed to the remote, keyed by the event's ID."""
    lines = (line.split() for line in (remote / "pushes").read_text().splitlines())
    moments = {commit: float(moment) for moment, commit in lines}
    format_ = "--format=%H %(trailers:key=Groundwork-Event,valueonly,separator=)"
    pushed: dict[str, float] = {}
    moment = 0.0
    for line in _git("-C", str(remote), "log", format_, "main").splitlines():  # newest first
        commit, _, event = line.partition(" ")
        moment = moments.get(commit, moment)  # a commit was pushed with the next tip
        if event in pushed:
            raise RuntimeError(f"event {event} has two commits")
        if event:
            pushed[event] = moment
    return pushed


def _read_events(inbox: Path, pushed: Mapping[str, float], sent: Mapping[str, Sequence[float]]) -> list[Event]:
    """The events in the inbox with the times of their requests; a model's events arrive in their order."""
    with closing(sqlite3.connect(inbox)) as database:
        rows = database.execute(
            "SELECT model, id, received, COALESCE(outcome, 'waiting') FROM event ORDER BY model, received"
        ).fetchall()
    events = []
    for model, group in itertools.groupby(rows, key=lambda row: row[0]):
        moments = sent.get(model, ())
        counted = list(group)[-len(moments) :] if moments else []  # without the warm-up's
        for moment, (_, id_, received, outcome) in zip(moments, counted, strict=False):
            events.append(Event(moment, received, pushed.get(id_), outcome))
    return events


def report(run: Run, rate: float) -> list[str]:
    total = [event.committed - event.sent for event in run.events if event.committed is not None]
    to_inbox = [event.received - event.sent for event in run.events]
    to_commit = [event.committed - event.received for event in run.events if event.committed is not None]
    last = max(event.committed or 0.0 for event in run.events)
    seconds = last - min(event.sent for event in run.events)
    outcomes = Counter(event.outcome for event in run.events)
    floor = run.floor
    pairs = list(map(sum, zip(floor.commits, floor.reads, strict=True)))
    cores, load = len(os.sched_getaffinity(0)), ", ".join(f"{value:.1f}" for value in os.getloadavg())
    rows = {
        "alias requested -> commit in the remote": total,
        "of it: alias requested -> in the inbox (MLflow's part)": to_inbox,
        "of it: in the inbox -> commit in the remote": to_commit,
        "floor: a bare `git commit` and `git push`": floor.commits,
        "floor: a bare read of an alias in MLflow": floor.reads,
    }
    p50, p99 = (_percentile(total, percent) / _percentile(pairs, percent) for percent in (50, 99))
    return [
        "## Promotion",
        "",
        f"`python bench/promotion.py`, {time.strftime('%Y-%m-%d')}, {platform.machine()}, {cores} cores for all "
        f"processes, Python {platform.python_version()}, load average {load} at the end.",
        f"{len(run.events) + run.lost} events of {MODELS} models, {rate:g}/s offered, {len(total) / seconds:.1f}/s "
        f"committed; {len(total)} commits by {run.pushes} pushes; lost: {run.lost}; in the inbox: "
        f"{', '.join(f'{number} {outcome}' for outcome, number in outcomes.items())}.",
        "",
        "| seconds | p50 | p99 | longest |",
        "|---|---|---|---|",
        *(
            f"| {name} | {_percentile(t, 50):.3f} | {_percentile(t, 99):.3f} | {max(t):.3f} |"
            for name, t in rows.items()
        ),
        "",
        f"Event to commit is {p50:.1f} times the floor (one commit, push and read) at p50, {p99:.1f} times at p99.",
        "Processor time per event: "
        + ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in run.processor.items())
        + ".",
        f"Goal, p99 of event to commit at most 1 s: {'met' if _percentile(total, 99) <= 1 else 'missed'}.",
        "",
        "Included: MLflow's own handling, its webhook, the receiver, the durable inbox, the second read of the "
        "registry, the commit, the push. Not included: the gate (simulated, passes at once), tags and messages, which "
        "follow the commit, and the network.",
    ]


def _percentile(times: Sequence[float], percent: int) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[percent - 1]


if __name__ == "__main__":
    sys.exit(main())
