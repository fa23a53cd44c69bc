"""Dashboards of serving models: requests, errors and durations by version, and their remaining error budgets."""

from __future__ import annotations

from observability.dashboards.layout import Board, Graph, Number, Row, Variable
from observability.slos import BURN_RATES, OBJECTIVES, PREDICTIONS, Objective

_MODEL = 'model=~"$model", version=~"$version"'
_PREDICTIONS = f"{PREDICTIONS}, {_MODEL}"
_BY_VERSION = "by (model, version)"
_VERSION = "{{model}} {{version}}"


def _quantile(share: float, metric: str, labels: str) -> str:
    rates = f"sum by (model, version, le) (rate({metric}_bucket{{{labels}}}[$__rate_interval]))"
    return f"histogram_quantile({share}, {rates})"


SERVING = Board(
    "model-serving",
    "Model serving",
    "Requests, errors and durations of each model and version: while one is rolled out, champion and challenger",
    [
        Row(
            "Requests, errors, durations",
            [
                Graph(
                    "Predictions",
                    "reqps",
                    {
                        _VERSION: f"sum {_BY_VERSION} "
                        f"(rate(groundwork_requests_total{{{_PREDICTIONS}}}[$__rate_interval]))"
                    },
                ),
                Graph(
                    "Share of failed predictions",
                    "percentunit",
                    {
                        _VERSION: f"sum {_BY_VERSION} "
                        f'(rate(groundwork_requests_total{{{_PREDICTIONS}, status=~"5.."}}[$__rate_interval]))'
                        f" / sum {_BY_VERSION} (rate(groundwork_requests_total{{{_PREDICTIONS}}}[$__rate_interval]))"
                    },
                    "Responses with a status 5xx. A rollout stops at 5 %",
                ),
                Graph(
                    "Response times",
                    "s",
                    {
                        f"p50 {_VERSION}": _quantile(0.5, "groundwork_request_seconds", _PREDICTIONS),
                        f"p95 {_VERSION}": _quantile(0.95, "groundwork_request_seconds", _PREDICTIONS),
                        f"p99 {_VERSION}": _quantile(0.99, "groundwork_request_seconds", _PREDICTIONS),
                    },
                    "A rollout stops at a p95 of 2 s",
                    has_exemplars=True,
                ),
            ],
        ),
        Row(
            "Champion and challenger",
            [
                Graph(
                    "Share of a model's predictions",
                    "percentunit",
                    {
                        _VERSION: f"sum {_BY_VERSION} "
                        f"(rate(groundwork_requests_total{{{_PREDICTIONS}}}[$__rate_interval]))"
                        " / on (model) group_left () sum by (model) "
                        f"(rate(groundwork_requests_total{{{_PREDICTIONS}}}[$__rate_interval]))"
                    },
                ),
                Graph(
                    "p95 of one predict call",
                    "s",
                    {_VERSION: _quantile(0.95, "groundwork_predict_seconds", _MODEL)},
                ),
                Graph(
                    "Rows of one predict call",
                    "short",
                    {
                        _VERSION: f"sum {_BY_VERSION} (rate(groundwork_batch_rows_sum{{{_MODEL}}}[$__rate_interval]))"
                        f" / sum {_BY_VERSION} (rate(groundwork_batch_rows_count{{{_MODEL}}}[$__rate_interval]))"
                    },
                    "Requests that arrive together are predicted together",
                ),
            ],
        ),
        Row(
            "Servers",
            [
                Graph(
                    "Workers that accept requests",
                    "short",
                    {_VERSION: f"sum {_BY_VERSION} (groundwork_ready_workers{{{_MODEL}}})"},
                ),
                Graph(
                    "Refused requests, by reason",
                    "reqps",
                    {
                        "{{model}} {{reason}}": "sum by (model, reason) "
                        f"(rate(groundwork_refusals_total{{{_MODEL}}}[$__rate_interval]))"
                    },
                ),
                Graph(
                    "Inference log",
                    "eps",
                    {
                        "logged {{model}}": "sum by (model) "
                        f"(rate(groundwork_inference_log_events_total{{{_MODEL}}}[$__rate_interval]))",
                        "lost {{model}}": "sum by (model) "
                        f"(rate(groundwork_inference_log_dropped_total{{{_MODEL}}}[$__rate_interval]))",
                    },
                ),
            ],
        ),
    ],
    [Variable("model", "groundwork_requests_total"), Variable("version", "groundwork_requests_total")],
)

_SLO = 'model=~"$model"'


def _number_left(objective: Objective) -> Number:
    query = f'min(model:groundwork_slo_budget:remaining30d{{{_SLO}, slo="{objective.name}"}})'
    return Number(f"Least left of a budget of {objective.name}", "percentunit", query)


def _graph_burn_rate(objective: Objective) -> Graph:
    def divide(window: str) -> str:
        errors = f'model:groundwork_slo_errors:ratio_rate{window}{{{_SLO}, slo="{objective.name}"}}'
        return f"{errors} / {objective.budget}"

    queries = {f"{rate.long} {{{{model}}}}": divide(rate.long) for rate in BURN_RATES}
    limits = ", ".join(f"{rate.factor:g} over {rate.long}" for rate in BURN_RATES)
    return Graph(f"Burn rate of {objective.name}", "short", queries, f"Alerts at {limits}")


SLO = Board(
    "slo",
    "Service level objectives",
    "; ".join(f"{one.target:.1%} of a model's predictions do not {one.means}" for one in OBJECTIVES) + ", over 30 days",
    [
        Row("Error budgets", [_number_left(one) for one in OBJECTIVES]),
        Row(
            "Left of the budget, and how fast it is used up",
            [
                Graph(
                    "Left of the error budget",
                    "percentunit",
                    {"{{model}} {{slo}}": f"model:groundwork_slo_budget:remaining30d{{{_SLO}}}"},
                ),
                *(_graph_burn_rate(one) for one in OBJECTIVES),
            ],
        ),
    ],
    [Variable("model", "groundwork_requests_total")],
    hours=72,
)
