"""Uvicorn's HTTP/1.1 with limits on the bytes, the seconds and the connections that one client can occupy.

Uvicorn itself waits forever for the rest of a request, accepts headers of any size, and reads a body to its end even
after the application has refused it. A request that is refused here never reaches the application, so it is reported to
a callback. Only the servers import this module: uvicorn is not installed everywhere.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, cast

import httptools
import uvicorn
from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from lifecycle.core.errors import LifecycleError

# Bytes of a request besides its body: request line, headers, trailers, chunk sizes. A little more than the gateway
# admits: https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/network/http_connection_manager/
# v3/http_connection_manager.proto (max_request_headers_kb, 60, and max_headers_count, 100)
MAX_HEAD = 64 * 1024
MAX_HEADERS = 100
LARGE_BODY = 64 * 1024  # bytes from which a body counts as large; less than uvicorn buffers of any body
_MAX_PIPELINED = 16  # requests that wait behind another one on the same connection
# For how many seconds and bytes the rest of a refused request is read and discarded. If the connection were closed with
# unread data, the client would get a reset instead of the response.
_LINGER = 2.0  # seconds
_MAX_DISCARDED = 1 << 20  # bytes

_TOO_LARGE = 431  # Request Header Fields Too Large
_PROBLEM = "lifecycle.body_problem"  # in an ASGI scope: the exception that `read_body` raises

OnRefusal = Callable[[int, str], None]
"""Called for a request that does not reach the application, with its status and a word for metrics.

The status is 0 if the connection was closed without a response.
"""


@dataclass(frozen=True)
class HttpLimits:
    """
    connections   of one process; each takes a file descriptor
    seconds       in which a request must arrive, and its response must be read by the client
    large_bodies  in memory at a time, until their responses; others are not read before one of these is released
    """

    connections: int = 512
    seconds: float = 30.0
    large_bodies: int = 32


class BodyTooLargeError(Exception):
    """The body is larger than allowed; the rest of it was not read."""


class BodyTooSlowError(Exception):
    """The body did not arrive within the time limit of a request."""


class TooManyBodiesError(Exception):
    """The body is large, and no room for another large body became free within the time limit of a request."""


class MalformedBodyError(Exception):
    """The body does not match the request's headers or its own framing, such as a chunk of the wrong size."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body.

    Raises BodyTooLargeError, BodyTooSlowError, TooManyBodiesError, MalformedBodyError, or Starlette's ClientDisconnect.
    """
    received = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if _PROBLEM in request.scope:
            raise request.scope[_PROBLEM]
        received += message.get("body", b"")
        if len(received) > max_bytes:
            raise BodyTooLargeError
        if not message.get("more_body", False):
            return bytes(received)


def create_protocol(limits: HttpLimits, on_refusal: OnRefusal) -> type[asyncio.Protocol]:
    """The value for uvicorn's option `http`; one for all connections of a server."""
    return cast("type[asyncio.Protocol]", partial(_Protocol, _Bounds(limits, on_refusal)))


def run_until_stopped(server: uvicorn.Server, port_setting: str) -> None:
    """Serve until SIGTERM or SIGINT, which then do nothing else. Raises LifecycleError if the port is not available.

    port_setting  the name of the setting that has the port
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal again when it has stopped
    try:
        server.run()
    except SystemExit:  # uvicorn has logged the reason
        place = f"{port_setting} {server.config.port} of {server.config.host}"
        raise LifecycleError(f"{place} is not available: free it, or set another port") from None


class _Stage(Enum):
    """How much of a request has arrived."""

    COMPLETE = 0  # or nothing of the next one
    HEAD = 1
    BODY = 2


class _Bounds:
    """State that the connections of a server share.

    waiting  connections without a complete request, the oldest first
    large    connections with a large body
    held     connections whose large body has to wait, the oldest first
    """

    def __init__(self, limits: HttpLimits, on_refusal: OnRefusal) -> None:
        self.limits = limits
        self.on_refusal = on_refusal
        self.waiting: dict[_Protocol, None] = {}
        self.large: set[_Protocol] = set()
        self.held: dict[_Protocol, None] = {}


class _Flow(FlowControl):
    """Flow control that can hold a connection: until it is released, nothing more is read, even if it is resumed."""

    is_held = False

    def hold(self) -> None:
        self.is_held = True
        self.pause_reading()

    def release(self) -> None:
        self.is_held = False
        if not self._transport.is_closing():
            self.resume_reading()

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


class _Protocol(HttpToolsProtocol):
    """A connection. A request that arrives in one piece, as nearly all do, needs no timer."""

    def __init__(self, bounds: _Bounds, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bounds = bounds
        self._seconds = bounds.limits.seconds
        self._stage = _Stage.COMPLETE
        self._running: RequestResponseCycle | None = None  # `cycle` belongs to the latest request that has arrived
        self._deadline: asyncio.TimerHandle | None = None  # of the request, or of the end of the connection
        self._write_deadline: asyncio.TimerHandle | None = None
        self._fed = self._body_bytes = 0  # in the data that is being parsed
        self._head_bytes = 0  # in earlier data of this request, without its body
        self._arrived = 0  # bytes of this request's body
        self._refusal = (400, "malformed", "this is not an HTTP request")
        self._is_refused = False
        self._discarded = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow: _Flow = _Flow(transport)
        if len(self.connections) > self._bounds.limits.connections:
            oldest = next(iter(self._bounds.waiting), None)
            if oldest is None:
                self._respond(503, "connections", "this server has reached its limit of connections; retry")
                transport.close()
                return
            oldest._stop_waiting()  # it ends in the loop's next iteration, and must not be chosen again before then
            oldest.transport.abort()
        self._wait(self._seconds, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            # Otherwise its response would be written to a closed connection, which raises.
            self._running.disconnected = True
            self._running.message_event.set()
        self._stop_waiting()
        self._leave()
        if self._write_deadline is not None:
            self._write_deadline.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        self._fed, self._body_bytes = len(data), 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request is answered as if it had not requested another protocol
        except httptools.HttpParserError:
            self._refuse(*self._refusal)
            return
        if self._stage is not _Stage.COMPLETE:
            self._head_bytes += len(data) - self._body_bytes
            if self._head_bytes > MAX_HEAD:
                self._refuse(*_head_too_large())
            elif self._deadline is None:
                self._wait(self._seconds, self._expire)
        elif self._deadline is not None:
            self._stop_waiting()

    def on_message_begin(self) -> None:
        self._stage = _Stage.HEAD
        self._head_bytes = self._arrived = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_HEADERS or (
            self._head_bytes + self._fed > MAX_HEAD
            and len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD
        ):
            self._refusal = _head_too_large()
            raise ValueError
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._refusal = (400, "pipelined", "too many requests wait on this connection")
            raise ValueError
        super().on_headers_complete()
        self._stage = _Stage.BODY

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._arrived += len(body)
        if self._arrived > LARGE_BODY:
            self._enter()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stage = _Stage.COMPLETE
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, partial(self._run, cycle, app))

    async def _run(self, cycle: RequestResponseCycle, app: Any, scope: Any, receive: Any, send: Any) -> None:
        if self._stage is _Stage.BODY:  # nearly all requests arrive in one piece
            send = partial(self._announce_end, cycle, send)
        await app(scope, receive, send)

    async def _announce_end(self, cycle: RequestResponseCycle, send: Any, message: Any) -> None:
        """A response that does not wait for the rest of the body ends the connection, and says so: otherwise a client
        would send its next request on a connection that is about to be closed.
        """
        if message["type"] == "http.response.start" and self._stage is _Stage.BODY and cycle is self.cycle:
            # Without keep-alive uvicorn would also close the connection at once, before the body is discarded.
            keeps_alive, cycle.keep_alive = cycle.keep_alive, False
            await send(message)
            cycle.keep_alive = keeps_alive
        else:
            await send(message)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self._leave()
        if self._stage is _Stage.BODY and self.cycle.response_complete:
            self._linger()
        elif self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._wait(self._seconds, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.call_later(self._seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_deadline is not None:
            self._write_deadline.cancel()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # the client does not read its response
        super().timeout_keep_alive_handler()

    def _expire(self) -> None:
        """The request did not arrive in time."""
        if self._stage is _Stage.COMPLETE:  # nothing of it did
            self.transport.close()
        elif self._stage is _Stage.BODY:
            self._fail_body(TooManyBodiesError() if self.flow.is_held else BodyTooSlowError())
        else:
            self._refuse(408, "slow", f"the request did not arrive within {self._seconds:g} seconds")

    def _fail_body(self, problem: Exception) -> None:
        """The application is waiting for the body, so the application has to respond."""
        cast("dict[str, Any]", self.scope)[_PROBLEM] = problem
        self.cycle.message_event.set()
        self._is_refused = True
        self._wait(_LINGER, self.transport.abort)

    def _refuse(self, status: int, reason: str, message: str) -> None:
        if self._stage is _Stage.BODY:
            self._fail_body(BodyTooLargeError() if status == _TOO_LARGE else MalformedBodyError())
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The client would mistake a response to this request for the response to the one before it.
            self._bounds.on_refusal(0, reason)
            self.transport.abort()
            return
        self._respond(status, reason, message)
        self._linger()

    def _respond(self, status: int, reason: str, message: str) -> None:
        self._bounds.on_refusal(status, reason)
        content = f'{{"error":"{message}"}}'.encode()
        head = [b"content-type: application/json", b"content-length: %d" % len(content), b"connection: close"]
        self.transport.write(STATUS_LINE[status] + b"\r\n".join([*head, b"", content]))

    def _linger(self) -> None:
        self._is_refused = True
        self._unset_keepalive_if_required()
        self._wait(_LINGER, self.transport.abort)
        self.flow.resume_reading()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > _MAX_DISCARDED:
            self.transport.abort()

    def _enter(self) -> None:
        """Count this connection's body as large, or hold the connection until there is room for it."""
        bounds = self._bounds
        if self in bounds.large or self in bounds.held:
            return
        if len(bounds.large) < bounds.limits.large_bodies:
            bounds.large.add(self)
        else:
            bounds.held[self] = None
            self.flow.hold()

    def _leave(self) -> None:
        """The body is released, so the connection that has been held longest can continue."""
        bounds = self._bounds
        if self in bounds.held:
            del bounds.held[self]
            self.flow.release()
        elif self in bounds.large:
            bounds.large.remove(self)
            if bounds.held:
                following = next(iter(bounds.held))
                del bounds.held[following]
                bounds.large.add(following)
                following.flow.release()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, then)
        self._bounds.waiting.setdefault(self)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._bounds.waiting.pop(self, None)


def _head_too_large() -> tuple[int, str, str]:
    return _TOO_LARGE, "too-large", f"the headers are larger than {MAX_HEAD} bytes, or more than {MAX_HEADERS}"
