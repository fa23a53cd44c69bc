"""Calls of the champion's and the challenger's services, over keep-alive connections; bodies are passed unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from lifecycle.core import tracing
from lifecycle.experiment.http_client import Headers, HttpClient, Origin
from lifecycle.gitops.manifests import service_name

# Headers of one connection (RFC 9110, section 7.6.1), and headers that each hop writes itself.
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
_TRACE_HEADERS = frozenset({b"traceparent", b"tracestate"})

TIMEOUT, CONNECTION = "timeout", "connection"


class BackendError(Exception):
    """A service returned no response; `reason` is one word for metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Request:
    """A request to a service. `path` includes the query."""

    method: str
    path: bytes
    headers: Headers
    body: bytes
    request_id: str


@dataclass(frozen=True)
class Response:
    """A service's response, without the headers of the connection."""

    status: int
    headers: Headers
    body: bytes


class Backends:
    """The services of all models; used and closed in one event loop."""

    def __init__(self, service_url: str) -> None:
        self._service_url = service_url.rstrip("/")
        self._client = HttpClient()

    async def call(self, model: str, role: str, request: Request, timeout: float) -> Response:
        """The response of a role's service within `timeout` seconds. Raises BackendError."""
        service = _locate(self._service_url.format(service=service_name(model, role)))
        message = _write(service, request)
        try:
            async with asyncio.timeout(timeout):
                found = await self._client.send(service.origin, message, is_head=request.method == "HEAD")
        except TimeoutError:
            raise BackendError(TIMEOUT, f"the {role} did not respond within {timeout:g} s") from None
        except OSError as error:
            raise BackendError(CONNECTION, f"the {role} cannot be reached: {error}") from None
        return Response(found.status, select_headers(found.headers), found.body)

    def close(self) -> None:
        self._client.close()


class _Service(NamedTuple):
    """An origin, its value for the header `host`, and the prefix of its paths."""

    origin: Origin
    host: bytes
    prefix: bytes


@lru_cache(maxsize=1024)
def _locate(url: str) -> _Service:
    parts = urlsplit(url)
    is_secure = parts.scheme == "https"
    origin = Origin(parts.hostname or "", parts.port or (443 if is_secure else 80), is_secure)
    return _Service(origin, parts.netloc.encode(), parts.path.encode())


def _write(service: _Service, request: Request) -> bytes:
    """The request's bytes. Headers contain no line ends, since a parser has split them into lines."""
    lines = [
        b"%b %b%b HTTP/1.1" % (request.method.encode(), service.prefix, request.path),
        b"host: %b" % service.host,
        b"content-length: %d" % len(request.body),
        b"x-request-id: %b" % request.request_id.encode(),
    ]
    headers = request.headers
    traced: dict[str, str] = {}
    tracing.inject(traced)
    if traced:  # the service's span is a child of this request's span, not of the client's
        headers = [pair for pair in headers if pair[0] not in _TRACE_HEADERS]
        headers += [(name.encode(), value.encode()) for name, value in traced.items()]
    lines += [b"%b: %b" % pair for pair in headers]
    return b"\r\n".join([*lines, b"", request.body])


def select_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers that are passed on; their names are in lower case."""
    return [pair for pair in headers if pair[0] not in _OWN_HEADERS]
