"""Dashboards of feedback from serving: experiments, and drift of the data on which models predict."""

from __future__ import annotations

from observability.dashboards.layout import Board, Graph, Number, Row, Variable

_EXPERIMENT = 'experiment!=""'

EXPERIMENTS = Board(
    "experiments",
    "Experiments",
    "What the router of experiments answers, and whether what it records arrives. Verdicts are in MLflow",
    [
        Row(
            "Now",
            [
                Number(
                    "Routers that use the experiments' file as it is",
                    "short",
                    'sum(groundwork_experiment_definitions_valid{container="router"})',
                ),
                Number("Longest wait of a record", "s", "max(groundwork_experiment_spool_age_seconds)"),
                Number(
                    "Records lost in the last day",
                    "short",
                    "sum(increase(groundwork_experiment_lost_records_total[1d]))",
                ),
            ],
        ),
        Row(
            "Requests by assigned variant",
            [
                Graph(
                    "Requests",
                    "reqps",
                    {
                        "{{experiment}} {{variant}}": "sum by (experiment, variant) "
                        f"(rate(groundwork_experiment_requests_total{{{_EXPERIMENT}}}[$__rate_interval]))"
                    },
                ),
                Graph(
                    "Share of failed requests",
                    "percentunit",
                    {
                        "{{experiment}} {{variant}}": "sum by (experiment, variant) "
                        f'(rate(groundwork_experiment_requests_total{{{_EXPERIMENT}, status=~"5.."}}'
                        "[$__rate_interval])) / sum by (experiment, variant) "
                        f"(rate(groundwork_experiment_requests_total{{{_EXPERIMENT}}}[$__rate_interval]))"
                    },
                ),
                Graph(
                    "p95 of response times",
                    "s",
                    {
                        "{{experiment}} {{variant}}": "histogram_quantile(0.95, sum by (experiment, variant, le) "
                        f"(rate(groundwork_experiment_request_seconds_bucket{{{_EXPERIMENT}}}[$__rate_interval])))"
                    },
                    has_exemplars=True,
                ),
            ],
        ),
        Row(
            "Outside of what was assigned",
            [
                Graph(
                    "Answered by the champion in the challenger's place, by reason",
                    "reqps",
                    {
                        "{{experiment}} {{reason}}": "sum by (experiment, reason) "
                        "(rate(groundwork_experiment_fallbacks_total[$__rate_interval]))"
                    },
                ),
                Graph(
                    "Requests without a usable user, by reason",
                    "reqps",
                    {
                        "{{experiment}} {{reason}}": "sum by (experiment, reason) "
                        "(rate(groundwork_experiment_unassigned_total[$__rate_interval]))"
                    },
                ),
                Graph(
                    "Outcomes received, by result",
                    "short",
                    {
                        "{{experiment}} {{result}}": "sum by (experiment, result) "
                        "(increase(groundwork_experiment_outcomes_total[1h]))"
                    },
                ),
            ],
        ),
        Row(
            "Records on their way to the store",
            [
                Graph(
                    "Wait of the oldest",
                    "s",
                    {"{{pod}}": "max by (pod) (groundwork_experiment_spool_age_seconds)"},
                    "An alert fires at 15 minutes: verdicts are made without what waits",
                ),
                Graph(
                    "Records that wait",
                    "short",
                    {"{{pod}}": "max by (pod) (groundwork_experiment_spool_records)"},
                ),
                Graph(
                    "Writes that failed, by reason",
                    "short",
                    {"{{reason}}": "sum by (reason) (increase(groundwork_experiment_write_failures_total[1h]))"},
                ),
            ],
        ),
    ],
    hours=24,
)

_MODEL = 'model=~"$model"'
_VERSION = "{{model}} {{version}}"


def _gauge(title: str, unit: str, metric: str, description: str = "") -> Graph:
    """A graph of the last report's figure for each version."""
    query = f"max by (model, version) (groundwork_drift_{metric}{{{_MODEL}}})"
    return Graph(title, unit, {_VERSION: query}, description)


DRIFT = Board(
    "drift",
    "Drift",
    "What models predict on, compared with what they were trained on, by the last check of each; and the inference log",
    [
        Row(
            "What the checks found",
            [
                _gauge("Versions whose data have drifted", "short", "detected"),
                Graph(
                    "Population stability index of columns",
                    "short",
                    {
                        "{{model}} {{version}} {{column}}": "max by (model, version, column) "
                        f"(groundwork_drift_psi{{{_MODEL}}})"
                    },
                ),
                Graph(
                    "Accuracy, and where training held rows out",
                    "percentunit",
                    {
                        f"{_VERSION} now": f"max by (model, version) (groundwork_drift_accuracy{{{_MODEL}}})",
                        f"{_VERSION} in training": "max by (model, version) "
                        f"(groundwork_drift_reference_accuracy{{{_MODEL}}})",
                    },
                ),
            ],
        ),
        Row(
            "The checks",
            [
                Graph(
                    "Age of the last checked window",
                    "s",
                    {
                        "{{model}}": "time() - max by (model) "
                        f"(groundwork_drift_window_end_timestamp_seconds{{{_MODEL}}})"
                    },
                    "A check is due each night; an alert fires at 30 hours",
                ),
                _gauge("Inferences in it", "short", "window_rows"),
                _gauge("Versions with too few", "short", "inconclusive"),
            ],
        ),
        Row(
            "The inference log",
            [
                Graph(
                    "Events by result",
                    "eps",
                    {"{{result}}": "sum by (result) (rate(groundwork_drift_collected_events_total[$__rate_interval]))"},
                ),
                Graph("Waiting for the store", "bytes", {"waiting": "sum(groundwork_drift_waiting_bytes)"}),
                Graph(
                    "Writes that failed, and lines that are not events",
                    "short",
                    {
                        "writes": "sum(increase(groundwork_drift_store_failures_total[30m]))",
                        "lines": "sum(increase(groundwork_drift_rejected_events_total[30m]))",
                    },
                    "An alert fires at three failed writes in half an hour",
                ),
            ],
        ),
    ],
    [Variable("model", "groundwork_drift_psi")],
    hours=72,
)
