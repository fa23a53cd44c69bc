"""Simulated: the services of one model behind a gateway, and a Prometheus with fixed answers.

The services respond over real HTTP as lifecycle.serving does, without a model behind them; their metrics have the names
and labels of lifecycle.serving, for the real Prometheus to scrape.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest

from support.network import HttpRequest, HttpResponse, serve_http


@dataclass
class Service:
    """How a role's service behaves; without a version it has no endpoints."""

    version: str | None
    failed_readiness_checks: int = 0
    delay: float = 0.0
    delayed_requests: float = math.inf  # how many are delayed, from the first on
    status: int = 200
    prediction: Any = 1.0
    requests: list[dict[str, Any]] = field(default_factory=list)


class Services:
    """Every service under its name: <url>/<service>/ready and so on."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.url = ""
        self.by_name: dict[str, Service] = {}
        registry = CollectorRegistry()
        self._registry = registry
        labels = ["model", "version", "endpoint"]
        self._requests = Counter("groundwork_requests_total", "Requests.", [*labels, "status"], registry=registry)
        self._seconds = Histogram(
            "groundwork_request_seconds", "Time.", labels, buckets=(0.01, 0.1, 0.5, 1, 2, 5), registry=registry
        )

    def __getitem__(self, role: str) -> Service:
        return self.by_name[f"{self.model}-{role}-predictor"]

    def __setitem__(self, role: str, service: Service) -> None:
        self.by_name[f"{self.model}-{role}-predictor"] = service

    def count_requests(self, version: str, number: int, *, status: int = 200, seconds: float = 0.02) -> None:
        """Add requests of users to the metrics."""
        for _ in range(number):
            self._requests.labels(self.model, version, "predict", str(status)).inc()
            self._seconds.labels(self.model, version, "predict").observe(seconds)

    @contextmanager
    def running(self) -> Iterator[Services]:
        with serve_http(self._respond) as self.url:
            yield self

    def _respond(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/metrics":
            return HttpResponse(200, generate_latest(self._registry), CONTENT_TYPE_LATEST)
        _, name, path = request.path.split("/", 2)
        service = self.by_name.get(name)
        if service is None or service.version is None:
            return HttpResponse(503, {"error": "no endpoints"})
        if path == "ready":
            service.failed_readiness_checks -= 1
            return HttpResponse(200 if service.failed_readiness_checks < 0 else 503, {})
        if path.startswith("v2/models/"):
            return HttpResponse(200, {"inputs": [{"name": "a"}, {"name": "b"}]})
        service.requests.append(request.json())
        if len(service.requests) <= service.delayed_requests:
            time.sleep(service.delay)
        return HttpResponse(service.status, {"predictions": [service.prediction], "version": service.version})


@dataclass
class Prometheus:
    """Values for the guardrails' queries, recognized by their text; None returns no series."""

    url: str = ""
    requests: float | None = 1000
    errors: float | None = 0.0
    p95: float | None = 0.1
    restarts: float | None = 0
    is_down: bool = False

    @contextmanager
    def running(self) -> Iterator[Prometheus]:
        with serve_http(self._respond) as self.url:
            yield self

    def _respond(self, request: HttpRequest) -> HttpResponse:
        if self.is_down:
            return HttpResponse(503, {})
        query = parse_qs(urlsplit(request.path).query)["query"][0]
        value = self.requests
        if "restarts" in query:
            value = self.restarts
        elif "quantile" in query:
            value = self.p95
        elif "5.." in query:
            value = self.errors
        result = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
        return HttpResponse(200, {"status": "success", "data": {"resultType": "vector", "result": result}})
