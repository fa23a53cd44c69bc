"""The report of an analysis, as JSON and as an HTML page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

JSON_NAME, HTML_NAME = "report.json", "report.html"


class Outcome(StrEnum):
    """The result of an analysis. If an analysis is not possible, that is an error, not an outcome."""

    DRIFT = "drift"
    NO_DRIFT = "no drift"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class ColumnResult:
    """The comparison of one column.

    role         `input` or `output`
    test         `kolmogorov-smirnov` or `chi-square`
    distance     of the Kolmogorov-Smirnov test, 0 to 1; None for categories
    wasserstein  in standard deviations of the reference; None for categories, and if the reference is constant
    p_value, adjusted_p_value  before and after Holm's adjustment over all tests of the report
    labels, reference_shares, window_shares  for a chart: shares of the rows by group of values
    """

    name: str
    role: str
    test: str
    missing_share: float
    psi: float
    distance: float | None
    wasserstein: float | None
    p_value: float
    adjusted_p_value: float
    has_drifted: bool
    labels: Sequence[str]
    reference_shares: Sequence[float]
    window_shares: Sequence[float]


@dataclass(frozen=True)
class AccuracyResult:
    """The accuracy of the window's predictions whose outcomes are known.

    rows, correct  of the window
    reused         predictions left out because another one has the same request ID
    reference      the accuracy on the rows that training held out
    p_value        of Fisher's exact test that the accuracy is lower; None with too few outcomes
    """

    rows: int
    correct: int
    reused: int
    reference: float
    p_value: float | None
    adjusted_p_value: float | None
    has_dropped: bool

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.rows if self.rows else None


@dataclass(frozen=True)
class DriftReport:
    """The result of an analysis.

    start, end  of the window, in ISO 8601
    run_id      the run that logged the reference
    rows        inferences in the window
    seasons     parts of the week that are compared with the same part of the reference: 168, 24 or 1
    reasons     why the outcome is not `no drift`; one sentence each
    """

    model: str
    version: str
    run_id: str
    start: str
    end: str
    rows: int
    seasons: int
    outcome: Outcome
    reasons: Sequence[str]
    columns: Sequence[ColumnResult]
    accuracy: AccuracyResult | None


def write(report: DriftReport, folder: Path) -> list[Path]:
    """Write the report as `report.json` and `report.html`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {JSON_NAME: json.dumps(asdict(report), indent=1, allow_nan=False), HTML_NAME: render_html(report)}
    for name, content in contents.items():
        (folder / name).write_text(content)
    return [folder / name for name in contents]


def read(content: bytes) -> DriftReport:
    """The report in a `report.json`. Raises ValueError if it is not valid."""
    from pydantic import TypeAdapter

    return TypeAdapter(DriftReport).validate_json(content)


def render_html(report: DriftReport) -> str:
    """The page, which loads nothing from elsewhere. The most drifted columns come first."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("lifecycle.drift").joinpath("report.html").read_text())
    ordered = sorted(report.columns, key=lambda column: (not column.has_drifted, -column.psi))
    return template.render(report=report, columns=ordered)
