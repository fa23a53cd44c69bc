"""The rules of the models' service level objectives, which are written to platform/alerts/slos.yaml.

An error budget is the share of errors that an objective allows in 30 days; the burn rate is how many times too fast it
is used up. Each alert evaluates a long and a short window, so that it fires soon and stops soon.
Source: https://sre.google/workbook/alerting-on-slos/, "6: Multiwindow, Multi-Burn-Rate Alerts"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rule = Mapping[str, Any]

# Selects predictions of the metrics of lifecycle.serving, which have probes and metadata as endpoints, too.
PREDICTIONS = 'endpoint=~"predict|predict_v1|infer_v2"'
_BY = "by (namespace, model)"
_REQUESTS = "model:groundwork_slo_requests:rate5m"
_ERRORS = "model:groundwork_slo_errors:rate5m"
_RATIO = "model:groundwork_slo_errors:ratio_rate"
_BUDGET = "model:groundwork_slo_budget:remaining"
_PERIOD = "30d"
_RATE_WINDOW = "5m"  # of the recorded rates


@dataclass(frozen=True)
class Objective:
    """The share of a model's predictions that must be good over 30 days.

    name    value of the label `slo`
    title   begins the alert's name
    target  share of good predictions
    errors  PromQL: predictions a second that are not good, by namespace and model
    means   what happens to the others; continues "predictions that"
    """

    name: str
    title: str
    target: float
    errors: str
    means: str

    @property
    def budget(self) -> float:
        """The share that may fail."""
        return round(1 - self.target, 6)


@dataclass(frozen=True)
class BurnRate:
    """A pair of windows, and the burn rate in both at which an alert of this severity fires."""

    long: str
    short: str
    factor: float
    severity: str


_FAILED = (
    f'sum {_BY} (rate(groundwork_requests_total{{{PREDICTIONS}, status=~"5.."}}[5m]))'
    # Before the first failure there is no series of failures.
    f" or 0 * sum {_BY} (rate(groundwork_requests_total{{{PREDICTIONS}}}[5m]))"
)
_SLOW = (
    f"sum {_BY} (rate(groundwork_request_seconds_count{{{PREDICTIONS}}}[5m]))"
    f' - sum {_BY} (rate(groundwork_request_seconds_bucket{{{PREDICTIONS}, le="0.5"}}[5m]))'
)
# The targets are the platform's own decision (docs/observability.md); 0.5 s is a bucket of the histogram.
OBJECTIVES: Sequence[Objective] = (
    Objective("availability", "ModelAvailability", 0.995, _FAILED, "fail"),
    Objective("latency", "ModelLatency", 0.99, _SLOW, "take longer than 0.5 s"),
)
# Table 5-8 there: 2 % and 5 % of the budget page, 10 % make a ticket.
BURN_RATES: Sequence[BurnRate] = (
    BurnRate("1h", "5m", 14.4, "critical"),
    BurnRate("6h", "30m", 6, "critical"),
    BurnRate("1d", "2h", 3, "warning"),
    BurnRate("3d", "6h", 1, "warning"),
)


def build_groups() -> Sequence[Mapping[str, Any]]:
    """Prometheus rule groups: recordings of both objectives, and their alerts."""
    return [
        {"name": "slo-recordings", "rules": [rule for one in OBJECTIVES for rule in _build_recordings(one)]},
        {"name": "slo-alerts", "rules": [rule for one in OBJECTIVES for rule in _build_alerts(one)]},
    ]


def _build_recordings(objective: Objective) -> Iterator[Rule]:
    labels = {"slo": objective.name}
    requests = f"sum {_BY} (rate(groundwork_requests_total{{{PREDICTIONS}}}[5m]))"
    yield {"record": _REQUESTS, "expr": requests, "labels": labels}
    yield {"record": _ERRORS, "expr": objective.errors, "labels": labels}
    windows = dict.fromkeys(window for rate in BURN_RATES for window in (rate.short, rate.long))
    for window in windows:
        yield {"record": f"{_RATIO}{window}", "expr": _divide(objective, window), "labels": labels}
    left = f"1 - ({_divide(objective, _PERIOD)}) / {objective.budget}"
    yield {"record": f"{_BUDGET}{_PERIOD}", "expr": left, "labels": labels}


def _divide(objective: Objective, window: str) -> str:
    """The share of errors in a window, from recorded rates, because a month of the raw series is slow to read."""
    selector = f'{{slo="{objective.name}"}}'
    if window == _RATE_WINDOW:
        return f"{_ERRORS}{selector} / {_REQUESTS}{selector}"
    return f"sum_over_time({_ERRORS}{selector}[{window}]) / sum_over_time({_REQUESTS}{selector}[{window}])"


def _build_alerts(objective: Objective) -> Iterator[Rule]:
    for severity in dict.fromkeys(rate.severity for rate in BURN_RATES):
        rates = [rate for rate in BURN_RATES if rate.severity == severity]
        name = f"{objective.title}BudgetBurn"
        longest = rates[-1].long
        yield {
            "alert": name,
            "expr": "\nor\n".join(_exceed(objective, rate) for rate in rates),
            "labels": {"severity": severity, "owner": "model-owner"},
            "annotations": {
                "summary": f"{{{{ $labels.model }}}} uses up its error budget of {objective.name}",
                "description": f"{{{{ $value | humanizePercentage }}}} of the predictions of {{{{ $labels.model }}}} "
                f"{objective.means}; over 30 days {objective.budget:.1%} may. Looked at: up to {longest}.",
                "dashboard": "/d/slo?var-model={{ $labels.model }}",
                "runbook": f"platform/runbooks/{name}.md",
            },
        }


def _exceed(objective: Objective, rate: BurnRate) -> str:
    limit = f"{rate.factor} * {objective.budget}"
    long, short = (f'{_RATIO}{window}{{slo="{objective.name}"}} > {limit}' for window in (rate.long, rate.short))
    return f"({long} and {short})"
