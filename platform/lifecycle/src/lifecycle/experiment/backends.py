"""Calls of the champion's and the challenger's services, over keep-alive connections; bodies are passed unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp
from yarl import URL

from lifecycle.core import tracing
from lifecycle.gitops.manifests import service_name

Headers = list[tuple[bytes, bytes]]

# Those of one connection (RFC 9110, section 7.6.1), and those that each hop writes itself.
_OWN_HEADERS = frozenset(
    {
        b"connection",
        b"content-length",
        b"date",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"server",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    }
)
_TRACE_HEADERS = ("traceparent", "tracestate")
# Shorter than uvicorn's keep-alive of 5 seconds: a connection that the server is about to close is not used.
_KEEP_ALIVE = 3.0

TIMEOUT, CONNECTION = "timeout", "connection"


class BackendError(Exception):
    """A service gave no response; `reason` is one word for metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Request:
    """What is passed to a service. `path` has its query."""

    method: str
    path: str
    headers: Headers
    body: bytes
    request_id: str


@dataclass(frozen=True)
class Response:
    """What a service responded; headers without those of the connection."""

    status: int
    headers: Headers
    body: bytes


class Backends:
    """The services of all models; opened and closed in the event loop that uses it."""

    _session: aiohttp.ClientSession

    def __init__(self, service_url: str) -> None:
        self._service_url = service_url.rstrip("/")

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),  # another would send one client's cookies with another's request
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def call(self, model: str, role: str, request: Request, timeout: float) -> Response:
        """The response of a role's service within `timeout` seconds. Raises BackendError."""
        url = URL(self._service_url.format(service=service_name(model, role)) + request.path, encoded=True)
        try:
            async with asyncio.timeout(timeout):
                return await self._send(url, request)
        except TimeoutError:
            raise BackendError(TIMEOUT, f"the {role} did not respond within {timeout:g} s") from None
        except aiohttp.ClientError as error:
            raise BackendError(CONNECTION, f"the {role} cannot be reached: {error}") from None

    async def close(self) -> None:
        await self._session.close()

    async def _send(self, url: URL, request: Request) -> Response:
        """A connection that the server has closed meanwhile is replaced once: a prediction may be repeated."""
        try:
            return await self._send_once(url, request)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._send_once(url, request)

    async def _send_once(self, url: URL, request: Request) -> Response:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
        headers.append(("x-request-id", request.request_id))
        traced: dict[str, str] = {}
        tracing.inject(traced)
        if traced:  # the service's span is a child of this request's, rather than of the client's
            headers = [pair for pair in headers if pair[0].lower() not in _TRACE_HEADERS] + list(traced.items())
        async with self._session.request(
            request.method, url, data=request.body, headers=headers, allow_redirects=False
        ) as response:
            body = await response.read()
            return Response(response.status, select_headers(response.raw_headers), body)


def select_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Those that are passed on."""
    return [(name, value) for name, value in headers if name.lower() not in _OWN_HEADERS]
