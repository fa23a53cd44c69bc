"""The endpoints: KServe's v1 and v2 (Open Inference Protocol) over HTTP, and /predict, /health, /ready, /metrics.

https://kserve.github.io/website/docs/concepts/architecture/data-plane
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from lifecycle.core.http_server import (
    LARGE_BODY,
    BodyTooLargeError,
    BodyTooSlowError,
    MalformedBodyError,
    TooManyBodiesError,
    read_body,
)
from lifecycle.core.metrics_page import render_metrics
from lifecycle.serving import metrics, tensors
from lifecycle.serving.batching import Batcher
from lifecycle.serving.errors import RequestError, invalid_input, not_found, payload_too_large
from lifecycle.serving.inference_log import InferenceLog, Prediction
from lifecycle.serving.middleware import USER_ID
from lifecycle.serving.model import Model, Outputs
from lifecycle.serving.schema import Row
from lifecycle.serving.settings import ServingSettings

_MAX_USER_ID = 256  # characters
_API_VERSION = "1"  # of the paths and their bodies


@dataclass
class Service:
    """The parts behind the endpoints. `unready_reason` says why there should be no traffic; empty if ready."""

    model: Model
    settings: ServingSettings
    batcher: Batcher
    log: InferenceLog | None
    unready_reason: str = ""


@dataclass(frozen=True)
class _Body:
    """A parsed body. `problem` says why it is not strict JSON.

    NaN is parsed nevertheless, so that the error can name the feature; `check` raises it if no feature has NaN.
    """

    data: Mapping[str, Any]
    problem: str

    def check(self) -> None:
        if self.problem:
            raise invalid_input(self.problem)


class Api:
    """One method per endpoint; the method's name is the endpoint's name in metrics, logs and traces."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._model = service.model

    def router(self) -> Router:
        v1, v2 = "/v1/models", "/v2/models/{name}"
        version = v2 + "/versions/{version}"
        return Router(
            [
                Route(v1 + "/{name}:predict", self.predict_v1, methods=["POST"]),
                Route(v2 + "/infer", self.infer_v2, methods=["POST"]),
                Route("/predict", self.predict, methods=["POST"]),
                Route(version + "/infer", self.infer_v2, methods=["POST"]),
                Route(v1, self.models_v1),
                Route(v1 + "/{name}", self.model_v1),
                Route("/v2", self.server_v2),
                Route("/v2/health/live", self.live_v2),
                Route("/v2/health/ready", self.ready_v2),
                Route(v2, self.model_v2),
                Route(v2 + "/ready", self.model_ready_v2),
                Route(version, self.model_v2),
                Route(version + "/ready", self.model_ready_v2),
                Route("/health", self.health),
                Route("/ready", self.ready),
                Route("/metrics", self.metrics),
            ],
            redirect_slashes=False,  # a redirect would lead to any host that the client names
        )

    async def predict_v1(self, request: Request) -> Response:
        self._check_name(request)
        body = await self._read_body(request)
        rows = self._model.schema.parse_rows(body.data.get("instances"), "instances")
        body.check()
        return _json({"predictions": _to_v1(await self._predict(request, rows))})

    async def infer_v2(self, request: Request) -> Response:
        self._check_name(request)
        body = await self._read_body(request)
        rows = tensors.parse(self._model.schema, body.data)
        body.check()
        return _json(tensors.render(self._model, await self._predict(request, rows), body.data))

    async def predict(self, request: Request) -> Response:
        body = await self._read_body(request)
        features, user_id = body.data.get("features"), body.data.get("user_id")
        if user_id is not None and not (isinstance(user_id, str) and len(user_id) <= _MAX_USER_ID):
            raise invalid_input(f"user_id: must be a string of at most {_MAX_USER_ID} characters")
        request.scope[USER_ID] = user_id
        schema, is_batch = (
            self._model.schema,
            isinstance(features, list) and (not features or isinstance(features[0], dict | list)),
        )
        rows = schema.parse_rows(features, "features") if is_batch else schema.parse_row(features, "features")
        body.check()
        outputs = await self._predict(request, rows, user_id)
        version = self._model.model_version
        content = {"predictions": _to_v1(outputs), "model": version.model, "version": version.version}
        return _json({**content, "request_id": request.scope["request_id"]})

    async def models_v1(self, _: Request) -> Response:
        return _json({"models": [self._model.model_version.model]})

    async def model_v1(self, request: Request) -> Response:
        self._check_name(request)
        return self._readiness({"name": self._model.model_version.model})

    async def server_v2(self, _: Request) -> Response:
        return _json({"name": "groundwork", "version": _API_VERSION, "extensions": []})

    async def live_v2(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready_v2(self, _: Request) -> Response:
        return self._readiness({"live": True})

    async def model_v2(self, request: Request) -> Response:
        self._check_name(request)
        return _json(tensors.describe(self._model))

    async def model_ready_v2(self, request: Request) -> Response:
        self._check_name(request)
        return self._readiness({"name": self._model.model_version.model})

    async def health(self, _: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        version = self._model.model_version
        return self._readiness({"model": version.model, "version": version.version})

    async def metrics(self, request: Request) -> Response:
        # Reading every worker's files takes milliseconds, which would delay predictions.
        return await asyncio.to_thread(render_metrics, request, metrics.AllWorkers())

    def _readiness(self, content: Mapping[str, Any]) -> Response:
        reason = self._service.unready_reason
        if reason:
            return _json({**content, "ready": False, "reason": reason}, 503)
        return _json({**content, "ready": True})

    def _check_name(self, request: Request) -> None:
        served = self._model.model_version
        if request.path_params["name"] != served.model:
            raise not_found(f"there is no model with this name; this server has '{served.model}'")
        if request.path_params.get("version", served.version) != served.version:
            raise not_found(f"there is no such version; this server has {served.version}")

    async def _read_body(self, request: Request) -> _Body:
        settings = self._service.settings
        try:
            if int(request.headers.get("content-length", 0)) > settings.max_body_bytes:
                raise BodyTooLargeError
            return _parse_body(await read_body(request, settings.max_body_bytes))
        except BodyTooLargeError:
            raise payload_too_large(
                f"the body is larger than {settings.max_body_bytes} bytes (MAX_BODY_BYTES)"
            ) from None
        except MalformedBodyError:
            raise invalid_input("the body does not match the request's headers") from None
        except BodyTooSlowError:
            message = f"the body did not arrive within {settings.read_timeout:g} seconds (READ_TIMEOUT)"
            raise RequestError(408, message, "slow") from None
        except TooManyBodiesError:
            raise RequestError(503, "this server has reached its limit of large bodies", "overload", 1) from None

    async def _predict(self, request: Request, rows: list[Row], user_id: str | None = None) -> Outputs:
        outputs = await self._service.batcher.submit(rows)
        if self._service.log is not None:
            seconds = time.perf_counter() - request.scope["started"]
            self._service.log.record(
                Prediction(request.scope["request_id"], time.time(), seconds, rows, outputs, user_id)
            )
        return outputs


def _parse_body(body: bytes) -> _Body:
    """Raises RequestError if a body is not a JSON object. If orjson rejects it, json parses it, which accepts NaN."""
    problem = ""
    try:
        data = _load(body)
    except orjson.JSONDecodeError as error:
        problem = f"the body is not JSON: {error}"
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            raise invalid_input(problem) from None
    if not isinstance(data, dict):
        raise invalid_input("the body must be a JSON object")
    return _Body(data, problem)


def _load(body: bytes) -> Any:
    """Parse a body; a large one without garbage collections: if it is full of `[]`, they take 80 % of the time."""
    if len(body) <= LARGE_BODY:
        return orjson.loads(body)
    gc.disable()
    try:
        return orjson.loads(body)
    finally:
        gc.enable()


def _to_v1(outputs: Outputs) -> Any:
    """Predictions in the v1 protocol: one value per row, or one object per row if the model has several outputs."""
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    columns = [values.tolist() for values in outputs.values()]
    return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]


def _json(content: Any, status: int = 200) -> Response:
    # orjson itself writes arrays of numbers, and calls `default` for others (strings, other memory layouts).
    body = orjson.dumps(content, default=lambda values: values.tolist(), option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, media_type="application/json")
