"""The receiver of MLflow's registry webhooks: verifies, stores and acknowledges them. The worker does the rest."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import uvicorn
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lifecycle.core import CHALLENGER
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
from lifecycle.core.metrics_page import render_metrics
from lifecycle.core.request_telemetry import RequestTelemetry
from lifecycle.promotion import metrics
from lifecycle.promotion.inbox import Inbox, InboxError
from lifecycle.promotion.settings import ReceiverSettings
from lifecycle.promotion.webhook_signature import WebhookVerificationError, verify

PATH = "/webhooks/mlflow"
# A delivery has some 300 bytes, and MLflow sends each on its own connection, from a few threads.
_LIMITS = HttpLimits(connections=128, seconds=10)
_RETRY_AFTER = "5"  # seconds; MLflow retries three times, and honours this

_log = logging.getLogger(__name__)


class _Alias(BaseModel):
    # Text in PostgreSQL cannot contain NUL.
    name: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]
    alias: Annotated[str, Field(min_length=1, max_length=256)]
    version: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,17}$")]


class _Envelope(BaseModel):
    entity: Annotated[str, Field(max_length=64)]
    action: Annotated[str, Field(max_length=64)]


class _AliasCreated(_Envelope):
    entity: Literal["model_version_alias"]
    action: Literal["created"]
    data: _Alias


def create_config(
    settings: ReceiverSettings, inbox: Inbox, host: str, port: int, limits: HttpLimits = _LIMITS
) -> uvicorn.Config:
    """The server around the application."""
    protocol = create_protocol(limits, _count_refusal)
    return uvicorn.Config(
        RequestTelemetry(create_app(settings, inbox)),
        host,
        port,
        http=protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
    )


def create_app(settings: ReceiverSettings, inbox: Inbox) -> Starlette:
    """The ASGI application: POST /webhooks/mlflow, and GET /health, /ready and /metrics."""
    secret = settings.webhook_secret.get_secret_value()

    async def receive(request: Request) -> Response:
        try:
            body = await read_body(request, settings.max_body_bytes)
        except BodyTooLargeError:
            limit = f"{settings.max_body_bytes} bytes (PROMOTION_MAX_BODY_BYTES)"
            return _respond(413, "rejected", f"the body is larger than {limit}")
        tolerance = settings.timestamp_tolerance
        delivery = verify(secret, request.headers, body, now=time.time(), tolerance=tolerance)
        alias = _parse_event(body)
        if alias is None:
            return _respond(200, "ignored", f"only setting the alias `{CHALLENGER}` starts a promotion")
        if await run_in_threadpool(inbox.add, delivery, alias.name, alias.version):
            return _respond(202, "accepted")
        return _respond(409, "rejected", "a delivery with this ID was accepted before")

    async def ready(request: Request) -> Response:  # noqa: ARG001
        try:
            await run_in_threadpool(inbox.due, 1)
        except InboxError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return PlainTextResponse("ready\n")

    routes = [Route(PATH, receive, methods=["POST"]), Route("/ready", ready)]
    routes += [Route("/health", _report_health), Route("/metrics", _report_metrics)]
    app = Starlette(routes=routes, exception_handlers=_HANDLERS)
    app.router.redirect_slashes = False  # a redirect would lead to any host that the sender names
    return app


async def _report_health(request: Request) -> Response:  # noqa: ARG001
    """Healthy even without its inbox: restarting this process would not bring the inbox back."""
    return PlainTextResponse("healthy\n")


async def _report_metrics(request: Request) -> Response:
    return render_metrics(request)


async def _handle_unverified(request: Request, error: Exception) -> Response:  # noqa: ARG001
    _log.warning("A delivery was rejected: %s", error)
    return _respond(401, "rejected", str(error))


async def _handle_slow(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _respond(408, "rejected", "the body did not arrive in time")


async def _handle_crowd(request: Request, error: Exception) -> Response:  # noqa: ARG001
    detail = "this receiver has reached its limit of large bodies; send the event again"
    return _respond(503, "unavailable", detail, {"Retry-After": _RETRY_AFTER})


async def _handle_disconnect(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _respond(CLIENT_CLOSED_REQUEST, "rejected", "the sender disconnected")


async def _handle_malformed_body(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _respond(400, "rejected", "the body does not match the headers")


async def _handle_malformed(request: Request, error: Exception) -> Response:  # noqa: ARG001
    problems = error.errors(include_input=False, include_url=False) if isinstance(error, ValidationError) else []
    detail = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
    return _respond(400, "rejected", detail)


async def _handle_unavailable(request: Request, error: Exception) -> Response:  # noqa: ARG001
    _log.error("An event could not be stored, so MLflow has to send it again: %s", error)
    return _respond(503, "unavailable", "the inbox is unavailable; send the event again", {"Retry-After": _RETRY_AFTER})


def _count_refusal(status: int, reason: str) -> None:  # noqa: ARG001
    """Count requests that are not deliveries: headers that are too large, did not arrive, or are not HTTP."""
    metrics.DELIVERIES.labels("rejected").inc()


_HANDLERS: Mapping[Any, Any] = {
    WebhookVerificationError: _handle_unverified,
    BodyTooSlowError: _handle_slow,
    TooManyBodiesError: _handle_crowd,
    MalformedBodyError: _handle_malformed_body,
    ClientDisconnect: _handle_disconnect,
    ValidationError: _handle_malformed,
    InboxError: _handle_unavailable,
}


def _parse_event(body: bytes) -> _Alias | None:
    """The requested promotion, or None for another event. Raises ValidationError for a body that is not an event."""
    envelope = _Envelope.model_validate_json(body)
    if (envelope.entity, envelope.action) != ("model_version_alias", "created"):
        return None
    alias = _AliasCreated.model_validate_json(body).data
    return alias if alias.alias == CHALLENGER else None


def _respond(status: int, outcome: str, detail: str = "", headers: Mapping[str, str] | None = None) -> Response:
    metrics.DELIVERIES.labels(outcome).inc()
    return JSONResponse({"outcome": outcome, "detail": detail}, status, headers)
