"""The event of drift, to which others such as retraining react: a CloudEvent in JSON.

Its ID derives from model version and window, so receivers recognise an event that is sent twice by a repeated job.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx
from pydantic import SecretStr
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from lifecycle.core import LifecycleError
from lifecycle.core.event_sink import find_sink_file
from lifecycle.core.names import DRIFT_EVENT
from lifecycle.drift.report import DriftReport

_ATTEMPTS = 3
_TIMEOUT = 10.0  # seconds


class EventSink(Protocol):
    def send(self, event: dict[str, Any]) -> None:
        """Deliver an event. Raises LifecycleError if that fails."""


def describe(report: DriftReport, report_uri: str) -> dict[str, Any]:
    """The event of a report. `data.columns` has the drifted columns, `data.accuracy_dropped` whether accuracy has."""
    window = f"{report.model}/{report.version}/{report.end}"
    return {
        "specversion": "1.0",
        "id": hashlib.sha256(window.encode()).hexdigest()[:32],
        "source": f"/models/{report.model}/versions/{report.version}",
        "type": DRIFT_EVENT,
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "model": report.model,
            "model_version": report.version,
            "window": {"start": report.start, "end": report.end, "rows": report.rows},
            "columns": [f"{column.role}/{column.name}" for column in report.columns if column.has_drifted],
            "accuracy_dropped": report.accuracy is not None and report.accuracy.has_dropped,
            "reasons": list(report.reasons),
            "report": report_uri,
        },
    }


def open_sink(uri: str, token: SecretStr | None = None) -> EventSink:
    """The sink at `http(s)://...`, whose receiver may require a token, or `file:///...`."""
    file = find_sink_file(uri)
    return HttpSink(uri, token) if file is None else FileSink(file)


class FileSink:
    """A file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, event: dict[str, Any]) -> None:
        line = json.dumps(event).encode() + b"\n"
        try:
            with self._path.open("ab") as file:
                file.write(line)
                os.fsync(file.fileno())
        except OSError as error:
            raise LifecycleError(f"The event cannot be written to DRIFT_EVENT_SINK {self._path}: {error}.") from None


class HttpSink:
    """A receiver of CloudEvents in structured content mode."""

    def __init__(self, url: str, token: SecretStr | None = None) -> None:
        self._url = url
        self._headers = {"content-type": "application/cloudevents+json"}
        if token is not None:
            self._headers["authorization"] = f"Bearer {token.get_secret_value()}"

    def send(self, event: dict[str, Any]) -> None:
        retrying = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=0.5),
            retry=retry_if_exception_type(httpx.HTTPError),
            reraise=True,
        )
        try:
            retrying(self._post, json.dumps(event))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # An address may contain a token.
            raise LifecycleError(
                f"The receiver at DRIFT_EVENT_SINK did not accept the event ({type(error).__name__}). Start it, or "
                "correct its address."
            ) from None

    def _post(self, content: str) -> None:
        httpx.post(self._url, content=content, headers=self._headers, timeout=_TIMEOUT).raise_for_status()
