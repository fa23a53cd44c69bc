"""Failures while serving: slow, failing and hanging models, overload, SIGTERM, killed processes.

The model's faults are simulated (see support/faulty_model.py); processes, signals and HTTP are real. Not proven: how a
kubelet reacts to readiness.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from support.faulty_model import FAIL, SECRET, SLEEP
from support.serving import FAULTY, Server, expected, row, serve, start_sleeping
from support.waiting import TIMEOUT, eventually


@pytest.fixture(scope="module")
def hook_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hook") / "errors"


@pytest.fixture(scope="module")
def faulty(registry: str, hook_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {"INFERENCE_TIMEOUT": 8, "MAX_QUEUE": 6, "ERROR_HOOK": f"{FAULTY}:hook", "HOOK_FILE": hook_file}
    folder = tmp_path_factory.mktemp("faulty")
    with serve(registry, folder, module=FAULTY, ASLEEP_FILE=folder / "asleep", **environment) as running:
        yield running


def test_concurrent_requests_share_predict_calls_and_each_gets_its_own_predictions(server: Server) -> None:
    rows = [row(number, 0, number % 7, 1) for number in range(400)]
    with ThreadPoolExecutor(32) as pool:
        responses = list(pool.map(server.predict, rows))
    assert [response.json()["predictions"] for response in responses] == [
        [pytest.approx(expected(values))] for values in rows
    ]
    assert server.metric("groundwork_batch_rows_bucket", 'le="1.0"') < server.metric("groundwork_batch_rows_count")


def test_one_failing_request_of_a_batch_fails_alone_and_its_error_is_reported_to_the_hook_only(
    faulty: Server, hook_file: Path
) -> None:
    shared = faulty.metric("groundwork_batch_rows_bucket", 'le="1.0"')
    with ThreadPoolExecutor() as pool:
        first = start_sleeping(faulty, pool, 3)
        good = [pool.submit(faulty.predict, row(number, 1, 1, 1)) for number in range(3)]
        bad = pool.submit(faulty.predict, row(FAIL, 1, 1, 1), "bad-1")
        assert [response.result().json()["predictions"] for response in good] == [
            [pytest.approx(expected(row(number, 1, 1, 1)))] for number in range(3)
        ]
        assert first.result().status_code == 200
    assert (bad.result().status_code, bad.result().json()) == (500, {"error": "the model failed on this request"})
    assert faulty.metric("groundwork_batch_rows_bucket", 'le="1.0"') == shared + 1, "the four were not one batch"
    eventually(lambda: hook_file.exists() and hook_file.read_text(), "the hook is called")
    assert hook_file.read_text() == "ValueError predict bad-1\n"
    [line] = faulty.find_logged("a request failed")
    assert (line["request_id"], line["error"]) == ("bad-1", "ValueError")
    assert SECRET not in faulty.path.read_text()


def test_a_slow_prediction_gets_504_at_the_timeout_and_the_next_request_is_served(faulty: Server) -> None:
    started = time.monotonic()
    response = faulty.predict(row(SLEEP, 0, 0, 13))
    assert response.status_code == 504
    assert 8 <= time.monotonic() - started < 12.9
    assert "INFERENCE_TIMEOUT" in response.json()["error"]
    assert faulty.predict(row()).status_code == 200


def test_requests_beyond_the_queue_get_503_with_retry_after(faulty: Server) -> None:
    with ThreadPoolExecutor(20) as pool:
        first = start_sleeping(faulty, pool, 3)
        responses = [response.result() for response in [pool.submit(faulty.predict, row()) for _ in range(12)]]
        assert first.result().status_code == 200
    refused = [response for response in responses if response.status_code == 503]
    assert (len(refused), len(responses) - len(refused)) == (6, 6)
    assert all(
        int(response.headers["retry-after"]) >= 1 and "MAX_QUEUE" in response.json()["error"] for response in refused
    )


def test_a_worker_whose_model_hangs_is_replaced(faulty: Server) -> None:
    before = faulty.workers()
    assert faulty.predict(row(SLEEP, 0, 0, 600)).status_code == 504
    eventually(lambda: faulty.workers() not in (before, []), "another worker")
    eventually(lambda: is_serving(faulty), "the new worker serves")
    assert faulty.find_logged("this worker is replaced")


def test_after_sigterm_the_server_is_unready_finishes_requests_and_exits_with_0(registry: str, tmp_path: Path) -> None:
    environment = {"module": FAULTY, "DRAIN_DELAY": 6, "WORKERS": 2, "ASLEEP_FILE": tmp_path / "asleep"}
    with serve(registry, tmp_path, **environment) as server, ThreadPoolExecutor() as pool:
        slow = start_sleeping(server, pool, 8)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: server.client.get("/ready").status_code == 503, "not ready", 5)
        assert server.client.get("/ready").json()["reason"].startswith("draining")
        assert server.client.get("/v2/health/ready").status_code == 503
        assert server.predict(row()).status_code == 200, "requests that still arrive are served"
        assert slow.result().status_code == 200, "requests in flight are finished"
        assert server.process.wait(TIMEOUT) == 0
        with pytest.raises(httpx.ConnectError):
            server.client.get("/ready")


def test_a_model_that_hangs_does_not_delay_the_end(registry: str, tmp_path: Path) -> None:
    environment = {"module": FAULTY, "DRAIN_DELAY": 0.5, "DRAIN_TIMEOUT": 6, "ASLEEP_FILE": tmp_path / "asleep"}
    log = tmp_path / "inference.jsonl"
    with (
        serve(registry, tmp_path, INFERENCE_LOG_SINK=log.as_uri(), **environment) as server,
        ThreadPoolExecutor() as pool,
    ):
        assert server.predict(row()).status_code == 200
        hung = start_sleeping(server, pool, 600)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(TIMEOUT)
        assert time.monotonic() - started <= 9, "DRAIN_TIMEOUT is the latest end"
        assert (hung.result().status_code, hung.result().headers["retry-after"]) == (503, "1")
    assert len(log.read_text().splitlines()) == 1, "the prediction is in the log"


def test_a_killed_worker_is_replaced_while_the_other_is_serving(registry: str, tmp_path: Path) -> None:
    with serve(registry, tmp_path, WORKERS=2) as server:
        eventually(lambda: server.metric("groundwork_ready_workers") == 2, "both workers are ready")
        killed, kept = server.workers()
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: server.workers() not in ([killed, kept], [kept]), "another worker")
        assert kept in server.workers()
        assert all(is_serving(server) for _ in range(20)), "the other worker serves meanwhile"
        eventually(lambda: server.metric("groundwork_ready_workers") == 2, "both workers are ready again")
        assert server.stop() == 0


def test_workers_do_not_outlive_a_killed_supervisor(registry: str, tmp_path: Path) -> None:
    with serve(registry, tmp_path, WORKERS=2) as server:
        workers = server.workers()
        server.process.kill()
        server.process.wait()
        eventually(lambda: not any(is_running(worker) for worker in workers), "the workers end")


def is_serving(server: Server) -> bool:
    """Whether a new connection gets a prediction; the first one may reach a worker that has just been killed."""
    for _ in range(2):
        try:
            return server.predict(row()).status_code == 200
        except httpx.TransportError:
            continue
    return False


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:  # it may end between opening and reading, too
        return False
