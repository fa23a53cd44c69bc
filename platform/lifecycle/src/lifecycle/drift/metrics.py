"""Prometheus metrics of the collector: of its own work, and of the last analysis of each model.

An analysis runs as a job, which ends before Prometheus could scrape it. It writes its report to the store, and the
collector, which always runs, exports the figures of the last report on each model. So they survive a restart of either,
and the age of the window shows when analyses no longer succeed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from prometheus_client import Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lifecycle.drift.report import DriftReport, Outcome

EVENTS = Counter("groundwork_drift_collected_events_total", "Events of serving's requests, by result.", ["result"])
WAITING_BYTES = Gauge("groundwork_drift_waiting_bytes", "Bytes of events that wait for the artifact store.")
ROWS = Counter("groundwork_drift_written_rows_total", "Inferences written to the artifact store.")
REJECTED = Counter("groundwork_drift_rejected_events_total", "Lines that are not inference events.")
STORE_FAILURES = Counter(
    "groundwork_drift_store_failures_total", "Iterations in which a write to the artifact store failed."
)
LAST_TURN = Gauge(
    "groundwork_drift_last_turn_timestamp_seconds", "When the collector last found nothing left to write."
)

_LABELS = ("model", "version")


class ReportMetrics(Collector):
    """Gauges with the labels `model` and `version`, of the latest reports."""

    def __init__(self) -> None:
        self.reports: Sequence[DriftReport] = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        reports = self.reports
        yield _gauge("detected", "1 if the last analysis found drift.", _rate(reports, Outcome.DRIFT))
        yield _gauge("inconclusive", "1 if it had too few inferences.", _rate(reports, Outcome.INCONCLUSIVE))
        yield _gauge("window_rows", "Inferences in the last analysed window.", [(each, each.rows) for each in reports])
        ends = [(each, datetime.fromisoformat(each.end).timestamp()) for each in reports]
        yield _gauge("window_end_timestamp_seconds", "End of the last analysed window.", ends)
        yield from _describe_accuracy(reports)
        yield from _describe_columns(reports)


def _rate(reports: Sequence[DriftReport], outcome: Outcome) -> list[tuple[DriftReport, float]]:
    return [(each, float(each.outcome == outcome)) for each in reports]


def _describe_accuracy(reports: Sequence[DriftReport]) -> Iterator[GaugeMetricFamily]:
    """The gauges of the reports whose outcomes are known."""
    known = [(each, each.accuracy) for each in reports if each.accuracy is not None]
    measured = [(each, found.accuracy) for each, found in known if found.accuracy is not None]
    yield _gauge("accuracy", "Accuracy over the known outcomes.", measured)
    references = [(each, found.reference) for each, found in known]
    yield _gauge("reference_accuracy", "Accuracy over the rows that training held out.", references)
    dropped = [(each, float(found.has_dropped)) for each, found in known]
    yield _gauge("accuracy_dropped", "1 if the accuracy is significantly lower.", dropped)


def _describe_columns(reports: Sequence[DriftReport]) -> Iterator[GaugeMetricFamily]:
    labels = [*_LABELS, "role", "column"]
    psi = GaugeMetricFamily("groundwork_drift_psi", "Population stability index of a column.", labels=labels)
    drifted = GaugeMetricFamily("groundwork_drift_column", "1 for a column that has drifted.", labels=labels)
    for report in reports:
        for column in report.columns:
            values = [report.model, report.version, column.role, column.name]
            psi.add_metric(values, column.psi)
            drifted.add_metric(values, float(column.has_drifted))
    yield from (psi, drifted)


def _gauge(name: str, text: str, values: Sequence[tuple[DriftReport, float]]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"groundwork_drift_{name}", text, labels=_LABELS)
    for report, value in values:
        gauge.add_metric([report.model, report.version], value)
    return gauge
