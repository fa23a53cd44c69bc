"""What Prometheus reads: counted in each worker, added up over all of them at /metrics.

prometheus_client decides at import, by PROMETHEUS_MULTIPROC_DIR, whether values live in files that workers share;
so the supervisor sets it before this module is imported.
https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from lifecycle.serving.registry import Artifact

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_MODEL = ["model", "version"]

_REQUESTS = Counter("groundwork_requests_total", "Requests answered.", [*_MODEL, "endpoint", "status"])
_DURATION = Histogram(
    "groundwork_request_seconds", "From a request's arrival to its answer.", [*_MODEL, "endpoint"], buckets=_SECONDS
)
_REFUSALS = Counter("groundwork_refusals_total", "Requests that got no prediction, by reason.", [*_MODEL, "reason"])
_PREDICT = Histogram("groundwork_predict_seconds", "Duration of one predict call.", _MODEL, buckets=_SECONDS)
_BATCH = Histogram("groundwork_batch_rows", "Rows of one predict call.", _MODEL, buckets=_ROWS)
_READY = Gauge("groundwork_ready_workers", "Workers that take requests.", _MODEL, multiprocess_mode="livesum")
_LOGGED = Counter("groundwork_inference_log_events_total", "Events the inference log's sink took.", _MODEL)
_DROPPED = Counter(
    "groundwork_inference_log_dropped_total", "Events that the sink, or the queue to it, did not take.", _MODEL
)


class Metrics:
    """The metrics of one model version. Recording costs a few microseconds."""

    def __init__(self, artifact: Artifact) -> None:
        self._model = model = (artifact.name, artifact.version)
        self._predict = _PREDICT.labels(*model)
        self._batch = _BATCH.labels(*model)
        self._ready = _READY.labels(*model)
        self._logged = _LOGGED.labels(*model)
        self._dropped = _DROPPED.labels(*model)
        self._answers: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """`endpoint` is one of the routes' names, so that paths made up by clients make no series."""
        known = self._answers.get((endpoint, status))
        if known is None:
            count = _REQUESTS.labels(*self._model, endpoint, str(status)).inc
            known = self._answers[endpoint, status] = (count, _DURATION.labels(*self._model, endpoint).observe)
        known[0]()
        known[1](seconds)

    def refused(self, reason: str) -> None:
        _REFUSALS.labels(*self._model, reason).inc()

    def predicted(self, rows: int, seconds: float) -> None:
        self._batch.observe(rows)
        self._predict.observe(seconds)

    def ready(self, ready: bool) -> None:
        self._ready.set(int(ready))

    def logged(self, events: int) -> None:
        self._logged.inc(events)

    def dropped(self, events: int) -> None:
        self._dropped.inc(events)


def exposition() -> bytes:
    """All workers' metrics, in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
