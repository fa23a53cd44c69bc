"""Prometheus metrics of the rollouts that a process watches."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from lifecycle.core.names import Status

RUNNING = Gauge("groundwork_rollouts_running", "Models that are being rolled out.")
FINISHED = Counter("groundwork_rollouts_finished_total", "Rollouts concluded, by the version's status.", ["status"])
FAILURES = Counter(
    "groundwork_rollout_failures_total",
    "Steps that failed and are repeated; the label is empty for all models.",
    ["model"],
)

# Otherwise a process's first rollback would begin a series with 1, which Prometheus does not see as an increase.
for _status in (Status.SERVING, Status.ROLLED_BACK):
    FINISHED.labels(_status)
