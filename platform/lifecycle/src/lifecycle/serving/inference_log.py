"""The inference log: one CloudEvent per prediction, sent in batches by a thread of its own.

A request only puts its event into a bounded queue. What a full queue, a full disk or a dead sink loses is counted
and said once in the log; it never fails or delays a request.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md (section 4: batches)
"""

from __future__ import annotations

import hashlib
import hmac
import os
import queue
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson

from lifecycle.serving.logs import LOGGER
from lifecycle.serving.metrics import Metrics
from lifecycle.serving.model import Model, Outputs
from lifecycle.serving.settings import Settings
from lifecycle.serving.table import Row

EVENT_TYPE = "dev.groundwork.inference"
_MOST_QUEUED = 10_000  # events
_MOST_SENT = 500  # events in one batch
_TRIES = 3
_PAUSE = 0.5  # seconds after a failure; doubled at the next
_PATIENCE = 5.0  # seconds that a sink may take


@dataclass(frozen=True)
class Prediction:
    """What a request got; `seconds` from its arrival, `at` in Unix time."""

    request_id: str
    at: float
    seconds: float
    rows: Sequence[Row]
    outputs: Outputs
    user_id: str | None


class Sink(Protocol):
    def send(self, events: Sequence[bytes]) -> None:
        """Deliver all, in order. Raises OSError or httpx.HTTPError when they did not all arrive."""


class InferenceLog:
    """Started with the worker; `offer` never blocks and never raises."""

    def __init__(self, model: Model, settings: Settings, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics
        self._key = settings.user_id_key.get_secret_value().encode()
        self._sink: Sink = FileSink(settings.log_file) if settings.log_file else HttpSink(settings.inference_log_sink)
        self._queue: queue.Queue[Prediction | None] = queue.Queue(_MOST_QUEUED)
        self._well = True
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="inference-log", daemon=True)
        self._thread.start()

    def offer(self, prediction: Prediction) -> None:
        try:
            self._queue.put_nowait(prediction)
        except queue.Full:
            self._lost(1, "its queue is full: the sink is slower than the requests")

    def close(self, seconds: float) -> None:
        """Send what is left, for at most so long."""
        self._closing.set()
        try:
            self._queue.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _deliver(self) -> None:
        """The thread's life."""
        while (batch := self._next()) is not None:
            events = [self._event(prediction) for prediction in batch]
            problem = self._send(events)
            if problem:
                self._lost(len(events), problem)
                continue
            self._metrics.logged(len(events))
            if not self._well:
                self._well = True
                LOGGER.warning("the inference log is written again")

    def _next(self) -> list[Prediction] | None:
        """The next batch: whatever waits. None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < _MOST_SENT and not self._queue.empty():
            following = self._queue.get()
            if following is None:
                self._queue.put(None)  # the end, for the next time
                break
            batch.append(following)
        return batch

    def _send(self, events: Sequence[bytes]) -> str:
        """Send, and try again for a while. Returns what is wrong, or nothing."""
        problem = ""
        for attempt in range(_TRIES):
            try:
                self._sink.send(events)
            except (OSError, httpx.HTTPError) as error:
                problem = f"{type(error).__name__}: {error}"
                if isinstance(error, OSError) or self._closing.wait(_PAUSE * 2**attempt):
                    break
            else:
                return ""
        return problem

    def _lost(self, events: int, problem: str) -> None:
        self._metrics.dropped(events)
        if self._well:
            self._well = False
            LOGGER.error("the inference log loses events; predictions go on", extra={"problem": problem})

    def _event(self, prediction: Prediction) -> bytes:
        table = self._model.table
        data: dict[str, Any] = {
            "request_id": prediction.request_id,
            "model": self._model.name,
            "model_version": self._model.version,
            "latency_ms": round(prediction.seconds * 1000, 3),
            "inputs": [table.described(row) for row in prediction.rows],
            "outputs": {name: values.tolist() for name, values in prediction.outputs.items()},
        }
        if prediction.user_id is not None and self._key:
            data["user"] = hmac.new(self._key, prediction.user_id.encode(), hashlib.sha256).hexdigest()
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),  # a client may use its request id twice
            "source": f"/models/{self._model.name}/versions/{self._model.version}",
            "type": EVENT_TYPE,
            "time": datetime.fromtimestamp(prediction.at, UTC).isoformat(),
            "datacontenttype": "application/json",
            "data": data,
        }
        return orjson.dumps(event)


class FileSink:
    """A file of JSON lines, that several workers append to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torn = False

    def send(self, events: Sequence[bytes]) -> None:
        lines = (b"\n" if self._torn else b"") + b"\n".join(events) + b"\n"
        # One write of all lines, so that those of other workers do not come between.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            written = os.write(file, lines)
        finally:
            os.close(file)
        self._torn = written < len(lines)  # a line is cut off: the next starts anew
        if self._torn:
            raise OSError(f"only {written} of {len(lines)} bytes went into {self._path}")


class HttpSink:
    """A receiver of CloudEvents in batched content mode."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(timeout=_PATIENCE, headers={"content-type": "application/cloudevents-batch+json"})
        self._url = url

    def send(self, events: Sequence[bytes]) -> None:
        self._client.post(self._url, content=b"[" + b",".join(events) + b"]").raise_for_status()
