"""The limits on the memory, connections and time that a client or a sink can occupy, while others are served.

tests/core/test_http_server.py proves each limit by itself; this proves that the server has them, with uvloop, and that
refusals are counted. Memory is the kernel's figure for the worker.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

from support.faulty_model import SLEEP
from support.serving import FAULTY, Server, register, row, serve
from support.waiting import TIMEOUT, eventually

MEGABYTE = 1 << 20
PREDICT = b"POST /predict HTTP/1.1\r\nhost: a\r\n"


@pytest.fixture(scope="module")
def bounded(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(registry, tmp_path_factory.mktemp("bounded"), READ_TIMEOUT=2, MAX_CONNECTIONS=20) as running:
        yield running


def test_a_header_of_600_megabytes_does_not_take_memory(bounded: Server) -> None:
    before, sent, piece = memory(bounded), 0, b"a" * MEGABYTE
    with connect(bounded) as client:
        client.sendall(PREDICT + b"x: ")
        with contextlib.suppress(OSError):
            while sent < 600 * MEGABYTE:
                client.sendall(piece)
                sent += len(piece)
    assert sent < 32 * MEGABYTE
    assert memory(bounded) - before < 32 * MEGABYTE
    assert bounded.metric("groundwork_refusals_total", 'reason="too-large"') >= 1
    assert bounded.metric("groundwork_requests_total", 'endpoint="other"', 'status="431"') >= 1


def test_slow_headers_and_bodies_end_in_time_and_are_not_server_errors(bounded: Server) -> None:
    before = bounded.metric("groundwork_requests_total", 'status="408"')
    with connect(bounded) as slow_head, connect(bounded) as slow_body, connect(bounded) as silent:
        slow_head.sendall(PREDICT)
        slow_body.sendall(PREDICT + b"content-length: 100\r\n\r\n{")
        assert read_to_end(slow_head).startswith(b"HTTP/1.1 408")
        response = read_to_end(slow_body)
        assert response.startswith(b"HTTP/1.1 408")
        assert b"READ_TIMEOUT" in response
        assert read_to_end(silent) == b""
    eventually(lambda: bounded.metric("groundwork_requests_total", 'status="408"') == before + 2, "both are counted")
    assert bounded.metric("groundwork_requests_total", 'status="5') == 0


def test_half_open_connections_do_not_block_other_clients(bounded: Server) -> None:
    (worker,) = bounded.workers()
    with contextlib.ExitStack() as stack:
        for number in range(200):
            client = stack.enter_context(connect(bounded))
            if number % 2:
                client.sendall(PREDICT)
        assert bounded.predict(row()).status_code == 200
        assert count_sockets(worker) < 20 + 15, "its connections, and its own sockets"


def test_a_hanging_sink_takes_no_more_memory_than_the_queue(registry: str, tmp_path: Path) -> None:
    """With rows of 0.95 megabytes, whose events were counted and not measured before."""
    table = pd.DataFrame({"text": ["a", "b"] * 10, "number": np.arange(20.0)})
    register("wordy", DummyRegressor(), table, table["number"])
    body = {"features": {"text": "x" * 950_000, "number": 1.0}}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with serve(registry, tmp_path, model="wordy", INFERENCE_LOG_SINK=sink) as server:
            assert server.client.post("/predict", json=body).status_code == 200
            before = memory(server)
            for _ in range(300):
                assert server.client.post("/predict", json=body).status_code == 200
            assert memory(server) - before < 120 * MEGABYTE
            assert server.metric("groundwork_inference_log_dropped_total") > 200
            server.process.kill()


def test_pipelined_requests_of_a_disconnected_client_are_counted_and_not_server_errors(
    registry: str, tmp_path: Path
) -> None:
    asleep = tmp_path / "asleep"
    body = json.dumps({"features": row(SLEEP, 0, 0, 3)}).encode()
    request = PREDICT + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    with serve(registry, tmp_path, module=FAULTY, ASLEEP_FILE=asleep) as server:
        with connect(server) as client:
            client.sendall(2 * request)
            eventually(asleep.exists, "the first one is predicted")
        received = 'endpoint="predict"'
        eventually(lambda: server.metric("groundwork_requests_total", received) == 1, "it is counted")
        assert server.metric("groundwork_refusals_total", 'reason="server-error"') == 0
        assert not server.find_logged("Exception in ASGI application")


def read_to_end(client: socket.socket) -> bytes:
    """The bytes that the server sends until it disconnects."""
    return b"".join(iter(lambda: client.recv(4096), b""))


def count_sockets(process: int) -> int:
    count = 0
    for link in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            count += link.readlink().name.startswith("socket:")
    return count


def memory(server: Server) -> int:
    """The bytes of the one worker that are in memory."""
    (worker,) = server.workers()
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
    assert found
    return int(found[1]) * 1024


def connect(server: Server) -> socket.socket:
    url = server.client.base_url
    return socket.create_connection((url.host, url.port or 0), TIMEOUT)
