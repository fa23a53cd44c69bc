"""The time that the experiments' router adds to a request: `python bench/experiment_router.py [REPORT.md]`

One server stands in for champion and challenger, and responds at once with a prepared body, so the benchmark measures
the router, and the loopback interface twice. Each round measures direct and routed requests one right after the other,
so that load on the machine affects both. Router, writer, server and load generator share the cores. The writer writes
to SQLite meanwhile. The exit code is 1 if a request failed, or a routed one is not in the store.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from serving_load import Load, measure

CLIENTS = (1, 8)
ROUNDS = 10
SECONDS = 2.0
WARM_UP = 0.5
TIMEOUT = 120.0  # seconds for a process to respond, and for the writer to write what waits
GOAL = 1.0  # milliseconds that the router may add to the 99th percentile, with one client
USERS = 200
ANSWERED = 'groundwork_experiment_requests_total{experiment="bench"'
CPU = "process_cpu_seconds_total"
SOURCE = Path(__file__).resolve().parents[1] / "src"
BODY = b'{"inputs":[{"name":"x","shape":[1,30],"datatype":"FP64","data":[' + b",".join([b"17.99"] * 30) + b"]}]}"
FILE = """
experiments:
  - name: bench
    model: bench
    challenger_percent: 10
"""
# The floor of what can be routed to: an ASGI application that reads the body and responds.
SERVER = """
import os
import uvicorn
BODY = b'{"model_name":"bench","outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":[1]}]}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
async def app(scope, receive, send):
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), loop="uvloop", http="httptools",
            lifespan="off", access_log=False, log_level="warning")
"""


@dataclass
class Comparison:
    """Loads of the rounds with one number of clients."""

    direct: list[Load] = field(default_factory=list)
    routed: list[Load] = field(default_factory=list)

    def added(self, percent: float) -> float:
        """Milliseconds between the percentiles of a round, as the median of the rounds."""
        pairs = zip(self.direct, self.routed, strict=True)
        return statistics.median(routed.percentile(percent) - direct.percentile(percent) for direct, routed in pairs)

    def ratio(self, percent: float) -> float:
        """Routed to direct, as the median of the rounds."""
        pairs = zip(self.direct, self.routed, strict=True)
        return statistics.median(routed.percentile(percent) / direct.percentile(percent) for direct, routed in pairs)


def main(report: Path | None) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes are stopped too
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, running(Path(scratch)) as (direct, routed):
        before = read_metric(routed, CPU)
        results = compare(direct, routed)
        busy = read_metric(routed, CPU) - before
        sent, stored = wait_until_stored(Path(scratch) / "experiments.db", routed)
    text = "\n".join(render(results, busy, sent, stored))
    print(text)
    if report is not None:
        report.write_text(text + "\n")
    failures = sum(load.failures for each in results.values() for load in [*each.direct, *each.routed])
    return 1 if failures or stored != sent else 0


def compare(direct: int, routed: int) -> Mapping[int, Comparison]:
    """`direct` and `routed` are ports. Each round has another user."""
    results = {clients: Comparison() for clients in CLIENTS}
    for number in range(ROUNDS):
        message = request(f"user-{number % USERS}")
        for clients, comparison in results.items():
            comparison.direct.append(measure(direct, message, clients, SECONDS, WARM_UP))
            comparison.routed.append(measure(routed, message, clients, SECONDS, WARM_UP))
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
    return results


def request(user: str) -> bytes:
    lines = [
        "POST /v2/models/bench/infer HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"X-User-Id: {user}",
        f"Content-Length: {len(BODY)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + BODY


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[int, int]]:
    """Server, router and writer; yields the ports of the first two."""
    direct, routed = free_port(), free_port()
    (folder / "experiments.yaml").write_text(FILE)
    environment = {
        "PYTHONPATH": str(SOURCE),
        "EXPERIMENT_FILE": str(folder / "experiments.yaml"),
        "EXPERIMENT_FOLDER": str(folder),
        "EXPERIMENT_STORE": f"sqlite:///{folder / 'experiments.db'}",
        "EXPERIMENT_SERVICE_URL": f"http://127.0.0.1:{direct}/{{service}}",
        "EXPERIMENT_PORT": str(routed),
        "USER_ID_KEY": "the-key-of-this-bench",
    }
    module = ["-m", "lifecycle.experiment"]
    with contextlib.ExitStack() as stack:
        for arguments, more in (
            (["-c", SERVER], {"PORT": str(direct)}),
            ([*module, "serve"], {}),
            ([*module, "write"], {}),
        ):
            command = [sys.executable, *arguments]
            process = stack.enter_context(subprocess.Popen(command, env={**os.environ, **environment, **more}))
            stack.callback(process.terminate)
        for port in (direct, routed):
            wait_until_listening(port)
        yield direct, routed


def wait_until_listening(port: int) -> None:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return
        time.sleep(0.2)
    raise SystemExit(f"error: nothing listens on port {port} within {TIMEOUT:g} s; its output says why")


def read_metric(port: int, prefix: str) -> float:
    """The sum of the router's samples whose lines begin so."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(prefix))


def wait_until_stored(path: Path, port: int) -> tuple[int, int]:
    """Requests that the router has answered, and predictions in the store, once they are equal or no longer grow.

    The load ends in the middle of requests, which the router answers, and counts, a little later.
    """
    deadline, sent, stored = time.monotonic() + TIMEOUT, 0, -1
    with contextlib.closing(sqlite3.connect(path)) as database:
        while stored != sent and time.monotonic() < deadline:
            time.sleep(0.5)
            sent = round(read_metric(port, ANSWERED))
            (stored,) = database.execute("SELECT count(*) FROM results").fetchone()
    return sent, stored


def render(results: Mapping[int, Comparison], busy: float, sent: int, stored: int) -> list[str]:
    """`busy` is the router's processor time in seconds, while it answered the requests."""
    loads = [load for each in results.values() for load in [*each.direct, *each.routed]]
    cost = statistics.median(load.busy / len(load.latencies) for load in loads) * 1e6
    lines = [
        "## Experiment router",
        "",
        f"`bench/experiment_router.py`, {time.strftime('%Y-%m-%d')}, {platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} cores for all processes, Python {platform.python_version()}, load average "
        f"{os.getloadavg()[0]:.1f} at the end. Direct and routed requests in turn, {ROUNDS} rounds of {SECONDS:g} s; "
        "medians of the rounds, and of their differences and ratios. The server behind the router responds at once. "
        f"The load generator takes {cost:.0f} microseconds of processor time per request.",
        "",
        "| clients | direct: req/s, p50, p99 ms | routed: req/s, p50, p99 ms | added p50, p99 ms | ratio p50, p99 |",
        "|---|---|---|---|---|",
    ]
    for clients, each in results.items():
        added = f"{each.added(50):.2f}, {each.added(99):.2f}"
        ratios = f"{each.ratio(50):.1f}, {each.ratio(99):.1f}"
        lines.append(f"| {clients} | {cell(each.direct)} | {cell(each.routed)} | {added} | {ratios} |")
    added = results[1].added(99)
    met = "met" if added <= GOAL else "not met"
    return [
        *lines,
        "",
        f"- The router takes {busy / sent * 1e6:.0f} microseconds of processor time per request, in all its threads.",
        f"- Recorded: {stored} of {sent} routed requests are in the store, written during the run.",
        f"- Goal, at most {GOAL:g} ms added to p99 with one client: {added:.2f} ms: {met}",
        "",
    ]


def cell(loads: list[Load]) -> str:
    values = [statistics.median(load.rate for load in loads)]
    values += [statistics.median(load.percentile(percent) for load in loads) for percent in (50, 99)]
    return "{:,.0f}, {:.2f}, {:.2f}".format(*values)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
