"""The router has limits on what a client can occupy. tests/core/test_http_server.py proves the limits themselves.

The server is the command's, with uvloop, a shorter timeout and fewer connections.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.core.http_server import HttpLimits
from support.experiment import INFER, RunningRouter, metric, run_router
from support.waiting import TIMEOUT, eventually

REFUSALS = "groundwork_experiment_refusals_total"
POST = f"POST {INFER} HTTP/1.1\r\nhost: a\r\n".encode()


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[RunningRouter]:
    with run_router(tmp_path, limits=HttpLimits(connections=8, seconds=1)) as running:
        yield running


def test_endless_headers_are_refused_and_counted(bounded: RunningRouter) -> None:
    before = metric(REFUSALS, reason="too-large")
    with connect(bounded) as endless:
        endless.sendall(POST + b"x: " + b"a" * 100_000)
        assert endless.recv(4096).startswith(b"HTTP/1.1 431")
    eventually(lambda: metric(REFUSALS, reason="too-large") == before + 1, "it is counted")


def test_slow_headers_and_bodies_end_in_time(bounded: RunningRouter) -> None:
    with connect(bounded) as slow_head, connect(bounded) as slow_body:
        slow_head.sendall(POST)
        slow_body.sendall(POST + b"content-length: 300\r\n\r\n{")
        assert slow_head.recv(4096).startswith(b"HTTP/1.1 408")
        assert slow_body.recv(4096).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"content-length: 500000000\r\n\r\n" + b"x" * ((1 << 20) + 1), b"413"),
        (b"transfer-encoding: gzip\r\n\r\n", b"400"),
    ],
)
def test_a_body_that_is_too_large_or_malformed_is_refused(bounded: RunningRouter, body: bytes, status: bytes) -> None:
    with connect(bounded) as client:
        client.sendall(POST + body)
        assert client.recv(4096).split()[1] == status
    assert not bounded.services["champion"].received


def test_half_open_connections_make_room_for_requests(bounded: RunningRouter) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(connect(bounded)).sendall(POST)
        assert bounded.client.post(INFER, content=b"{}").status_code == 200


def connect(router: RunningRouter) -> socket.socket:
    return socket.create_connection((router.client.base_url.host, router.client.base_url.port or 0), TIMEOUT)
