"""The receiver of MLflow's registry webhooks: checks, stores, answers; everything else is the worker's."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lifecycle.promotion.inbox import Inbox, InboxError
from lifecycle.promotion.registry import CHALLENGER
from lifecycle.promotion.settings import ReceiverSettings
from lifecycle.promotion.signature import UntrustedError, verify

PATH = "/webhooks/mlflow"
_RETRY = "5"  # seconds; MLflow asks again three times, and honours this

_log = logging.getLogger(__name__)


class _Alias(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=256)]
    alias: Annotated[str, Field(min_length=1, max_length=256)]
    version: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,17}$")]


class _Envelope(BaseModel):
    entity: Annotated[str, Field(max_length=64)]
    action: Annotated[str, Field(max_length=64)]


class _AliasSet(_Envelope):
    entity: Literal["model_version_alias"]
    action: Literal["created"]
    data: _Alias


class _TooLargeError(Exception):
    """The body is not read to its end."""


def create_app(settings: ReceiverSettings, inbox: Inbox) -> Starlette:
    """The ASGI application; POST /webhooks/mlflow and GET /health."""
    secret = settings.webhook_secret.get_secret_value()

    async def receive(request: Request) -> Response:
        body = await _body(request, settings.largest_body)
        delivery = verify(secret, request.headers, body, now=time.time(), window=settings.window)
        asked = _read(body)
        if asked is None:
            return _answer(200, "ignored", f"only setting the alias `{CHALLENGER}` asks for a promotion")
        if await run_in_threadpool(inbox.add, delivery, asked.name, asked.version):
            return _answer(202, "taken")
        return _answer(409, "refused", "a delivery of this ID was taken before")

    async def health(request: Request) -> Response:  # noqa: ARG001
        await run_in_threadpool(inbox.waiting, 1)
        return _answer(200, "healthy")

    return Starlette(
        routes=[Route(PATH, receive, methods=["POST"]), Route("/health", health)], exception_handlers=_REFUSALS
    )


async def _untrusted(request: Request, error: Exception) -> Response:  # noqa: ARG001
    _log.warning("A delivery was refused: %s", error)
    return _answer(401, "refused", str(error))


async def _too_large(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _answer(413, "refused", str(error))


async def _malformed(request: Request, error: Exception) -> Response:  # noqa: ARG001
    faults = error.errors(include_input=False, include_url=False) if isinstance(error, ValidationError) else []
    return _answer(400, "refused", "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults))


async def _unavailable(request: Request, error: Exception) -> Response:  # noqa: ARG001
    _log.error("MLflow is asked to send an event again, because it cannot be stored: %s", error)
    return _answer(503, "unavailable", "the inbox cannot be used now; send the event again", {"Retry-After": _RETRY})


_REFUSALS: Mapping[Any, Any] = {
    UntrustedError: _untrusted,
    _TooLargeError: _too_large,
    ValidationError: _malformed,
    InboxError: _unavailable,
}


async def _body(request: Request, largest: int) -> bytes:
    """The body, read no further than is allowed. Raises _TooLargeError."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > largest:
                raise _TooLargeError(f"the body is larger than {largest} bytes")
            parts.append(part)
    except ClientDisconnect:
        raise UntrustedError("the sender hung up") from None
    return b"".join(parts)


def _read(body: bytes) -> _Alias | None:
    """The promotion that is asked for, or None for another event. Raises ValidationError when it is no event."""
    envelope = _Envelope.model_validate_json(body)
    if (envelope.entity, envelope.action) != ("model_version_alias", "created"):
        return None
    alias = _AliasSet.model_validate_json(body).data
    return alias if alias.alias == CHALLENGER else None


def _answer(status: int, outcome: str, detail: str = "", headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"outcome": outcome, "detail": detail}, status, headers)
