"""Metrics of the last analysis of a model, pushed to a Prometheus Pushgateway.

An analysis runs as a job and has ended before Prometheus would scrape it; its result concerns a model, not a machine.
That is what a Pushgateway is for (https://prometheus.io/docs/practices/pushing/). A text file for the node exporter
would need a folder of the node, and stay there when the job runs on another one. The gateway adds the time of the last
push, `push_time_seconds`, by which an alert finds that no analysis succeeds any more.
"""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway

from lifecycle.core import LifecycleError
from lifecycle.drift.report import DriftReport, Outcome

JOB = "groundwork-drift"


def collect(report: DriftReport) -> CollectorRegistry:
    """The report as gauges with the labels `model` and `version`."""
    registry = CollectorRegistry()
    labels = (report.model, report.version)

    def add(name: str, text: str, value: float) -> None:
        Gauge(f"groundwork_drift_{name}", text, ["model", "version"], registry=registry).labels(*labels).set(value)

    add("detected", "1 where the last analysis found drift.", report.outcome == Outcome.DRIFT)
    add("inconclusive", "1 where the last analysis had too few inferences.", report.outcome == Outcome.INCONCLUSIVE)
    add("window_rows", "Inferences in the last analysed window.", report.rows)
    end = datetime.fromisoformat(report.end).timestamp()
    add("window_end_timestamp_seconds", "End of the last analysed window.", end)
    if report.accuracy is not None and report.accuracy.accuracy is not None:
        add("accuracy", "Accuracy over the known outcomes.", report.accuracy.accuracy)
        add("reference_accuracy", "Accuracy over the rows that training held out.", report.accuracy.reference)
        add("accuracy_dropped", "1 where the accuracy is significantly lower.", report.accuracy.has_dropped)
    names = ["model", "version", "role", "column"]
    psi = Gauge("groundwork_drift_psi", "Population stability index of a column.", names, registry=registry)
    drifted = Gauge("groundwork_drift_column", "1 for a column that has drifted.", names, registry=registry)
    for column in report.columns:
        psi.labels(*labels, column.role, column.name).set(column.psi)
        drifted.labels(*labels, column.role, column.name).set(column.has_drifted)
    return registry


def push(report: DriftReport, gateway: str) -> None:
    """Replace the model's metrics at the gateway. Raises LifecycleError when it does not take them."""
    try:
        push_to_gateway(gateway, JOB, collect(report), grouping_key={"model": report.model})
    except OSError as error:  # urllib's errors are
        raise LifecycleError(
            f"The Pushgateway at DRIFT_PUSHGATEWAY {gateway} does not take metrics: {error}. Start it, or correct its "
            "address."
        ) from None
