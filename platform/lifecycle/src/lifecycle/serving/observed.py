"""Around every request: its id, what it becomes in metrics, log and trace, and an answer whatever happens."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Mapping
from typing import Any

import orjson
from opentelemetry.trace import Tracer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifecycle.serving import tracing
from lifecycle.serving.batching import PredictError
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.metrics import Metrics
from lifecycle.serving.refusals import Refusal
from lifecycle.serving.settings import ErrorHook

_REQUEST_ID = re.compile(rb"[\w.:/+=@-]{1,128}")
_GONE = 499  # the client left before its answer; the number is nginx's


class Observed:
    """An ASGI application that lets another answer, and answers itself where that one raises."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracer: Tracer | None, hook: ErrorHook | None) -> None:
        self._app = app
        self._metrics = metrics
        self._tracer = tracer
        self._hook = hook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope.update(app=self, started=started, request_id=request_id)  # with `app`, Starlette raises 404 and 405
        status = _GONE

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        if self._tracer is None or scope["method"] != "POST":
            await self._answered(scope, receive, answer)
        else:
            with tracing.request(self._tracer, scope) as span:
                await self._answered(scope, receive, answer)
                tracing.conclude(span, _endpoint(scope), status, request_id)
        seconds = time.perf_counter() - started
        self._metrics.answered(_endpoint(scope), status, seconds)
        level = logging.ERROR if status >= 500 else logging.INFO if status >= 400 else logging.DEBUG
        if LOGGER.isEnabledFor(level):
            LOGGER.log(level, "request", extra=_described(scope, status, seconds))

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Refusal as refusal:
            self._metrics.refused(refusal.reason)
            retry = {"retry-after": str(refusal.retry_after)} if refusal.retry_after else {}
            await _problem(refusal.status, refusal.message, retry)(scope, receive, send)
        except HTTPException as error:
            await _problem(error.status_code, error.detail, error.headers or {})(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception as error:
            self._failed(scope, error)
            message = "the model failed on this request" if isinstance(error, PredictError) else "the server failed"
            await _problem(500, message, {})(scope, receive, send)

    def _failed(self, scope: Scope, error: Exception) -> None:
        cause = error.__cause__ if isinstance(error, PredictError) and error.__cause__ is not None else error
        self._metrics.refused("model-error" if isinstance(error, PredictError) else "server-error")
        about = {"request_id": scope["request_id"], "endpoint": _endpoint(scope)}
        LOGGER.error("a request failed", extra=about, exc_info=cause)
        if self._hook is not None:
            asyncio.get_running_loop().run_in_executor(None, _report, self._hook, cause, about)


def _report(hook: ErrorHook, error: BaseException, about: Mapping[str, Any]) -> None:
    """Call the hook, off the event loop: it may well talk to a network."""
    try:
        hook(error, about)
    except Exception:
        LOGGER.exception("the error hook failed itself")


def _request_id(scope: Scope) -> str:
    """The client's id for its request, if it is a plain one; else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return f"{random.getrandbits(128):032x}"


def _endpoint(scope: Scope) -> str:
    return getattr(scope.get("endpoint"), "__name__", "other")


def _described(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    return {
        "request_id": scope["request_id"],
        "method": scope["method"],
        "endpoint": _endpoint(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
    }


def _problem(status: int, message: str, headers: Mapping[str, str]) -> Response:
    return Response(orjson.dumps({"error": message}), status, headers, media_type="application/json")
