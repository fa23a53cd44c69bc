"""Prometheus metrics of continuous training."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

REQUESTS = Counter(
    "groundwork_retraining_requests_total", "Requests for a training run, by trigger and answer.", ["trigger", "answer"]
)
REJECTED = Counter(
    "groundwork_retraining_rejected_total", "Messages that are not valid requests, by reason.", ["reason"]
)
FINISHED = Counter("groundwork_retraining_runs_finished_total", "Training runs that ended, by outcome.", ["outcome"])
FAILURES = Counter(
    "groundwork_retraining_api_failures_total", "Requests and iterations that failed because of the API server."
)
RUNNING = Gauge("groundwork_retraining_runs_active", "Training runs that have not ended.")

# Prometheus sees no increase of a series that begins with 1.
for _outcome in ("retrained", "gate-refused", "training-failed"):
    FINISHED.labels(_outcome)
