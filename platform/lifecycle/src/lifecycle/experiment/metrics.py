"""Prometheus metrics of the router and the writer. A process changes only some of them; the others stay 0."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

# Metrics of the router. The label `experiment` is empty for requests without one.
REQUESTS = Counter(
    "groundwork_experiment_requests_total",
    "Requests answered, by assigned variant, and by the role that answered.",
    ["experiment", "variant", "served_by", "status"],
)
SECONDS = Histogram(
    "groundwork_experiment_request_seconds",
    "Time from a request's arrival to its response.",
    ["experiment", "variant"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30),
)
FALLBACKS = Counter(
    "groundwork_experiment_fallbacks_total",
    "Requests that the champion answered because the challenger failed or was slow.",
    ["experiment", "reason"],
)
UNASSIGNED = Counter(
    "groundwork_experiment_unassigned_total",
    "Requests without a usable user ID, which the champion answered outside of the experiment.",
    ["experiment", "reason"],
)
REFUSALS = Counter(
    "groundwork_experiment_refusals_total",
    "Requests refused before they were read: headers that are too large, too slow or malformed, too many connections.",
    ["reason"],
)
OUTCOMES = Counter("groundwork_experiment_outcomes_total", "Outcomes received.", ["experiment", "result"])
DEFINITIONS_VALID = Gauge(
    "groundwork_experiment_definitions_valid", "1 if the current experiments' file is in force, 0 if it is invalid."
)

# Metrics of the router and the writer.
LOST = Counter(
    "groundwork_experiment_lost_records_total", "Records that were lost before they were stored.", ["kind", "reason"]
)

# Metrics of the writer.
WRITTEN = Counter(
    "groundwork_experiment_written_records_total", "Records that have been written to the store.", ["kind"]
)
WRITE_FAILURES = Counter(
    "groundwork_experiment_write_failures_total", "Writes that failed and are repeated.", ["reason"]
)
SPOOL_RECORDS = Gauge("groundwork_experiment_spool_records", "Records that wait in the spool.")
SPOOL_BYTES = Gauge("groundwork_experiment_spool_bytes", "Bytes of the spool that are in use.")
SPOOL_AGE = Gauge("groundwork_experiment_spool_age_seconds", "How long the oldest record in the spool has waited.")
