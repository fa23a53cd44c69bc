"""Wraps every request: gives it an ID, records it in metrics, log and trace, and turns exceptions into responses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifecycle.core import tracing
from lifecycle.core.http_requests import CLIENT_CLOSED_REQUEST, choose_request_id, pseudonym
from lifecycle.serving.batching import PredictError
from lifecycle.serving.errors import RequestError
from lifecycle.serving.exemplars import ExemplarWriter
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.metrics import NO_ENDPOINT, Metrics
from lifecycle.serving.settings import ErrorHook

USER_ID = "lifecycle.user_id"
"""In an ASGI scope: the ID of the user behind the request, in plain text."""


class RequestMiddleware:
    """An ASGI application around another one, whose exceptions it turns into responses."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hook: ErrorHook | None, user_key: bytes) -> None:
        """`user_key` is the key of users' pseudonyms in logs; without it, logs have none."""
        self._app = app
        self._metrics = metrics
        self._hook = hook
        self._user_key = user_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        self._metrics.record_request()
        request_id = choose_request_id(scope["headers"])
        scope.update(app=self, started=started, request_id=request_id)  # with `app`, Starlette raises 404 and 405
        status = CLIENT_CLOSED_REQUEST

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._call_app(scope, receive, send_with_id)
        finally:  # count also a request whose response cannot be sent
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        self._metrics.record_response(_endpoint(scope), status, seconds)
        level = logging.ERROR if status >= 500 else logging.INFO if status >= 400 else logging.DEBUG
        if LOGGER.isEnabledFor(level):
            LOGGER.log(level, "request", extra=self._describe(scope, status, seconds))

    def _describe(self, scope: Scope, status: int, seconds: float) -> dict[str, Any]:
        fields = {
            "request_id": scope["request_id"],
            "method": scope["method"],
            "endpoint": _endpoint(scope),
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
        }
        if trace_id := tracing.find_trace_id(scope["headers"]):
            fields["trace_id"] = trace_id
        if self._user_key and (user_id := scope.get(USER_ID)):
            fields["user"] = pseudonym(self._user_key, user_id)
        return fields

    async def _call_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except RequestError as error:
            self._metrics.record_request_error(error.reason)
            retry = {"retry-after": str(error.retry_after)} if error.retry_after else {}
            await _error_response(error.status, error.message, retry)(scope, receive, send)
        except HTTPException as error:
            await _error_response(error.status_code, error.detail, error.headers or {})(scope, receive, send)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:  # it did not end within DRAIN_TIMEOUT
            self._metrics.record_request_error("stopping")
            await _error_response(503, "this server is stopping; retry", {"retry-after": "1"})(scope, receive, send)
        except Exception as error:
            self._report_failure(scope, error)
            message = "the model failed on this request" if isinstance(error, PredictError) else "the server failed"
            await _error_response(500, message, {})(scope, receive, send)

    def _report_failure(self, scope: Scope, error: Exception) -> None:
        cause = error.__cause__ if isinstance(error, PredictError) and error.__cause__ is not None else error
        self._metrics.record_request_error("model-error" if isinstance(error, PredictError) else "server-error")
        request = {"request_id": scope["request_id"], "endpoint": _endpoint(scope)}
        LOGGER.error("a request failed", extra=request, exc_info=cause)
        if self._hook is not None:
            asyncio.get_running_loop().run_in_executor(None, _call_hook, self._hook, cause, request)


class TracingMiddleware(RequestMiddleware):
    """The same with a span for each prediction, to which the exemplars of the response times lead."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hook: ErrorHook | None, user_key: bytes) -> None:
        super().__init__(app, metrics, hook, user_key)
        self._exemplars = ExemplarWriter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await super().__call__(scope, receive, send)
            return
        with tracing.server_span(scope["headers"]):
            await super().__call__(scope, receive, send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        super()._record(scope, status, seconds)
        tracing.complete_server_span(scope["method"], _endpoint(scope), status, scope["request_id"])
        if exemplar := tracing.find_exemplar():
            self._exemplars.record(_endpoint(scope), seconds, exemplar)


def _call_hook(hook: ErrorHook, error: BaseException, request: Mapping[str, Any]) -> None:
    """Runs off the event loop, because a hook may use the network."""
    try:
        hook(error, request)
    except Exception:
        LOGGER.exception("the error hook failed")


def _endpoint(scope: Scope) -> str:
    return getattr(scope.get("endpoint"), "__name__", NO_ENDPOINT)


def _error_response(status: int, message: str, headers: Mapping[str, str]) -> Response:
    # A message may quote a name from a request, in which JSON's escapes allow lone surrogates, but UTF-8 does not.
    text = message.encode(errors="replace").decode()
    return Response(orjson.dumps({"error": text}), status, headers, media_type="application/json")
