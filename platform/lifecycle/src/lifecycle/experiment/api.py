"""The router's HTTP interface.

    POST /v2/models/<model>/infer                   a prediction by champion or challenger; bodies are passed unchanged
    GET  /v2/models/<model>, .../ready              the champion's metadata and readiness
    GET  /ab-test/experiments/<name>/assignment     the variant of the user in the header x-user-id
    POST /ab-test/outcomes                          outcomes of earlier predictions
    GET  /ab-test/stats                             what this process has counted
    GET  /health, /ready, /metrics

Responses to predictions have the header x-request-id, in an experiment also x-experiment and x-variant, and x-fallback
if the champion answered for the challenger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan

from lifecycle.core.http_requests import CLIENT_CLOSED_REQUEST
from lifecycle.core.http_server import (
    BodyTooLargeError,
    BodyTooSlowError,
    MalformedBodyError,
    TooManyBodiesError,
    read_body,
)
from lifecycle.core.metrics_page import render_metrics
from lifecycle.core.request_telemetry import USER
from lifecycle.experiment import backends
from lifecycle.experiment.assignment import UserIdError, decide, parse_user_id
from lifecycle.experiment.definitions import DefinitionsFile
from lifecycle.experiment.http_client import Headers
from lifecycle.experiment.outcomes import OutcomeError, Outcomes
from lifecycle.experiment.router import Router
from lifecycle.experiment.settings import RouterSettings
from lifecycle.experiment.spool import SpoolError
from lifecycle.experiment.stats import summarize
from lifecycle.gitops.experiments import Experiment
from lifecycle.gitops.manifests import InvalidNameError, check_name

_RETRY_AFTER = "5"  # seconds until the writer may have made room in the spool


class Api:
    """The endpoints."""

    def __init__(
        self, settings: RouterSettings, definitions: DefinitionsFile, router: Router, outcomes: Outcomes
    ) -> None:
        self._settings = settings
        self._definitions = definitions
        self._router = router
        self._outcomes = outcomes
        self._user_header = settings.user_id_header.encode()

    def create_app(self, lifespan: Lifespan[Starlette]) -> Starlette:
        routes = [
            Route("/v2/models/{model}/infer", self._infer, methods=["POST"]),
            Route("/v2/models/{model}", self._pass),
            Route("/v2/models/{model}/ready", self._pass),
            Route("/ab-test/experiments/{name}/assignment", self._show_assignment),
            Route("/ab-test/outcomes", self._accept_outcomes, methods=["POST"]),
            Route("/ab-test/stats", self._show_stats),
            Route("/health", _report_health),
            Route("/ready", _report_health),  # the server listens only after it has read the experiments
            Route("/metrics", _report_metrics),
        ]
        return Starlette(routes=routes, exception_handlers=_HANDLERS, lifespan=lifespan)

    async def _infer(self, request: Request) -> Response:
        forwarded = await self._forward(request)
        user_id = _find(request, self._user_header)
        routed = await self._router.predict(request.path_params["model"], user_id, forwarded)
        if routed.user:
            request.scope[USER] = routed.user
        headers = [*routed.response.headers, (b"x-request-id", forwarded.request_id.encode())]
        if routed.experiment:
            headers += [(b"x-experiment", routed.experiment.encode()), (b"x-variant", routed.variant.encode())]
        if routed.fallback:
            headers.append((b"x-fallback", routed.fallback.encode()))
        return _respond(routed.response, headers)

    async def _pass(self, request: Request) -> Response:
        forwarded = await self._forward(request)
        response = await self._router.pass_to_champion(request.path_params["model"], forwarded)
        return _respond(response, [*response.headers, (b"x-request-id", forwarded.request_id.encode())])

    async def _show_assignment(self, request: Request) -> Response:
        experiment = self._find_experiment(request.path_params["name"])
        try:
            user = parse_user_id(_find(request, self._user_header))
        except UserIdError as error:
            raise HTTPException(400, f"{error}: set the header {self._settings.user_id_header}") from None
        share = experiment.challenger_share if experiment.is_running else 0
        decision = decide(experiment.name, user, share)
        content = {"experiment": experiment.name, "variant": decision.variant, "bucket": decision.bucket}
        return _json({**content, "challenger_buckets": share, "state": experiment.state})

    async def _accept_outcomes(self, request: Request) -> Response:
        body = await self._read_body(request)
        return _json({"accepted": await self._outcomes.accept(body)}, 202)

    async def _show_stats(self, request: Request) -> Response:  # noqa: ARG002
        return _json(summarize(self._definitions))

    async def _forward(self, request: Request) -> backends.Request:
        """The request that is sent to a service. Raises HTTPException if its path is not one of a model."""
        try:
            check_name(request.path_params["model"])
        except InvalidNameError as error:
            raise HTTPException(404, str(error)) from None
        raw_path: bytes = request.scope["raw_path"]
        query: bytes = request.scope["query_string"]
        path = raw_path + b"?" + query if query else raw_path
        body = await self._read_body(request)
        headers = backends.select_headers(request.scope["headers"])
        return backends.Request(request.method, path, headers, body, request.scope["request_id"])

    async def _read_body(self, request: Request) -> bytes:
        limit = self._settings.max_body_bytes
        try:
            return await read_body(request, limit)
        except BodyTooLargeError:
            message = f"the body is larger than {limit} bytes (EXPERIMENT_MAX_BODY_BYTES)"
            raise HTTPException(413, message) from None

    def _find_experiment(self, name: str) -> Experiment:
        experiment = self._definitions.current.by_name.get(name)
        if experiment is None:
            known = ", ".join(self._definitions.current.by_name) or "none"
            raise HTTPException(404, f"there is no experiment with this name; known experiments: {known}")
        return experiment


async def _report_health(request: Request) -> Response:  # noqa: ARG001
    return PlainTextResponse("healthy\n")


async def _report_metrics(request: Request) -> Response:
    return await asyncio.to_thread(render_metrics, request)


async def _handle_http_error(request: Request, error: HTTPException) -> Response:  # noqa: ARG001
    return _json({"error": error.detail}, error.status_code, error.headers)


async def _handle_outcome_error(request: Request, error: OutcomeError) -> Response:  # noqa: ARG001
    return _json({"error": str(error)}, error.status)


async def _handle_spool_error(request: Request, error: SpoolError) -> Response:  # noqa: ARG001
    return _json(
        {"error": f"the outcomes were not stored; send them again: {error}"}, 503, {"retry-after": _RETRY_AFTER}
    )


async def _handle_slow_body(request: Request, error: BodyTooSlowError) -> Response:  # noqa: ARG001
    return _json({"error": "the body did not arrive in time"}, 408)


async def _handle_crowd(request: Request, error: TooManyBodiesError) -> Response:  # noqa: ARG001
    detail = "this router has reached its limit of large bodies; send the request again"
    return _json({"error": detail}, 503, {"retry-after": _RETRY_AFTER})


async def _handle_malformed_body(request: Request, error: MalformedBodyError) -> Response:  # noqa: ARG001
    return _json({"error": "the body does not match the headers"}, 400)


async def _handle_disconnect(request: Request, error: ClientDisconnect) -> Response:  # noqa: ARG001
    return Response(status_code=CLIENT_CLOSED_REQUEST)


_HANDLERS: Mapping[Any, Any] = {
    HTTPException: _handle_http_error,
    OutcomeError: _handle_outcome_error,
    SpoolError: _handle_spool_error,
    BodyTooSlowError: _handle_slow_body,
    TooManyBodiesError: _handle_crowd,
    MalformedBodyError: _handle_malformed_body,
    ClientDisconnect: _handle_disconnect,
}


def _find(request: Request, header: bytes) -> bytes | None:
    return next((value for name, value in request.scope["headers"] if name == header), None)


def _respond(response: backends.Response, headers: Headers) -> Response:
    result = Response(response.body, response.status)
    result.raw_headers.extend(headers)
    return result


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
