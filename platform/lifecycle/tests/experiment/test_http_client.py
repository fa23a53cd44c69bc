"""The client gets each response whole and for its own request, whatever the server does, over few open connections.

Real: sockets, TLS, uvloop and the parser. The server follows a script, so that it can misbehave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from lifecycle.experiment import http_client
from lifecycle.experiment.http_client import HttpClient, Origin
from support.cosmosdb import create_tls_context
from support.network import HttpResponse, free_port, serve_http
from support.waiting import TIMEOUT

REQUEST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
OK = HEAD + b"{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Reply:
    """The response to a request, after `delay` seconds, in parts of `part` bytes; `ends` then closes the connection."""

    data: bytes = b""
    delay: float = 0.0
    part: int = 1 << 20
    ends: bool = False


@dataclass
class Server:
    """
    connections  by which connection each request came, counted from 0
    ended        how many connections the client has closed
    """

    script: list[Reply]
    origin: Origin = field(init=False)
    connections: list[int] = field(default_factory=list)
    opened: int = 0
    ended: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.opened = self.opened, self.opened + 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.connections.append(number)
                reply = self.script.pop(0)
                await asyncio.sleep(reply.delay)
                for start in range(0, len(reply.data), reply.part):
                    writer.write(reply.data[start : start + reply.part])
                    await asyncio.sleep(0)
                if reply.ends:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended += 1
        finally:
            writer.close()


@asynccontextmanager
async def serve(*script: Reply) -> AsyncIterator[tuple[Server, HttpClient]]:
    server, client = Server([*script]), HttpClient()
    listener = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    server.origin = Origin("127.0.0.1", listener.sockets[0].getsockname()[1], False)
    try:
        yield server, client
    finally:
        client.close()
        listener.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(TIMEOUT):
            await scenario()

    uvloop.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("part", [1, 7, 1000])
@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (OK, 200, b"{}"),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", 500, b""),
        (b"HTTP/1.1 204 None\r\n\r\n", 204, b""),
        (CHUNKED, 200, b"abcde"),
        (b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK, 200, b"{}"),
    ],
)
def test_a_response_may_arrive_in_any_parts(data: bytes, status: int, body: bytes, part: int) -> None:
    async def scenario() -> None:
        async with serve(*[Reply(data, part=part)] * 3) as (server, client):
            for _ in range(3):
                found = await client.send(server.origin, REQUEST)
                assert (found.status, found.body) == (status, body)
                names = [name for name, _ in found.headers]
                assert names == [name.lower() for name in names]
                assert b"link" not in names, "it is of the announcement"
            assert server.connections == [0, 0, 0]

    run(scenario)


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    async def scenario() -> None:
        async with serve(Reply(b"HTTP/1.1 200 OK\r\n\r\nabc", ends=True), Reply(OK)) as (server, client):
            assert (await client.send(server.origin, REQUEST)).body == b"abc"
            assert (await client.send(server.origin, REQUEST)).body == b"{}"
            assert server.connections == [0, 1]

    run(scenario)


def test_a_response_to_head_has_a_length_but_no_body() -> None:
    async def scenario() -> None:
        async with serve(Reply(HEAD), Reply(OK)) as (server, client):
            found = await client.send(server.origin, REQUEST, is_head=True)
            assert (found.status, found.body, dict(found.headers)[b"content-length"]) == (200, b"", b"2")
            assert (await client.send(server.origin, REQUEST)).body == b"{}"

    run(scenario)


def test_a_connection_that_the_server_closes_is_not_reused() -> None:
    async def scenario() -> None:
        closing = HEAD[:-2] + b"connection: close\r\n\r\n{}"
        async with serve(Reply(closing), Reply(OK)) as (server, client):
            for _ in range(2):
                assert (await client.send(server.origin, REQUEST)).body == b"{}"
            assert server.connections == [0, 1]

    run(scenario)


def test_a_reused_connection_that_ends_without_a_response_is_replaced_once() -> None:
    async def scenario() -> None:
        replies = [Reply(OK), Reply(ends=True), Reply(OK), Reply(ends=True), Reply(ends=True)]
        async with serve(*replies) as (server, client):
            for _ in range(2):
                assert (await client.send(server.origin, REQUEST)).body == b"{}"
            with pytest.raises(ConnectionError, match="without a response"):
                await client.send(server.origin, REQUEST)
            assert server.connections == [0, 0, 1, 1, 2]

    run(scenario)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (OK[:-1], "within the response"),
        (b"HTTP/1.1 200", "within the response"),
        (CHUNKED[:-5], "within the response"),
        (b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "is not HTTP"),
        (b"SSH-2.0-server\r\n", "is not HTTP"),
    ],
)
def test_half_a_response_is_an_error_and_the_request_is_not_repeated(data: bytes, reason: str) -> None:
    async def scenario() -> None:
        async with serve(Reply(OK), Reply(data, ends=True)) as (server, client):
            await client.send(server.origin, REQUEST)
            with pytest.raises(ConnectionError, match=reason):
                await client.send(server.origin, REQUEST)
            assert server.connections == [0, 0]

    run(scenario)


def test_a_caller_that_gives_up_ends_the_connection() -> None:
    async def scenario() -> None:
        async with serve(Reply(HEAD)) as (server, client):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.send(server.origin, REQUEST)
            await until(lambda: server.ended == 1)

    run(scenario)


def test_a_late_or_unrequested_response_does_not_answer_another_request() -> None:
    wrong = OK.replace(b"{}", b"no")

    async def scenario() -> None:
        async with serve(Reply(wrong, delay=0.2), Reply(OK + wrong), Reply(OK)) as (server, client):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.send(server.origin, REQUEST)
            for _ in range(2):
                assert (await client.send(server.origin, REQUEST)).body == b"{}"
            assert server.connections == [0, 1, 2]
            await until(lambda: server.ended == 2)

    run(scenario)


def test_requests_at_a_time_have_a_connection_each_which_ends_when_it_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "_KEEP_ALIVE", 0.1)

    async def scenario() -> None:
        replies = [Reply(OK.replace(b"{}", b"%02d" % number), delay=0.1) for number in range(10)]
        async with serve(*replies) as (server, client):
            found = await asyncio.gather(*(client.send(server.origin, REQUEST) for _ in range(10)))
            assert sorted(int(each.body) for each in found) == [*range(10)]
            assert server.opened == 10
            await until(lambda: server.ended == 10)

    run(scenario)


def test_a_server_that_does_not_listen_is_an_error() -> None:
    async def scenario() -> None:
        with pytest.raises(OSError, match="refused"):
            await HttpClient().send(Origin("127.0.0.1", free_port(), False), REQUEST)

    run(scenario)


def test_only_certificates_of_known_authorities_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = create_tls_context(tmp_path)

    async def send(origin: Origin) -> bytes:
        return (await HttpClient().send(origin, REQUEST)).body

    with serve_http(lambda _: HttpResponse(200, b"secure"), context) as url:
        origin = Origin("127.0.0.1", int(url.rpartition(":")[2]), True)
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            uvloop.run(send(origin))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert uvloop.run(send(origin)) == b"secure"
