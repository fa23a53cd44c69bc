"""A minimal client for services over HTTP/1.1 with keep-alive connections.

Most of the time that the router adds to a request is processor time for its own HTTP. This client parses in C, as the
server does, and has no cookies, redirects, proxies or compression, none of which a router may handle itself.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import NamedTuple, cast

import httptools

Headers = list[tuple[bytes, bytes]]

# Shorter than uvicorn's keep-alive of 5 seconds: a connection that the server is about to close is not used.
_KEEP_ALIVE = 3.0
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_FINAL = 200  # smaller statuses announce another response


class Origin(NamedTuple):
    """Where a service listens."""

    host: str
    port: int
    is_secure: bool


class Response(NamedTuple):
    """A whole response; names of headers are in lower case."""

    status: int
    headers: Headers
    body: bytes


class _StaleError(ConnectionError):
    """The connection ended before anything of a response arrived."""


class HttpClient:
    """Connections to any services; used in one event loop."""

    def __init__(self) -> None:
        self._idle: dict[Origin, dict[_Connection, asyncio.TimerHandle]] = {}
        self._tls: ssl.SSLContext | None = None

    async def send(self, origin: Origin, request: bytes, *, is_head: bool = False) -> Response:
        """The response to a request, which is passed as its bytes; `is_head` says that its method is HEAD.

        If the server has closed a keep-alive connection meanwhile, the request is repeated once on a new one. Raises
        OSError if there is no connection, or if it ends before the response does. Cancelling the call ends the
        connection.
        """
        connection = self._take(origin)
        if connection is not None:
            try:
                return await connection.exchange(request, is_head)
            except _StaleError:
                pass
        connection = await self._connect(origin)
        return await connection.exchange(request, is_head)

    def close(self) -> None:
        """Close the idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()

    def keep(self, origin: Origin, connection: _Connection) -> None:
        """Keep a connection for the next request, for a while."""
        timer = asyncio.get_running_loop().call_later(_KEEP_ALIVE, connection.close)
        self._idle.setdefault(origin, {})[connection] = timer

    def forget(self, origin: Origin, connection: _Connection) -> None:
        """Remove a connection that has ended."""
        timer = self._idle.get(origin, {}).pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _take(self, origin: Origin) -> _Connection | None:
        """The most recently used connection, so that connections which are not needed expire."""
        connections = self._idle.get(origin)
        while connections:
            connection, timer = connections.popitem()
            timer.cancel()
            if connection.is_open:
                return connection
        return None

    async def _connect(self, origin: Origin) -> _Connection:
        if origin.is_secure and self._tls is None:
            self._tls = ssl.create_default_context()
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self, origin), origin.host, origin.port, ssl=self._tls if origin.is_secure else None
        )
        return connection


class _Connection(asyncio.Protocol):
    """Carries one request at a time."""

    _transport: asyncio.Transport

    def __init__(self, client: HttpClient, origin: Origin) -> None:
        self._client = client
        self._origin = origin
        self._parser = httptools.HttpResponseParser(self)
        self._response: asyncio.Future[Response] | None = None  # which a request waits for
        self._is_head = self._has_begun = self._has_headers = False
        self._headers: Headers = []
        self._body: list[bytes] = []

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    async def exchange(self, request: bytes, is_head: bool) -> Response:
        """Raises ConnectionError."""
        response: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._response = response
        self._is_head, self._has_begun = is_head, False
        self._transport.write(request)
        try:
            return await response
        finally:
            if self._response is response:  # it is incomplete: the rest must not become the response to another request
                self._response = None
                self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._has_begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionError(f"the response is not HTTP: {error}"))
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.forget(self._origin, self)
        if self._response is None:
            return
        if exc is None and self._has_headers and not any(name in _FRAMING for name, _ in self._headers):
            self._complete()  # such a body ends with its connection
        elif self._has_begun:
            self._fail(ConnectionError("the connection ended within the response"))
        else:
            self._fail(_StaleError("the connection ended without a response"))

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self._response is None:
            raise ConnectionError("the service sent a response without a request")
        self._headers, self._body, self._has_headers = [], [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._has_headers = self._parser.get_status_code() >= _FINAL
        if self._has_headers and self._is_head:
            self._complete()
            self._transport.close()  # the parser waits for a body, which will not arrive

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._response is None or not self._has_headers:
            return
        self._complete()
        if self._parser.should_keep_alive() and not self._transport.get_write_buffer_size():
            self._client.keep(self._origin, self)
        else:
            self._transport.close()

    def _complete(self) -> None:
        response, self._response = self._response, None
        if response is not None and not response.done():
            response.set_result(Response(self._parser.get_status_code(), self._headers, b"".join(self._body)))

    def _fail(self, error: ConnectionError) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_exception(error)
