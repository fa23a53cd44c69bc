"""Wraps an ASGI application: each request has an ID, a span if tracing is enabled, and a log line if it fails.

For all servers except the model server, which does the same in its own middleware, with its metrics.
"""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifecycle.core import tracing
from lifecycle.core.http_requests import CLIENT_CLOSED_REQUEST, choose_request_id
from lifecycle.core.logs import log_context

USER = "lifecycle.user"
"""In an ASGI scope: the pseudonym of the user behind the request."""

_log = logging.getLogger(__name__)


class RequestTelemetry:
    """An ASGI application around another one. The request's ID is `request_id` in the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, request_id = CLIENT_CLOSED_REQUEST, choose_request_id(scope["headers"])
        scope["request_id"] = request_id

        async def send_with_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        fields = {"request_id": request_id}
        if trace_id := tracing.find_trace_id(scope["headers"]):
            fields["trace_id"] = trace_id
        with log_context(**fields), tracing.server_span(scope["headers"]):
            try:
                await self._app(scope, receive, send_with_status)
            except Exception:
                status = 500  # from the server around this one, which logs the exception
                raise
            finally:
                tracing.complete_server_span(scope["method"], _name_endpoint(scope), status, request_id)
                if status >= 400:
                    _log_failure(scope, status, time.perf_counter() - started)


def _log_failure(scope: Scope, status: int, seconds: float) -> None:
    fields = {
        "method": scope["method"],
        "endpoint": _name_endpoint(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
    }
    if USER in scope:
        fields["user"] = scope[USER]
    _log.log(logging.ERROR if status >= 500 else logging.INFO, "request", extra=fields)


def _name_endpoint(scope: Scope) -> str:
    """The name of the route's function: clients choose paths, which may contain anything."""
    return getattr(scope.get("endpoint"), "__name__", "other").strip("_")
