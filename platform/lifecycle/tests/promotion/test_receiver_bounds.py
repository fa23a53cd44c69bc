"""The receiver has limits on what a sender can occupy. tests/core/test_http_server.py proves the limits themselves.

The server is the command's, with a shorter timeout, on a real port.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from lifecycle.core.http_server import HttpLimits
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.metrics import DELIVERIES
from lifecycle.promotion.receiver import PATH, create_config
from lifecycle.promotion.settings import ReceiverSettings
from support.waiting import TIMEOUT, eventually

POST = f"POST {PATH} HTTP/1.1\r\nhost: a\r\n".encode()


@pytest.fixture
def port(inbox: Inbox) -> Iterator[int]:
    settings, limits = ReceiverSettings(webhook_secret="a-secret-of-this-test"), HttpLimits(connections=8, seconds=1)
    server = uvicorn.Server(create_config(settings, inbox, "", 0, limits))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("length", [b"content-length: 500000000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"])
def test_a_body_of_half_a_gigabyte_is_not_read_to_its_end(port: int, length: bytes) -> None:
    piece, sent = b"x" * 65536 if b"content" in length else b"10000\r\n" + b"x" * 65536 + b"\r\n", 0
    with connect(port) as sender:
        sender.sendall(POST + length)
        with contextlib.suppress(OSError):
            while sent < 500_000_000:
                sender.sendall(piece)
                sent += len(piece)
    assert sent < 32 << 20


def test_endless_headers_and_slow_bodies_are_rejected_and_counted(port: int) -> None:
    rejected = DELIVERIES.labels("rejected")._value.get
    before = rejected()
    with connect(port) as endless, connect(port) as slow:
        slow.sendall(POST + b"content-length: 300\r\n\r\n{")
        endless.sendall(POST + b"x: " + b"a" * 100_000)
        assert endless.recv(4096).startswith(b"HTTP/1.1 431")
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
    eventually(lambda: rejected() == before + 2, "both are counted")


def test_half_open_connections_make_room_for_deliveries(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(connect(port)).sendall(POST)
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


def test_it_does_not_redirect_to_any_host(port: int) -> None:
    response = httpx.get(f"http://127.0.0.1:{port}/health/", headers={"host": "elsewhere.example"})
    assert (response.status_code, response.headers.get("location")) == (404, None)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), TIMEOUT)
