"""The inference log: one CloudEvent per prediction, sent in batches by a dedicated thread.

A request only puts its event into a queue, which is bounded in events and in bytes. Events lost to a full queue, a full
disk or an unavailable sink are counted, and logged once; they never fail or delay a request.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md (section 4: batches)
"""

from __future__ import annotations

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
from tenacity import (
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
)

from lifecycle.core.http_requests import pseudonym
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.metrics import Metrics
from lifecycle.serving.model import Model, Outputs
from lifecycle.serving.schema import InputSchema, Row
from lifecycle.serving.settings import ServingSettings

EVENT_TYPE = "dev.groundwork.inference"
_MAX_QUEUE = 10_000  # events
_MAX_QUEUE_BYTES = 32 << 20  # of one worker, in memory, with the batch that is being sent
_MAX_BATCH = 500  # events
_MAX_BATCH_BYTES = 4 << 20  # in memory; a batch is larger by at most one event
_EVENT_BYTES = 2048  # in memory, of an event without its rows and outputs
_MAX_RESPONSE_BYTES = 64 << 10  # read of a sink's response, so that its connection can be reused
_ATTEMPTS = 3
_RETRY_DELAY = 0.5  # seconds; doubled after each attempt
_SINK_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class Prediction:
    """The predictions of a request; `time` in seconds since 1970, `seconds` from the request's arrival."""

    request_id: str
    time: float
    seconds: float
    rows: Sequence[Row]
    outputs: Outputs
    user_id: str | None

    def estimate_bytes(self, schema: InputSchema) -> int:
        """The approximate memory that it takes."""
        return _EVENT_BYTES + schema.estimate_bytes(self.rows) + sum(each.nbytes for each in self.outputs.values())


class Sink(Protocol):
    def send(self, events: Sequence[bytes]) -> None:
        """Deliver all events, in order. Raises OSError or httpx.HTTPError if that fails for any."""


class InferenceLog:
    """Started with the worker; `record` never blocks and never raises."""

    def __init__(self, model: Model, settings: ServingSettings, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics
        self._key = settings.user_id_key.get_secret_value().encode()
        self._sink: Sink = FileSink(settings.log_file) if settings.log_file else HttpSink(settings.inference_log_sink)
        self._queue: queue.Queue[Prediction | None] = queue.Queue(_MAX_QUEUE)
        self._bytes = 0  # of the events in the queue, and in the batch that is being sent
        self._bytes_lock = threading.Lock()
        self._is_healthy = True
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inference-log", daemon=True)
        self._thread.start()

    def record(self, prediction: Prediction) -> None:
        size = prediction.estimate_bytes(self._model.schema)
        if self._bytes + size > _MAX_QUEUE_BYTES:  # only this thread adds to it
            self._record_loss(1, "its queue is full: the sink is slower than the requests")
            return
        try:
            self._queue.put_nowait(prediction)
        except queue.Full:
            self._record_loss(1, "its queue is full: the sink is slower than the requests")
        else:
            self._count_bytes(size)

    def close(self, seconds: float) -> None:
        """Send the queued events, for at most `seconds`."""
        self._closing.set()
        try:
            self._queue.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _run(self) -> None:
        """The thread's target."""
        while (batch := self._next_batch()) is not None:
            self._deliver([self._render(prediction) for prediction in batch])
            self._count_bytes(-sum(prediction.estimate_bytes(self._model.schema) for prediction in batch))

    def _next_batch(self) -> list[Prediction] | None:
        """The queued events, up to the size of a batch; None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        batch, size = [first], first.estimate_bytes(self._model.schema)
        while len(batch) < _MAX_BATCH and size < _MAX_BATCH_BYTES and not self._queue.empty():
            prediction = self._queue.get()
            if prediction is None:
                self._queue.put(None)  # the end, for the next call
                break
            batch.append(prediction)
            size += prediction.estimate_bytes(self._model.schema)
        return batch

    def _deliver(self, events: Sequence[bytes]) -> None:
        try:
            self._send(events)
        except (OSError, httpx.HTTPError) as error:
            self._record_loss(len(events), f"{type(error).__name__}: {error}")
            return
        self._metrics.record_logged(len(events))
        if not self._is_healthy:
            self._is_healthy = True
            LOGGER.warning("the inference log has recovered")

    def _count_bytes(self, size: int) -> None:
        with self._bytes_lock:
            self._bytes += size

    def _send(self, events: Sequence[bytes]) -> None:
        """Send, with retries while an HTTP sink fails and the server does not stop."""
        retrying = Retrying(
            stop=stop_after_attempt(_ATTEMPTS) | stop_when_event_set(self._closing),
            wait=wait_exponential(multiplier=_RETRY_DELAY),
            retry=retry_if_exception_type(httpx.HTTPError),
            sleep=sleep_using_event(self._closing),
            reraise=True,
        )
        retrying(self._sink.send, events)

    def _record_loss(self, events: int, reason: str) -> None:
        self._metrics.record_dropped(events)
        if self._is_healthy:
            self._is_healthy = False
            LOGGER.error("the inference log loses events; predictions continue", extra={"reason": reason})

    def _render(self, prediction: Prediction) -> bytes:
        """The prediction as a CloudEvent."""
        model_version, schema = self._model.model_version, self._model.schema
        data: dict[str, Any] = {
            "request_id": prediction.request_id,
            "model": model_version.model,
            "model_version": model_version.version,
            "latency_ms": round(prediction.seconds * 1000, 3),
            "inputs": [schema.to_mapping(row) for row in prediction.rows],
            "outputs": {name: values.tolist() for name, values in prediction.outputs.items()},
        }
        if prediction.user_id is not None and self._key:
            data["user"] = pseudonym(self._key, prediction.user_id)
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),  # a client may use a request ID twice
            "source": f"/models/{model_version.model}/versions/{model_version.version}",
            "type": EVENT_TYPE,
            "time": datetime.fromtimestamp(prediction.time, UTC).isoformat(),
            "datacontenttype": "application/json",
            "data": data,
        }
        return orjson.dumps(event)


class FileSink:
    """A file of JSON lines, to which several workers append."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._has_partial_line = False

    def send(self, events: Sequence[bytes]) -> None:
        lines = (b"\n" if self._has_partial_line else b"") + b"\n".join(events) + b"\n"
        # One write for all lines, so that they are not interleaved with those of other workers.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            written = os.write(file, lines)
        finally:
            os.close(file)
        self._has_partial_line = written < len(lines)  # the next write starts a new line
        if self._has_partial_line:
            raise OSError(f"only {written} of {len(lines)} bytes were written to {self._path}")


class HttpSink:
    """A receiver of CloudEvents in batched content mode."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(
            timeout=_SINK_TIMEOUT, headers={"content-type": "application/cloudevents-batch+json"}
        )
        self._url = url

    def send(self, events: Sequence[bytes]) -> None:
        content = b"[" + b",".join(events) + b"]"
        with self._client.stream("POST", self._url, content=content) as response:
            response.raise_for_status()
            received = 0
            for chunk in response.iter_raw():
                received += len(chunk)
                if received > _MAX_RESPONSE_BYTES:
                    break  # the connection is closed
