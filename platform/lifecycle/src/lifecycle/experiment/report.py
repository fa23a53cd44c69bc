"""The report of an analysis, as JSON and as an HTML page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from lifecycle.core import LifecycleError
from lifecycle.experiment import charts
from lifecycle.experiment.analysis import Analysis
from lifecycle.experiment.comparison import Comparison, RatioCheck
from lifecycle.experiment.verdict import format_difference, format_ratio

JSON_NAME, HTML_NAME = "report.json", "report.html"


class ReportError(LifecycleError):
    """The report cannot be written."""


def write(analysis: Analysis, folder: Path) -> list[Path]:
    """Write `report.json` and `report.html`; returns their paths. Raises ReportError."""
    contents = {JSON_NAME: to_json(analysis), HTML_NAME: render_html(analysis)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise ReportError(
            f"The report cannot be written to {folder}: {error.strerror}; pass another --report"
        ) from None
    return [folder / name for name in contents]


def to_json(analysis: Analysis) -> str:
    return json.dumps(to_document(analysis), indent=1, allow_nan=False)


def to_document(analysis: Analysis) -> dict[str, Any]:
    """The content of report.json. Times are in ISO 8601; unknown values are null."""
    findings = analysis.findings
    covariate = analysis.covariate
    return {
        "experiment": analysis.experiment.name,
        "model": analysis.experiment.model,
        "verdict": findings.verdict.action,
        "reasons": list(findings.verdict.reasons),
        "started": None if findings.started is None else format_time(findings.started),
        "until": format_time(analysis.until),
        "users": findings.users,
        "closed_users": findings.closed,
        "criteria": analysis.criteria.model_dump(mode="json"),
        "ratio_checks": [_describe_check(check) for check in findings.checks],
        "comparisons": [_describe_comparison(each) for each in findings.comparisons],
        "history": [
            {**asdict(look), "time": format_time(look.time), "users": _by_variant(look.users)}
            for look in analysis.history
        ],
        "covariate": None if covariate is None else {"users": covariate.users, "late": covariate.late},
        "not_counted": count_dropped(analysis),
    }


def count_dropped(analysis: Analysis) -> Mapping[str, int]:
    """Records that do not count, by reason."""
    joined, aggregation = analysis.aggregation.join, analysis.aggregation
    return {
        "repeated predictions": joined.repeated_predictions,
        "predictions after the analysis's time": aggregation.later_predictions,
        "predictions after the user's window, or after a change of the share": aggregation.other_predictions,
        "repeated outcomes": joined.repeated_outcomes,
        "late outcomes": joined.late_outcomes,
        "outcomes without a prediction": joined.unmatched_outcomes,
        "invalid outcomes": joined.invalid_outcomes,
    }


def render_html(analysis: Analysis) -> str:
    """The page, which loads nothing from elsewhere."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update({"difference": format_difference, "ratio": format_ratio, "seconds": _format_seconds})
    template = environment.from_string(files("lifecycle.experiment").joinpath("report.html").read_text("utf-8"))
    findings = analysis.findings
    threshold = findings.comparisons[0].measure.threshold
    return template.render(
        report=to_document(analysis),
        comparisons=findings.comparisons,
        bars=[charts.draw_bar(each) for each in findings.comparisons],
        curve=charts.draw_history(analysis.history, threshold),
        charts=charts,
        level=analysis.criteria.level,
    )


def format_time(seconds: float) -> str:
    """ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _format_seconds(logarithm: float) -> str:
    return f"{math.exp(logarithm):.4g} s"


def _describe_check(check: RatioCheck) -> Mapping[str, Any]:
    described = {**asdict(check), "is_mismatch": check.is_mismatch}
    described["p_value"] = math.exp(-max(0.0, described.pop("evidence")))
    return described


def _describe_comparison(comparison: Comparison) -> Mapping[str, Any]:
    measure = comparison.measure
    return {
        "name": measure.name,
        "kind": measure.kind,
        "role": measure.role,
        "scale": "logarithm of the ratio" if measure.is_ratio else "difference of means",
        "better": "lower" if measure.is_lower_better else "higher",
        "threshold": measure.threshold,
        "users": _by_variant(comparison.users),
        "means": None if comparison.means is None else _by_variant(comparison.means),
        "difference": None if comparison.means is None else comparison.means[0] - comparison.means[1],
        "fixed": None if comparison.once is None else asdict(comparison.once),
        "sequential": None if comparison.any_time is None else asdict(comparison.any_time),
    }


def _by_variant(pair: tuple[float, float]) -> Mapping[str, float]:
    return {"challenger": pair[0], "champion": pair[1]}
