"""The limits of bytes, seconds and connections that a client can occupy, with raw sockets and a real uvicorn.

Proven for uvicorn's asyncio loop; tests/serving proves the model server's, with uvloop, and tests/promotion the
receiver's. Not proven: TLS, which the gateway terminates.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from lifecycle.core.http_server import (
    LARGE_BODY,
    MAX_HEAD,
    MAX_HEADERS,
    BodyTooLargeError,
    BodyTooSlowError,
    HttpLimits,
    MalformedBodyError,
    TooManyBodiesError,
    create_protocol,
    read_body,
)
from support.waiting import TIMEOUT, eventually

SECONDS, CONNECTIONS, LARGE_BODIES, MAX_BODY, LARGE = 1.0, 8, 2, 100_000, 30 << 20
HEAD = b"POST /echo HTTP/1.1\r\nhost: a\r\n"


@dataclass
class Running:
    """A server, and its refusals: statuses and reasons."""

    port: int = 0
    refusals: list[tuple[int, str]] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT)


@pytest.fixture
def server() -> Iterator[Running]:
    with serve(HttpLimits(CONNECTIONS, SECONDS, LARGE_BODIES)) as running:
        yield running


@contextlib.contextmanager
def serve(limits: HttpLimits) -> Iterator[Running]:
    running = Running()
    protocol = create_protocol(limits, lambda *refusal: running.refusals.append(refusal))
    options = {"ws": "none", "lifespan": "off", "log_config": None, "timeout_graceful_shutdown": 1}
    uvicorn_server = uvicorn.Server(uvicorn.Config(create_app(), http=protocol, loop="asyncio", **options))  # type: ignore[arg-type]
    running.connections = uvicorn_server.server_state.connections  # type: ignore[assignment]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running.port = listener.getsockname()[1]
        thread = threading.Thread(target=uvicorn_server.run, args=([listener],))
        thread.start()
        yield running
        uvicorn_server.should_exit = True
        thread.join()


def create_app() -> Router:
    async def echo(request: Request) -> Response:
        try:
            return Response(await read_body(request, MAX_BODY))
        except BodyTooLargeError:
            return PlainTextResponse("too large", 413)
        except BodyTooSlowError:
            return PlainTextResponse("too slow", 408)
        except TooManyBodiesError:
            return PlainTextResponse("too many", 503)
        except MalformedBodyError:
            return PlainTextResponse("malformed", 400)

    async def early(_: Request) -> Response:
        return PlainTextResponse("who are you?", 401)

    async def large(_: Request) -> Response:
        return Response(b" " * LARGE)

    async def wait(_: Request) -> Response:
        await asyncio.sleep(3 * SECONDS)
        return PlainTextResponse("done")

    return Router(
        [
            Route("/echo", echo, methods=["POST"]),
            Route("/early", early, methods=["POST"]),
            Route("/large", large),
            Route("/wait", wait, methods=["GET", "POST"]),
        ]
    )


@pytest.mark.slow
def test_requests_on_one_connection_are_answered_also_after_a_pause_and_in_pieces(server: Running) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        for size in (0, 10, MAX_BODY):
            assert client.post("/echo", content=b"x" * size).content == b"x" * size
            time.sleep(1.2 * SECONDS)  # a pause between requests is not a slow request
        pieces = [b"ab"] * 100
        assert client.post("/echo", content=iter(pieces)).content == b"".join(pieces)
        assert client.get("/wait").text == "done", "the deadline is the request's, not the response's"
    assert server.refusals == []


ENDLESS = {
    "request line": (b"GET /", b"a" * 4096),
    "one header": (HEAD + b"x: ", b"a" * 4096),
    "many headers": (HEAD, b"x: y\r\n" * 500),
    "trailers": (HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"x: y\r\n" * 500),
    "extensions of chunks": (HEAD + b"transfer-encoding: chunked\r\n\r\n1;", b"a=b;" * 1024),
}


@pytest.mark.slow
@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
def test_an_endless_head_is_refused_after_some_kilobytes(server: Running, start: bytes, more: bytes) -> None:
    with server.connect() as client:
        sent, response = send_endlessly(client, start, more)
    assert sent < 16 << 20, "the server no longer reads"
    if b"\r\n\r\n" in start:
        assert response.startswith(b"HTTP/1.1 413"), "by the application, which has received the head"
    else:
        assert response.startswith(b"HTTP/1.1 431")
        assert server.refusals == [(431, "too-large")]


@pytest.mark.parametrize("lines", [b"x: y\r\n" * MAX_HEADERS, b"x: " + b"a" * MAX_HEAD + b"\r\n"])
def test_a_head_that_arrives_at_once_has_the_same_bounds(server: Running, lines: bytes) -> None:
    with server.connect() as client:
        client.sendall(HEAD + lines + b"content-length: 0\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 431")
    assert server.refusals == [(431, "too-large")]


@pytest.mark.slow
def test_a_request_that_does_not_arrive_is_refused_in_time(server: Running) -> None:
    started = time.monotonic()
    with server.connect() as slow_head, server.connect() as slow_body, server.connect() as silent:
        slow_body.sendall(HEAD + b"content-length: 10\r\n\r\n")
        slow_head.sendall(HEAD)
        for _ in range(5):
            time.sleep(SECONDS / 10)
            slow_body.sendall(b"x")
            slow_head.sendall(b"x: y\r\n")
        assert read_all(slow_head).startswith(b"HTTP/1.1 408")
        assert read_all(slow_body).startswith(b"HTTP/1.1 408"), "by the application"
        assert read_all(silent) == b"", "without a request there is no response"
    assert time.monotonic() - started < 5 * SECONDS
    assert server.refusals == [(408, "slow")]


@pytest.mark.slow
def test_a_byte_after_a_response_does_not_hold_the_connection(server: Running) -> None:
    with server.connect() as client:
        client.sendall(HEAD + b"content-length: 0\r\n\r\n" + b"P")
        started = time.monotonic()
        assert read_all(client).count(b"HTTP/1.1 ") == 2
        assert time.monotonic() - started < 5 * SECONDS
    assert server.refusals == [(408, "slow")]


@pytest.mark.slow
def test_a_body_that_is_refused_is_not_read_to_its_end(server: Running) -> None:
    for start in (HEAD, b"GET /other HTTP/1.1\r\nhost: a\r\n"):
        with server.connect() as client:
            sent, response = send_endlessly(client, start + b"content-length: 500000000\r\n\r\n", b"x" * 4096)
        assert sent < 16 << 20
        assert response.split()[1] in (b"413", b"404")


def test_a_response_before_the_body_has_arrived_says_that_the_connection_ends(server: Running) -> None:
    with server.connect() as client:
        client.sendall(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n")
        response = read_all(client)
    assert response.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in response
    with server.connect() as client:
        client.sendall(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345")
        assert b"connection: close" not in client.recv(1024)


@pytest.mark.parametrize("body", [b"transfer-encoding: chunked\r\n\r\nx\r\n", b"transfer-encoding: gzip\r\n\r\n"])
def test_a_body_that_does_not_match_its_headers_gets_400_from_the_application(server: Running, body: bytes) -> None:
    with server.connect() as client:
        client.sendall(HEAD + body)
        assert read_all(client).startswith(b"HTTP/1.1 400")
    assert server.refusals == []


def test_a_large_body_waits_until_another_one_is_gone_and_small_ones_do_not() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serve(HttpLimits(CONNECTIONS, TIMEOUT, LARGE_BODIES)))
        clients = [stack.enter_context(server.connect()) for _ in range(LARGE_BODIES + 2)]
        for number, client in enumerate(clients, start=1):
            start_large_body(client)
            held = max(0, number - LARGE_BODIES)
            eventually(lambda: count_held(server) == held, "the bodies beyond the limit wait")  # noqa: B023
        *first, abandoned, last = clients
        abandoned.close()
        for client in (*first, last):
            client.sendall(b"x" * (MAX_BODY - LARGE_BODY - 1))
        assert httpx.post(f"http://127.0.0.1:{server.port}/echo", content=b"small").text == "small"
        for client in (*first, last):
            assert client.recv(12) == b"HTTP/1.1 200"
        assert count_held(server) == 0


@pytest.mark.slow
def test_a_large_body_without_room_is_refused_in_time(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(LARGE_BODIES):
            client = stack.enter_context(server.connect())
            client.sendall(HEAD.replace(b"echo", b"wait") + b"content-length: %d\r\n\r\n" % (LARGE_BODY + 1))
            client.sendall(b"x" * (LARGE_BODY + 1))
        late = stack.enter_context(server.connect())
        start_large_body(late)
        assert read_all(late).startswith(b"HTTP/1.1 503")
        assert count_held(server) == 0
    eventually(lambda: not server.connections, "all are disconnected")


def start_large_body(client: socket.socket) -> None:
    client.sendall(HEAD + b"content-length: %d\r\n\r\n" % MAX_BODY + b"x" * (LARGE_BODY + 1))


def count_held(server: Running) -> int:
    return sum(connection.flow.is_held for connection in list(server.connections))  # type: ignore[attr-defined]


def test_half_open_connections_make_room_for_requests(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(10 * CONNECTIONS):
            half_open = stack.enter_context(server.connect())
            if number % 2:
                half_open.sendall(HEAD)
        eventually(lambda: len(server.connections) == CONNECTIONS, "the limit is reached")
        assert httpx.post(f"http://127.0.0.1:{server.port}/echo", content=b"served").text == "served"


@pytest.mark.slow
def test_when_all_connections_are_in_use_another_one_is_refused(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(server.connect()).sendall(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        eventually(lambda: len(server.connections) == CONNECTIONS, "all are connected")
        eventually(lambda: refuses(server), "another one is refused")
    assert (503, "connections") in server.refusals


def refuses(server: Running) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.post(f"http://127.0.0.1:{server.port}/echo").status_code == 503
    return False


@pytest.mark.slow
@pytest.mark.parametrize("connection", [b"keep-alive", b"close"])
def test_a_client_that_does_not_read_its_response_is_disconnected(server: Running, connection: bytes) -> None:
    with server.connect() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nhost: a\r\nconnection: " + connection + b"\r\n\r\n")
        eventually(lambda: len(server.connections) == 1, "it is connected")
        eventually(lambda: not server.connections, "it is disconnected")
        with contextlib.suppress(ConnectionResetError):
            assert len(read_all(client)) < LARGE


@pytest.mark.slow
def test_only_some_requests_may_wait_on_one_connection(server: Running) -> None:
    with server.connect() as client:
        client.sendall(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n" * 1000)
        with contextlib.suppress(ConnectionResetError):
            assert read_all(client) == b""
    assert server.refusals == [(0, "pipelined")]


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        HEAD + b"content-length: x\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
def test_bytes_that_are_not_http_get_400(server: Running, text: bytes) -> None:
    with server.connect() as client:
        client.sendall(text)
        assert read_all(client).startswith(b"HTTP/1.1 400")
    assert server.refusals == [(400, "malformed")]


def send_endlessly(client: socket.socket, start: bytes, more: bytes) -> tuple[int, bytes]:
    """Send until the server no longer accepts data; returns the number of bytes sent, and the response."""
    client.settimeout(0.5)
    sent, response = len(start), b""
    with contextlib.suppress(OSError):
        client.sendall(start)
        while sent < 64 << 20:
            client.sendall(more)
            sent += len(more)
    with contextlib.suppress(OSError):
        response = client.recv(4096)
    return sent, response


def read_all(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)
