"""The endpoints: KServe's v1 and v2 (Open Inference Protocol) over HTTP, and /predict, /health, /ready, /metrics.

https://kserve.github.io/website/docs/concepts/architecture/data-plane
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from lifecycle.serving import metrics, tensors
from lifecycle.serving.batching import Batcher
from lifecycle.serving.inference_log import InferenceLog, Prediction
from lifecycle.serving.model import Model, Outputs
from lifecycle.serving.refusals import Refusal, invalid, too_large, unknown
from lifecycle.serving.settings import Settings
from lifecycle.serving.table import Row

_LONGEST_USER_ID = 256
_VERSION = "1"  # of what is served here: the paths and their bodies


@dataclass
class Service:
    """What the endpoints stand on. `not_ready` says why no traffic should come; empty when it may."""

    model: Model
    settings: Settings
    batcher: Batcher
    log: InferenceLog | None
    not_ready: str = ""


@dataclass(frozen=True)
class _Body:
    """A parsed body. `flaw` says why it is no strict JSON: NaN is let in until a feature can be blamed for it."""

    data: Mapping[str, Any]
    flaw: str

    def admit(self) -> None:
        if self.flaw:
            raise invalid(self.flaw)


class Api:
    """One method per endpoint; its name is the endpoint's in metrics, logs and traces."""

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
            ]
        )

    async def predict_v1(self, request: Request) -> Response:
        self._hold_name(request)
        body = await self._body(request)
        rows = self._model.table.rows(body.data.get("instances"), "instances")
        body.admit()
        return _json({"predictions": _plain(await self._predict(request, rows))})

    async def infer_v2(self, request: Request) -> Response:
        self._hold_name(request)
        body = await self._body(request)
        rows = tensors.read(self._model.table, body.data)
        body.admit()
        return _json(tensors.write(self._model, await self._predict(request, rows), body.data))

    async def predict(self, request: Request) -> Response:
        body = await self._body(request)
        features, user_id = body.data.get("features"), body.data.get("user_id")
        if user_id is not None and not (isinstance(user_id, str) and len(user_id) <= _LONGEST_USER_ID):
            raise invalid(f"user_id: must be a string of at most {_LONGEST_USER_ID} characters")
        many = isinstance(features, list) and (not features or isinstance(features[0], dict | list))
        rows = self._model.table.rows(features, "features") if many else self._model.table.row(features, "features")
        body.admit()
        outputs = await self._predict(request, rows, user_id)
        answer = {"predictions": _plain(outputs), "model": self._model.name, "version": self._model.version}
        return _json({**answer, "request_id": request.scope["request_id"]})

    async def models_v1(self, _: Request) -> Response:
        return _json({"models": [self._model.name]})

    async def model_v1(self, request: Request) -> Response:
        self._hold_name(request)
        return self._readiness({"name": self._model.name})

    async def server_v2(self, _: Request) -> Response:
        return _json({"name": "groundwork", "version": _VERSION, "extensions": []})

    async def live_v2(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready_v2(self, _: Request) -> Response:
        return self._readiness({"live": True})

    async def model_v2(self, request: Request) -> Response:
        self._hold_name(request)
        return _json(tensors.metadata(self._model))

    async def model_ready_v2(self, request: Request) -> Response:
        self._hold_name(request)
        return self._readiness({"name": self._model.name})

    async def health(self, _: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        return self._readiness({"model": self._model.name, "version": self._model.version})

    async def metrics(self, _: Request) -> Response:
        # Reading every worker's files takes milliseconds, which predictions should not wait for.
        return Response(await asyncio.to_thread(metrics.exposition), media_type=CONTENT_TYPE_LATEST)

    def _readiness(self, about: Mapping[str, Any]) -> Response:
        reason = self._service.not_ready
        if reason:
            return _json({**about, "ready": False, "reason": reason}, 503)
        return _json({**about, "ready": True})

    def _hold_name(self, request: Request) -> None:
        name, version = request.path_params["name"], request.path_params.get("version", self._model.version)
        if name != self._model.name:
            raise unknown(f"there is no model of that name here; this server has '{self._model.name}'")
        if version != self._model.version:
            raise unknown(f"there is no such version here; this server has {self._model.version}")

    async def _body(self, request: Request) -> _Body:
        most = self._service.settings.max_body_bytes
        if int(request.headers.get("content-length", 0)) > most:
            raise _oversized(most)
        received = bytearray()
        async for chunk in request.stream():
            received += chunk
            if len(received) > most:
                raise _oversized(most)
        return _parsed(bytes(received))

    async def _predict(self, request: Request, rows: list[Row], user_id: str | None = None) -> Outputs:
        outputs = await self._service.batcher.submit(rows)
        if self._service.log is not None:
            seconds = time.perf_counter() - request.scope["started"]
            self._service.log.offer(
                Prediction(request.scope["request_id"], time.time(), seconds, rows, outputs, user_id)
            )
        return outputs


def _oversized(most: int) -> Refusal:
    return too_large(f"the body is larger than {most} bytes (MAX_BODY_BYTES)")


def _parsed(body: bytes) -> _Body:
    """Raises Refusal for what is no JSON object. Python's own parser has a second look, because it reads NaN."""
    flaw = ""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        flaw = f"the body is not JSON: {error}"
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            raise invalid(flaw) from None
    if not isinstance(data, dict):
        raise invalid("the body must be a JSON object")
    return _Body(data, flaw)


def _plain(outputs: Outputs) -> Any:
    """Predictions in the v1 protocol: one value per row, or one object where the model has several outputs."""
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    columns = [values.tolist() for values in outputs.values()]
    return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]


def _json(content: Any, status: int = 200) -> Response:
    # Arrays of numbers go out as they are; orjson asks for the rest (strings, other layouts) as lists.
    body = orjson.dumps(content, default=lambda values: values.tolist(), option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, media_type="application/json")
