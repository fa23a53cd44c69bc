"""What goes wrong while serving: slow, failing and hanging models, crowds, SIGTERM, killed processes.

The model's faults are simulated (see hurt.py); processes, signals and HTTP are real. Does not prove how a kubelet
reacts, only that it is told the truth.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hurt import FAIL, SECRET, SLEEP
from served import Server, expected, row, serving, wait_until


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hook") / "errors"


@pytest.fixture(scope="module")
def hurt(registry: str, hooked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    told = {"INFERENCE_TIMEOUT": 8, "MAX_QUEUE": 6, "ERROR_HOOK": "hurt:hook", "HOOK_FILE": hooked}
    folder = tmp_path_factory.mktemp("hurt")
    with serving(registry, folder, module="hurt", ASLEEP_FILE=folder / "asleep", **told) as running:
        yield running


def test_a_crowd_shares_predict_calls_and_everyone_gets_their_own_answer(server: Server) -> None:
    rows = [row(number, 0, number % 7, 1) for number in range(400)]
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda values: ask(server, values), rows))
    assert [reply.json()["predictions"] for reply in replies] == [[pytest.approx(expected(values))] for values in rows]
    assert server.metric("groundwork_batch_rows_bucket", 'le="1.0"') < server.metric("groundwork_batch_rows_count")


def test_one_bad_request_of_a_batch_fails_alone_and_its_error_is_reported_but_not_shown(
    hurt: Server, hooked: Path
) -> None:
    shared = hurt.metric("groundwork_batch_rows_bucket", 'le="1.0"')
    with ThreadPoolExecutor() as pool:
        first = asleep(hurt, pool, 3)
        good = [pool.submit(ask, hurt, row(number, 1, 1, 1)) for number in range(3)]
        bad = pool.submit(ask, hurt, row(FAIL, 1, 1, 1), "bad-1")
        assert [reply.result().json()["predictions"] for reply in good] == [
            [pytest.approx(expected(row(number, 1, 1, 1)))] for number in range(3)
        ]
        assert first.result().status_code == 200
    assert (bad.result().status_code, bad.result().json()) == (500, {"error": "the model failed on this request"})
    assert hurt.metric("groundwork_batch_rows_bucket", 'le="1.0"') == shared + 1, "the four were not one batch"
    wait_until(lambda: hooked.exists() and hooked.read_text(), "the hook is called")
    assert hooked.read_text() == "ValueError predict bad-1\n"
    [line] = hurt.said("a request failed")
    assert (line["request_id"], line["error"]) == ("bad-1", "ValueError")
    assert SECRET not in hurt.path.read_text()


def test_a_slow_model_gets_504_at_the_timeout_and_the_next_request_is_served(hurt: Server) -> None:
    started = time.monotonic()
    reply = ask(hurt, row(SLEEP, 0, 0, 13))
    assert reply.status_code == 504
    assert 8 <= time.monotonic() - started < 12.9
    assert "INFERENCE_TIMEOUT" in reply.json()["error"]
    assert ask(hurt, row()).status_code == 200


def test_more_requests_than_may_wait_are_told_to_come_back(hurt: Server) -> None:
    with ThreadPoolExecutor(20) as pool:
        first = asleep(hurt, pool, 3)
        replies = [reply.result() for reply in [pool.submit(ask, hurt, row()) for _ in range(12)]]
        assert first.result().status_code == 200
    refused = [reply for reply in replies if reply.status_code == 503]
    assert (len(refused), len(replies) - len(refused)) == (6, 6)
    assert all(int(reply.headers["retry-after"]) >= 1 and "MAX_QUEUE" in reply.json()["error"] for reply in refused)


def test_a_worker_whose_model_hangs_is_replaced(hurt: Server) -> None:
    before = hurt.workers()
    assert ask(hurt, row(SLEEP, 0, 0, 600)).status_code == 504
    wait_until(lambda: hurt.workers() not in (before, []), "another worker")
    wait_until(lambda: serves(hurt), "the new worker serves")
    assert hurt.said("this worker is replaced")


def test_sigterm_makes_it_unready_first_then_finishes_what_is_in_flight_then_exits_with_0(
    registry: str, tmp_path: Path
) -> None:
    told = {"module": "hurt", "DRAIN_DELAY": 6, "WORKERS": 2, "ASLEEP_FILE": tmp_path / "asleep"}
    with serving(registry, tmp_path, **told) as server, ThreadPoolExecutor() as pool:
        slow = asleep(server, pool, 8)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.client.get("/ready").status_code == 503, "not ready", 5)
        assert server.client.get("/ready").json()["reason"].startswith("draining")
        assert server.client.get("/v2/health/ready").status_code == 503
        assert ask(server, row()).status_code == 200, "traffic that still comes is served"
        assert slow.result().status_code == 200, "what was in flight is finished"
        assert server.process.wait(60) == 0
        with pytest.raises(httpx.ConnectError):
            server.client.get("/ready")


def test_a_model_that_hangs_does_not_hold_up_the_end(registry: str, tmp_path: Path) -> None:
    told = {"module": "hurt", "DRAIN_DELAY": 0.5, "DRAIN_TIMEOUT": 6, "ASLEEP_FILE": tmp_path / "asleep"}
    log = tmp_path / "inference.jsonl"
    with (
        serving(registry, tmp_path, INFERENCE_LOG_SINK=log.as_uri(), **told) as server,
        ThreadPoolExecutor() as pool,
    ):
        assert ask(server, row()).status_code == 200
        hung = asleep(server, pool, 600)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
        assert time.monotonic() - started <= 9, "DRAIN_TIMEOUT is the end, not the beginning of the end"
        assert hung.result().status_code == 500
    assert len(log.read_text().splitlines()) == 1, "what was answered is in the log"


def test_a_killed_worker_is_replaced_while_the_other_serves(registry: str, tmp_path: Path) -> None:
    with serving(registry, tmp_path, WORKERS=2) as server:
        wait_until(lambda: server.metric("groundwork_ready_workers") == 2, "both workers are ready")
        killed, kept = server.workers()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: server.workers() not in ([killed, kept], [kept]), "another worker")
        assert kept in server.workers()
        assert all(serves(server) for _ in range(20)), "the other worker serves all the while"
        wait_until(lambda: server.metric("groundwork_ready_workers") == 2, "both workers are ready again")
        assert server.stop() == 0


def test_workers_do_not_outlive_a_killed_supervisor(registry: str, tmp_path: Path) -> None:
    with serving(registry, tmp_path, WORKERS=2) as server:
        workers = server.workers()
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not any(alive(worker) for worker in workers), "the workers end")


def ask(server: Server, values: dict[str, float], request_id: str = "a-request") -> httpx.Response:
    body = {"features": values}
    return httpx.post(
        f"{server.client.base_url}/predict",
        json=body,
        headers={"x-request-id": request_id},
        timeout=30,
        trust_env=False,
    )


def serves(server: Server) -> bool:
    """Whether a new connection gets a prediction; one to a worker that has just been killed may not."""
    for _ in range(2):
        try:
            return ask(server, row()).status_code == 200
        except httpx.TransportError:
            continue
    return False


def asleep(server: Server, pool: ThreadPoolExecutor, seconds: float) -> Future[Any]:
    """Make a prediction that keeps the model busy, and return when it is under way."""
    sign = server.path.parent / "asleep"
    sign.unlink(missing_ok=True)
    future = pool.submit(ask, server, row(SLEEP, 0, 0, seconds))
    wait_until(sign.exists, "the model sleeps")
    return future


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
