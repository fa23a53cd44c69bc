"""Workers that die: every request that they had received is counted as answered or lost, and so is every death.

Processes, signals and HTTP are real; that the model's native code crashes is simulated (see support/faulty_model.py).
Not proven: requests that no worker had read yet. They are in the sockets of the worker that dies, so that only clients
and the gateway in front see them; the gateway's metrics count them.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from lifecycle.serving.supervisor import _Restarts
from support.faulty_model import CRASH
from support.serving import FAULTY, Server, is_ready, row, serve, start_sleeping
from support.waiting import eventually

ANSWERED = "groundwork_requests_total"
LOST, DEATHS = "groundwork_lost_requests_total", "groundwork_worker_deaths_total"


def test_requests_that_a_killed_worker_was_processing_are_counted_as_lost(registry: str, tmp_path: Path) -> None:
    environment = {"module": FAULTY, "ASLEEP_FILE": tmp_path / "asleep"}
    with serve(registry, tmp_path, **environment) as server, ThreadPoolExecutor() as pool:
        sent = [start_sleeping(server, pool, 60)]
        sent += [pool.submit(server.predict, row()) for _ in range(5)]
        eventually(lambda: server.count_in_progress() == 7, "six predictions, and the request for the metrics")
        assert (server.metric(LOST), server.metric(DEATHS)) == (0, 0)
        os.kill(server.workers()[0], signal.SIGKILL)
        assert {type(request.exception()) for request in sent} <= {httpx.ReadError, httpx.RemoteProtocolError}
        eventually(lambda: is_serving(server), "its successor serves")
        assert server.metric(LOST) == 6
        assert server.metric(DEATHS, 'cause="SIGKILL"') == server.metric(DEATHS) == 1
        assert server.count_in_progress() == 1, "the request for the metrics"
        [line] = server.find_logged("a worker died")
        assert (line["cause"], line["lost_requests"]) == ("SIGKILL", server.metric(LOST))


def test_no_request_is_unaccounted_for_while_workers_crash_under_load(registry: str, tmp_path: Path) -> None:
    with serve(registry, tmp_path, module=FAULTY, WORKERS=2, TMPDIR=tmp_path) as server:
        eventually(lambda: server.metric("groundwork_ready_workers") == 2, "both workers are ready")
        files = count_metrics_files(tmp_path)
        crashes = 3
        rows = [row(CRASH if number % 100 == 50 else number, 1, 1, 1) for number in range(100 * crashes)]
        before = server.metric(ANSWERED, 'endpoint="predict"')
        with ThreadPoolExecutor(8) as pool:
            results = Counter(pool.map(lambda values: outcome(server, values), rows))
        eventually(lambda: server.metric("groundwork_ready_workers") == 2, "both workers are ready again")
        assert results.total() == len(rows)
        assert 1 <= server.metric(DEATHS, 'cause="SIGSEGV"') == server.metric(DEATHS) <= crashes
        assert 1 <= server.metric(LOST) <= results["lost"], "a lower bound of what clients see"
        assert server.metric(ANSWERED, 'endpoint="predict"') - before >= results["200"]
        assert server.count_in_progress() == 1, "the request for the metrics"
        assert count_metrics_files(tmp_path) <= files, "none per death"
        assert server.stop() == 0


def test_workers_start_again_after_a_delay_that_grows_with_every_death() -> None:
    restarts, now = _Restarts(), 1000.0
    delays = [restarts.next_delay(now + number) for number in range(12)]
    assert delays[0] == 0
    for number, delay in enumerate(delays[1:]):
        longest = min(30, 0.5 * 2**number)
        assert longest / 2 <= delay <= longest
    assert restarts.next_delay(now + 12 + 600) == 0, "ten minutes without a death"


def test_a_worker_that_crashes_again_and_again_is_not_started_at_once(registry: str, tmp_path: Path) -> None:
    with serve(registry, tmp_path, module=FAULTY) as server:
        for deaths in range(1, 5):
            assert outcome(server, row(CRASH, 1, 1, 1)) == "lost"
            eventually(lambda: len(server.find_logged("a worker died")) == deaths, "the death is logged")  # noqa: B023
            eventually(lambda: is_serving(server), "its successor serves")
        delays = [line["restart_in_s"] for line in server.find_logged("a worker died")]
        assert delays[0] == 0
        assert delays == sorted(delays)
        assert delays[3] >= 1


def outcome(server: Server, values: dict[str, float]) -> str:
    """The result of a request on a new connection: a status, or `lost`."""
    try:
        return str(server.predict(values).status_code)
    except httpx.TransportError:
        return "lost"


def is_serving(server: Server) -> bool:
    try:
        return is_ready(server)
    except httpx.TransportError:
        return False


def count_metrics_files(folder: Path) -> int:
    return len(list(folder.glob("metrics-*/*.db")))
