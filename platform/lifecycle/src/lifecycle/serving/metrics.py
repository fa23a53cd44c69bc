"""Prometheus metrics: counted in each worker, and aggregated over all of them at /metrics.

prometheus_client decides at import, by PROMETHEUS_MULTIPROC_DIR, whether values are in files that workers share, so the
variable is set before this module is imported.
https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from lifecycle.core import ModelVersion

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_MODEL = ["model", "version"]

_REQUESTS = Counter("groundwork_requests_total", "Requests answered.", [*_MODEL, "endpoint", "status"])
_DURATION = Histogram(
    "groundwork_request_seconds",
    "Time from a request's arrival to its response.",
    [*_MODEL, "endpoint"],
    buckets=_SECONDS,
)
_REFUSALS = Counter("groundwork_refusals_total", "Requests without a prediction, by reason.", [*_MODEL, "reason"])
_PREDICT = Histogram("groundwork_predict_seconds", "Duration of one predict call.", _MODEL, buckets=_SECONDS)
_BATCH = Histogram("groundwork_batch_rows", "Rows of one predict call.", _MODEL, buckets=_ROWS)
_READY = Gauge("groundwork_ready_workers", "Workers that accept requests.", _MODEL, multiprocess_mode="livesum")
_LOGGED = Counter("groundwork_inference_log_events_total", "Events that the inference log's sink accepted.", _MODEL)
_DROPPED = Counter(
    "groundwork_inference_log_dropped_total", "Events that the inference log's sink or queue did not accept.", _MODEL
)


class Metrics:
    """The metrics of one model version. Recording costs a few microseconds."""

    def __init__(self, model_version: ModelVersion) -> None:
        self._labels = labels = (model_version.model, model_version.version)
        self._predict = _PREDICT.labels(*labels)
        self._batch = _BATCH.labels(*labels)
        self._ready = _READY.labels(*labels)
        self._logged = _LOGGED.labels(*labels)
        self._dropped = _DROPPED.labels(*labels)
        self._responses: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def record_response(self, endpoint: str, status: int, seconds: float) -> None:
        """`endpoint` is the name of a route, so that paths invented by clients create no time series."""
        recorders = self._responses.get((endpoint, status))
        if recorders is None:
            count = _REQUESTS.labels(*self._labels, endpoint, str(status)).inc
            recorders = (count, _DURATION.labels(*self._labels, endpoint).observe)
            self._responses[endpoint, status] = recorders
        recorders[0]()
        recorders[1](seconds)

    def record_request_error(self, reason: str) -> None:
        _REFUSALS.labels(*self._labels, reason).inc()

    def record_predict_call(self, rows: int, seconds: float) -> None:
        self._batch.observe(rows)
        self._predict.observe(seconds)

    def set_ready(self, ready: bool) -> None:
        self._ready.set(int(ready))

    def record_logged(self, events: int) -> None:
        self._logged.inc(events)

    def record_dropped(self, events: int) -> None:
        self._dropped.inc(events)


def render() -> bytes:
    """All workers' metrics, in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
