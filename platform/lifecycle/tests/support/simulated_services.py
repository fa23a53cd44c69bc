"""Simulated: the services of one model behind a gateway, and a Prometheus with fixed answers.

The services respond over real HTTP as lifecycle.serving does, without a model behind them; their metrics have the names
and labels of lifecycle.serving, for the real Prometheus to scrape.
"""

from __future__ import annotations

import re
import threading
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
    hanging_requests: float = 0  # how many get no response before the end of the test, from the first on
    status: int = 200
    prediction: Any = 1.0
    requests: list[dict[str, Any]] = field(default_factory=list)


class Services:
    """Every service under its name: <url>/<service>/ready and so on."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.url = ""
        self.by_name: dict[str, Service] = {}
        self._ended = threading.Event()
        registry = CollectorRegistry()
        self._registry = registry
        labels = ["model", "version", "endpoint"]
        self._requests = Counter("groundwork_requests_total", "Requests.", [*labels, "status"], registry=registry)
        self._lost = Counter("groundwork_lost_requests_total", "Lost.", labels[:2], registry=registry)
        self._deaths = Counter("groundwork_worker_deaths_total", "Deaths.", labels[:2], registry=registry)
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

    def lose_requests(self, version: str, number: int, *, deaths: int = 0) -> None:
        """Add requests without a response, and workers that died; 0 starts the series, as a server does."""
        self._lost.labels(self.model, version).inc(number)
        self._deaths.labels(self.model, version).inc(deaths)

    @contextmanager
    def running(self) -> Iterator[Services]:
        with serve_http(self._respond) as self.url:
            try:
                yield self
            finally:
                self._ended.set()

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
        if len(service.requests) <= service.hanging_requests:
            self._ended.wait()
        return HttpResponse(service.status, {"predictions": [service.prediction], "version": service.version})


@dataclass
class Prometheus:
    """Values for the guardrails' queries, recognized by their text; None returns no series.

    requests     answered by each version in a block of time, of which there is one
    errors, slow  share of the challenger's requests that fail, or are slow
    champion_errors, champion_slow  the same for the champion
    rejected     share of the challenger's requests whose input it rejects; the champion rejects none
    """

    url: str = ""
    requests: float | None = 1000
    errors: float | None = 0.0
    slow: float | None = 0.0
    champion_errors: float = 0.0
    champion_slow: float = 0.0
    rejected: float = 0.0
    lost: float = 0.0
    restarts: float | None = 0
    worker_deaths: float | None = 0
    is_down: bool = False

    @contextmanager
    def running(self) -> Iterator[Prometheus]:
        with serve_http(self._respond) as self.url:
            yield self

    def _respond(self, request: HttpRequest) -> HttpResponse:
        if self.is_down:
            return HttpResponse(503, {})
        target = urlsplit(request.path)
        parameters = parse_qs(target.query)
        query = parameters["query"][0]
        if target.path.endswith("query_range"):
            return self._respond_range(query, float(parameters["start"][0]))
        value = self.requests
        if "restarts" in query:
            value = self.restarts
        elif "worker_deaths" in query:
            value = self.worker_deaths
        result = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
        return HttpResponse(200, {"status": "success", "data": {"resultType": "vector", "result": result}})

    def _respond_range(self, query: str, time_: float) -> HttpResponse:
        found = re.search(r'version=~"(\d+)[|](\d+)"', query)
        assert found is not None, query
        requests = self.requests or 0.0
        series: list[tuple[dict[str, str], float | None]] = []
        for version, errors, slow in (
            (found[1], self.errors, self.slow),
            (found[2], self.champion_errors, self.champion_slow),
        ):
            labels = {"version": version}
            if "lost" in query:
                series.append((labels, self.lost if version == found[1] else 0.0))
            elif "bucket" in query:
                fast = None if slow is None else requests * (1 - slow)
                series += [
                    ({**labels, "le": "0.5"}, fast),
                    ({**labels, "le": "+Inf"}, None if slow is None else requests),
                ]
            else:
                failed = requests * (errors or 0.0)
                rejected = requests * self.rejected if version == found[1] else 0.0
                succeeded = None if self.requests is None else requests - failed - rejected
                series += [
                    ({**labels, "status": "200"}, succeeded),
                    ({**labels, "status": "400"}, rejected),
                    ({**labels, "status": "500"}, None if errors is None else failed),
                ]
        result = [{"metric": labels, "values": [[time_, str(value)]]} for labels, value in series if value is not None]
        return HttpResponse(200, {"status": "success", "data": {"resultType": "matrix", "result": result}})
