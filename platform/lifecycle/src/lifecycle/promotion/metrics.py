"""Prometheus metrics of promotion. A process changes only some of them; the others stay 0."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DELIVERIES = Counter("groundwork_promotion_deliveries_total", "Webhook deliveries answered.", ["outcome"])
EVENTS = Counter("groundwork_promotion_events_total", "Events finished.", ["outcome"])
RETRIES = Counter("groundwork_promotion_retries_total", "Attempts that failed and are repeated.")
RECONCILIATION_FAILURES = Counter(
    "groundwork_promotion_reconciliation_failures_total", "Attempts to reconcile webhook and inbox that failed."
)
WAITING_EVENTS = Gauge("groundwork_promotion_waiting_events", "Events in the inbox that are not finished.")
# A promotion takes as long as its gate, which loads the model.
DURATION = Histogram(
    "groundwork_promotion_seconds",
    "Time from an event's arrival to its end.",
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800),
)
