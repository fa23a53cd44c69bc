"""Attacks on a server with two workers and the default settings, and the resources that they occupy.

`pytest -m soak -s tests/serving/test_attacks.py` prints a table; docs/serving.md has one, and says which of its rows
were measured in another way. Memory and descriptors are the kernel's figures for the worker with the most; during each
attack an honest client requests ten predictions a second. Proves that it gets no error, and that the metrics account
for every request. Its slowest response is printed but not evaluated, since the attacker and the server share this
machine's cores. Not proven: many attackers, which a gateway has to limit.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.attacks import MEGABYTE, PREDICT, Outcomes, drip, flood, hold, send_together
from support.serving import TESTS, Server, row, serve
from support.waiting import eventually

pytestmark = pytest.mark.soak

BODY = json.dumps({"features": row()}).encode()
LARGEST = b" " * (MEGABYTE - len(BODY)) + BODY
DESCRIPTORS = 576  # that a worker may have: 512 for connections, and 64 for everything else
HALF_OPEN = 5000
METRICS = b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"


@dataclass
class Watch:
    """The most that one worker has had: megabytes in memory, and descriptors."""

    server: Server
    peak: int = 0
    descriptors: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        for worker in self.server.workers():
            with contextlib.suppress(OSError, TypeError):  # it has just ended
                found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
                self.peak = max(self.peak, int(found[1]) // 1024)  # type: ignore[index]
                self.descriptors = max(self.descriptors, len(os.listdir(f"/proc/{worker}/fd")))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        def run() -> None:
            while not self._stop.wait(0.05):
                self.look()

        thread = threading.Thread(target=run)
        thread.start()
        yield
        self._stop.set()
        thread.join()


@pytest.fixture(scope="module")
def target(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    most = HALF_OPEN + 1000
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < most:
        pytest.skip(f"this process may have {hard} descriptors and needs {most}")
    with serve(registry, tmp_path_factory.mktemp("attacked"), WORKERS=2, LOG_LEVEL="error") as server:
        eventually(lambda: len(server.workers()) == 2, "both workers run")
        for worker in server.workers():
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        yield server
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def count(outcomes: Outcomes) -> str:
    return ", ".join(f"{number:,} x {name}" for name, number in sorted(outcomes.items()))


def format_size(size: int) -> str:
    return f"{size / MEGABYTE:.0f} MB received"


CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
CHUNKED, LENGTH = b"transfer-encoding: chunked\r\n\r\n", b"content-length: %d\r\n\r\n"
LARGE_REQUEST = PREDICT + b"connection: close\r\n" + LENGTH % len(LARGEST) + LARGEST
# Keyed by name: the attack of a port, which returns its outcome, and the megabytes by which a worker may grow.
ATTACKS: dict[str, tuple[Callable[[int], str], int]] = {
    "nothing": (lambda _: time.sleep(10) or "", 16),
    "a header of 615 MB": (
        lambda port: format_size(flood(port, PREDICT + b"x: ", b"a" * MEGABYTE, 615 * MEGABYTE)),
        16,
    ),
    "615 MB of headers": (lambda port: format_size(flood(port, PREDICT, b"a: b\r\n" * 9999, 615 * MEGABYTE)), 16),
    "a body of 500 MB in chunks": (lambda port: format_size(flood(port, PREDICT + CHUNKED, CHUNK, 500 * MEGABYTE)), 16),
    "200 slow headers": (lambda port: count(drip(port, 200, PREDICT, b"x: y\r\n")), 16),
    "200 slow bodies": (lambda port: count(drip(port, 200, PREDICT + LENGTH % 9999, b"x")), 16),
    "5,000 silent connections": (lambda port: count(hold(port, HALF_OPEN, b"", 10)), 32),
    "5,000 with half a header": (lambda port: count(hold(port, HALF_OPEN, PREDICT, 10)), 32),
    "5,000 with half a body": (lambda port: count(hold(port, HALF_OPEN, PREDICT + LENGTH % 99 + b"{", 10)), 64),
    "400 bodies of 1 MB at once": (lambda port: count(send_together(port, 400, LARGE_REQUEST)), 160),
    "100 connections that read nothing": (lambda port: count(hold(port, 100, 16 * METRICS, 40)), 64),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_bounded_and_an_honest_client_is_served(target: Server, name: str) -> None:
    attack, most = ATTACKS[name]
    port = target.client.base_url.port or 0
    before, watch = Watch(target), Watch(target)
    before.look()
    failures = count_server_errors(target)
    with honest_client(target) as responses, watch.running():
        started = time.monotonic()
        outcome = attack(port)
        seconds = time.monotonic() - started
    slowest = max((duration for _, duration in responses), default=0.0)
    print(
        f"\n| {name} | {outcome} | {seconds:.0f} | {before.peak}, {watch.peak} | {watch.descriptors} |"
        f" {len(responses)}, {slowest:.1f} |"
    )
    assert {status for status, _ in responses} <= {"200"}
    assert watch.peak - before.peak < most
    assert watch.descriptors <= DESCRIPTORS
    eventually(lambda: target.count_in_progress() == 1, "every request but this one is answered")
    assert count_server_errors(target) == failures


@contextlib.contextmanager
def honest_client(server: Server) -> Iterator[list[tuple[str, float]]]:
    """Responses to a client during the attack: status and seconds, available after the context has ended."""
    command = [sys.executable, "-m", "support.steady_client", f"{server.client.base_url}/predict", BODY.decode()]
    responses: list[tuple[str, float]] = []
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield responses
        process.kill()
        for line in process.stdout.read().splitlines():
            status, seconds = line.split()
            responses.append((status, float(seconds)))


def count_server_errors(server: Server) -> float:
    reasons = ("server-error", "model-error")
    refusals = sum(server.metric("groundwork_refusals_total", f'reason="{reason}"') for reason in reasons)
    return refusals + server.metric("groundwork_requests_total", 'status="5')
