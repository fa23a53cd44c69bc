"""Prometheus metrics: counted in each process, and aggregated over all processes at /metrics.

Requests received are requests answered, plus those lost with a worker that died, plus those in progress.

prometheus_client stores a process's values in files in PROMETHEUS_MULTIPROC_DIR, which a server sets before it imports
this module. They are named by the worker's number, not by its process: the successor of a worker that died continues
its files, so no count is lost and the number of files does not grow.
https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from lifecycle.core import ModelVersion
from lifecycle.serving.exemplars import SECONDS, add_exemplar, read_exemplars

_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_MODEL = ["model", "version"]
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
DURATION_NAME = "groundwork_request_seconds"
_SUPERVISOR = "supervisor"
NO_ENDPOINT = "other"  # the label of requests for no known endpoint

_process: str = _SUPERVISOR  # the worker whose files this process counts in
# Set before the first metric is created. The condition is prometheus_client's own, whose files are named by processes.
if _FOLDER in os.environ:
    values.ValueClass = values.MultiProcessValue(lambda: _process)  # type: ignore[no-untyped-call]

_RECEIVED_NAME, _ANSWERED_NAME = "groundwork_requests_received_total", "groundwork_requests_total"
_RECEIVED = Counter(_RECEIVED_NAME, "Requests whose headers a worker has read, answered or not.", _MODEL)
_REQUESTS = Counter(_ANSWERED_NAME, "Requests answered.", [*_MODEL, "endpoint", "status"])
_DURATION = Histogram(
    DURATION_NAME,
    "Time from a request's arrival to its response.",
    [*_MODEL, "endpoint"],
    buckets=SECONDS,
)
_REFUSALS = Counter("groundwork_refusals_total", "Requests without a prediction, by reason.", [*_MODEL, "reason"])
_PREDICT = Histogram("groundwork_predict_seconds", "Duration of one predict call.", _MODEL, buckets=SECONDS)
_BATCH = Histogram("groundwork_batch_rows", "Rows of one predict call.", _MODEL, buckets=_ROWS)
_READY = Gauge("groundwork_ready_workers", "Workers that accept requests.", _MODEL, multiprocess_mode="livesum")
_LOGGED = Counter("groundwork_inference_log_events_total", "Events that the inference log's sink accepted.", _MODEL)
_DROPPED = Counter(
    "groundwork_inference_log_dropped_total", "Events that the inference log's sink or queue did not accept.", _MODEL
)
_LOST = Counter(
    "groundwork_lost_requests_total",
    "Requests that a worker had received, and had not answered when its process ended.",
    _MODEL,
)
_DEATHS = Counter(
    "groundwork_worker_deaths_total",
    "Worker processes that ended though the server was not stopping; by cause: a signal, `hung`, or an exit code.",
    [*_MODEL, "cause"],
)
# The series of these exist before the first death, which Prometheus' `increase` would not see in a new series.
_CAUSES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGKILL", "hung")


class Metrics:
    """The metrics of one model version. Recording costs a few microseconds."""

    def __init__(self, model_version: ModelVersion) -> None:
        self._labels = labels = (model_version.model, model_version.version)
        self.record_request = _RECEIVED.labels(*labels).inc
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

    def record_refusal(self, status: int, reason: str) -> None:
        """A request was refused before it reached an endpoint; the status is 0 if it got no response."""
        self.record_request_error(reason)
        if status:
            self.record_request()
            _REQUESTS.labels(*self._labels, NO_ENDPOINT, str(status)).inc()

    def record_predict_call(self, rows: int, seconds: float) -> None:
        self._batch.observe(rows)
        self._predict.observe(seconds)

    def set_ready(self, ready: bool) -> None:
        self._ready.set(int(ready))

    def record_logged(self, events: int) -> None:
        self._logged.inc(events)

    def record_dropped(self, events: int) -> None:
        self._dropped.inc(events)


class WorkerMetrics:
    """The supervisor's metrics of its workers, keyed by their numbers."""

    def __init__(self, model_version: ModelVersion) -> None:
        self._labels = (model_version.model, model_version.version)
        for cause in _CAUSES:
            _DEATHS.labels(*self._labels, cause)
        self._lost = _LOST.labels(*self._labels)
        self._lost_of: dict[int, int] = {}

    def record_end(self, worker: int) -> int:
        """A worker's process has ended; returns how many requests it lost."""
        mark_process_dead(worker)  # type: ignore[no-untyped-call]
        unanswered = _count_unanswered(worker)
        lost = unanswered - self._lost_of.get(worker, 0)
        self._lost_of[worker] = unanswered
        self._lost.inc(lost)
        return lost

    def record_death(self, cause: str) -> None:
        """A worker's process has ended by itself; `cause` is one of a few words."""
        _DEATHS.labels(*self._labels, cause).inc()


def count_as(worker: int) -> None:
    """Continue to count in the files of the worker with this number. Called in a new process."""
    global _process
    _process = str(worker)


def _count_unanswered(worker: int) -> int:
    """Requests that processes of this number have received and not answered, according to their file of counters."""
    path = Path(os.environ[_FOLDER], f"counter_{worker}.db")
    if not path.exists():  # it ended before it counted anything
        return 0
    signs = {_RECEIVED_NAME: 1, _ANSWERED_NAME: -1}
    counts = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
    unanswered: float = sum(value * signs.get(json.loads(key)[1], 0) for key, value, _, _ in counts)
    return round(unanswered)


class AllWorkers(Collector):
    """All workers' metrics, and the exemplars of response times that they have written."""

    def collect(self) -> Iterator[Metric]:
        collector = MultiProcessCollector(CollectorRegistry())  # type: ignore[no-untyped-call]
        exemplars = read_exemplars(Path(os.environ[_FOLDER]))
        for metric in collector.collect():  # type: ignore[no-untyped-call]
            if metric.name == DURATION_NAME:
                metric.samples = [add_exemplar(sample, exemplars) for sample in metric.samples]
            yield metric
