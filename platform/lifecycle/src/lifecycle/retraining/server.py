"""The service's HTTP interface, for clients with the token; a refusal to train is an answer, not an error.

POST /alerts    Alertmanager's webhook
POST /events    CloudEvents in structured mode: drift, and new data
POST /schedule  each model that is scheduled
GET  /health, /ready, /metrics
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lifecycle.core import LifecycleError
from lifecycle.core.endpoint import Heartbeat, create_routes
from lifecycle.core.http_requests import CLIENT_CLOSED_REQUEST
from lifecycle.core.http_server import (
    BodyTooLargeError,
    BodyTooSlowError,
    HttpLimits,
    MalformedBodyError,
    TooManyBodiesError,
    create_protocol,
    read_body,
)
from lifecycle.core.request_telemetry import RequestTelemetry
from lifecycle.retraining import metrics
from lifecycle.retraining.settings import RetrainingSettings
from lifecycle.retraining.starter import Decision, Starter
from lifecycle.retraining.triggers import TrainingRequest, Trigger, parse_alerts, parse_event

_LIMITS = HttpLimits(connections=64, seconds=10)  # for Alertmanager's peers, the kubelet, Prometheus and some jobs
_RETRY_AFTER = "30"  # seconds
_MAX_PROBLEMS = 5  # of a body, which a response lists

_log = logging.getLogger(__name__)

Parser = Callable[[bytes], Sequence[TrainingRequest]]


class _UnauthorizedError(Exception):
    """The request has no token, or a wrong one."""


def create_config(
    settings: RetrainingSettings, starter: Starter, heartbeat: Heartbeat, host: str, port: int
) -> uvicorn.Config:
    """The server around the application."""
    return uvicorn.Config(
        RequestTelemetry(create_app(settings, starter, heartbeat)),
        host,
        port,
        http=create_protocol(_LIMITS, lambda _, reason: metrics.REJECTED.labels(reason).inc()),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
    )


def create_app(settings: RetrainingSettings, starter: Starter, heartbeat: Heartbeat) -> Starlette:
    """The ASGI application."""
    expected = f"Bearer {settings.token.get_secret_value()}".encode()

    def serve(parse: Parser) -> Callable[[Request], Awaitable[Response]]:
        async def receive(request: Request) -> Response:
            shown = request.headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(shown, expected):
                raise _UnauthorizedError
            try:
                body = await read_body(request, settings.max_body_bytes)
            except BodyTooLargeError:
                limit = f"{settings.max_body_bytes} bytes (RETRAINING_MAX_BODY_BYTES)"
                return _reject(413, "too-large", f"the body is larger than {limit}")
            decisions = [await run_in_threadpool(starter.start, each) for each in parse(body)]
            return JSONResponse({"requests": [_describe(decision) for decision in decisions]}, 202)

        return receive

    def list_scheduled(_: bytes) -> Sequence[TrainingRequest]:
        return [TrainingRequest(model, Trigger.SCHEDULE) for model in settings.scheduled]

    parsers: Mapping[str, Parser] = {
        "/alerts": lambda body: parse_alerts(body, settings.alerts),
        "/events": lambda body: [parse_event(body)],
        "/schedule": list_scheduled,
    }
    routes = [Route(path, serve(parse), methods=["POST"]) for path, parse in parsers.items()]
    app = Starlette(routes=[*routes, *create_routes(heartbeat)], exception_handlers=_HANDLERS)
    app.router.redirect_slashes = False  # a redirect would lead to any host that the sender names
    return app


def _describe(decision: Decision) -> Mapping[str, str]:
    described = {"model": decision.model, "answer": str(decision.answer), "reason": decision.reason}
    return {**described, "job": decision.job} if decision.job else described


async def _handle_unauthorized(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _reject(401, "unauthorized", "send the token of RETRAINING_TOKEN as `Authorization: Bearer <token>`")


async def _handle_slow(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _reject(408, "slow", "the body did not arrive in time")


async def _handle_crowd(request: Request, error: Exception) -> Response:  # noqa: ARG001
    detail = "the service has reached its limit of large bodies; send the request again"
    return _reject(503, "crowd", detail, {"Retry-After": _RETRY_AFTER})


async def _handle_disconnect(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return Response(status_code=CLIENT_CLOSED_REQUEST)  # nobody reads it


async def _handle_malformed_body(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _reject(400, "malformed", "the body does not match the headers")


async def _handle_malformed(request: Request, error: Exception) -> Response:  # noqa: ARG001
    problems = error.errors(include_input=False, include_url=False) if isinstance(error, ValidationError) else []
    listed = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in problems[:_MAX_PROBLEMS]]
    return _reject(400, "malformed", "; ".join(listed))


async def _handle_failure(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """The API server is unavailable, or the template invalid: the sender repeats its request until that is fixed."""
    metrics.FAILURES.inc()
    _log.error("A request could not be answered: %s", error)
    detail = "no run can be started now, see the service's log; send the request again"
    return JSONResponse({"error": detail}, 503, {"Retry-After": _RETRY_AFTER})


_HANDLERS: Mapping[Any, Any] = {
    _UnauthorizedError: _handle_unauthorized,
    BodyTooSlowError: _handle_slow,
    TooManyBodiesError: _handle_crowd,
    MalformedBodyError: _handle_malformed_body,
    ClientDisconnect: _handle_disconnect,
    ValidationError: _handle_malformed,
    LifecycleError: _handle_failure,
}


def _reject(status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    metrics.REJECTED.labels(reason).inc()
    return JSONResponse({"error": detail}, status, headers)
