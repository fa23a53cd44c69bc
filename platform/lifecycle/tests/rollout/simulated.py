"""Simulated: the services of one model behind a gateway, and a Prometheus that counts what it is told.

The services answer over real HTTP as lifecycle.serving does, without a model behind them; their metrics have the names
and labels that it gives them, for the real Prometheus to scrape.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest


@dataclass
class Service:
    """How a role's service behaves; None for a version lets it be dead."""

    version: str | None
    ready_after: int = 0
    delay: float = 0.0
    status: int = 200
    prediction: Any = 1.0
    asked: list[dict[str, Any]] = field(default_factory=list)


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

    def answered(self, version: str, number: int, *, status: int = 200, seconds: float = 0.02) -> None:
        """Requests that users made, as metrics tell."""
        for _ in range(number):
            self._requests.labels(self.model, version, "predict", str(status)).inc()
            self._seconds.labels(self.model, version, "predict").observe(seconds)

    def metrics(self) -> bytes:
        return generate_latest(self._registry)

    @contextmanager
    def running(self) -> Iterator[Services]:
        with _serving(self._answer) as self.url:
            yield self

    def _answer(self, path: str, body: Any) -> tuple[int, Any]:
        if path == "/metrics":
            return 200, self.metrics()
        _, name, rest = path.split("/", 2)
        service = self.by_name.get(name)
        if service is None or service.version is None:
            return 503, {"error": "no endpoints"}
        if rest == "ready":
            service.ready_after -= 1
            return (200, {}) if service.ready_after < 0 else (503, {})
        if rest.startswith("v2/models/"):
            return 200, {"inputs": [{"name": "a"}, {"name": "b"}]}
        service.asked.append(body)
        time.sleep(service.delay)
        return service.status, {"predictions": [service.prediction], "version": service.version}


@dataclass
class Prometheus:
    """Values for the guardrails' queries, recognised by what they ask for; None gives no series."""

    url: str = ""
    requests: float | None = 1000
    errors: float | None = 0.0
    p95: float | None = 0.1
    restarts: float | None = 0
    down: bool = False

    @contextmanager
    def running(self) -> Iterator[Prometheus]:
        with _serving(self._answer) as self.url:
            yield self

    def _answer(self, path: str, _: Any) -> tuple[int, Any]:
        query = parse_qs(urlsplit(path).query)["query"][0]
        value = self.requests
        if "restarts" in query:
            value = self.restarts
        elif "quantile" in query:
            value = self.p95
        elif "5.." in query:
            value = self.errors
        result = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
        return (
            (503, {}) if self.down else (200, {"status": "success", "data": {"resultType": "vector", "result": result}})
        )


@contextmanager
def _serving(answer: Any) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            status, content = answer(self.path, json.loads(self.rfile.read(length)) if length else None)
            kind = CONTENT_TYPE_LATEST if isinstance(content, bytes) else "application/json"
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)  # without one, Prometheus 3 takes no metrics
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except BrokenPipeError:
                pass

        do_GET = do_POST = _reply  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
