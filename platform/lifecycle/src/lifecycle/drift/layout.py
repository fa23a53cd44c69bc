"""The folders of inference log, outcomes and reports in the artifact store, and the columns of their tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

# The columns of an inference: an event has one inference per row of its request. Columns of inputs and outputs follow.
EVENT_ID, REQUEST_ID, ROW, TIME, LATENCY, USER = "event_id", "request_id", "row", "time", "latency_ms", "user"
INPUT, OUTPUT = "input_", "output_"  # prefixes of the name of a feature, or of an output
# The further column of an outcome, which also has request ID, row, and the outcome's time.
OUTCOME = "outcome"

# The folder with the last report on each model, regardless of the version: metrics are read from it.
LATEST_REPORTS = "latest-drift"


def log_folder(model: str, version: str) -> str:
    """The inference log of a model version; it has a folder for each day, in UTC, as `2026-11-29`."""
    return f"inference-log/{model}/{version}"


def outcome_folder(model: str) -> str:
    """The outcomes of all versions of a model, in folders by the day on which they became known."""
    return f"outcomes/{model}"


def report_folder(model: str, version: str, end: datetime) -> str:
    """The report on the window that ends at `end`."""
    return f"drift/{model}/{version}/{end.astimezone(UTC):%Y-%m-%dT%H%MZ}"


def latest_report(model: str) -> str:
    """The name of the last report on a model, in `LATEST_REPORTS`."""
    return f"{model}.json"


def rejected_folder(day: date) -> str:
    """The lines that the collector received as events, but that are not valid."""
    return f"rejected-events/{day}"


def days_between(start: datetime, end: datetime) -> Iterator[date]:
    """The days, in UTC, of the times from `start` to before `end`."""
    day, last = start.astimezone(UTC).date(), (end.astimezone(UTC) - timedelta(microseconds=1)).date()
    while day <= last:
        yield day
        day += timedelta(days=1)
