"""Predicts off the event loop: when the thread for predictions becomes free, one call predicts all waiting requests.

While the thread is busy, requests queue up. When it is free, they wait for more only while `BatchPacing` says that it
pays. So a single client never waits, and concurrent clients share predict calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lifecycle.serving.batch_pacing import BatchPacing
from lifecycle.serving.errors import RequestError
from lifecycle.serving.metrics import Metrics
from lifecycle.serving.model import Model, Outputs
from lifecycle.serving.schema import Row
from lifecycle.serving.settings import ServingSettings


class PredictError(Exception):
    """The model raised; the cause is the model's own exception."""


@dataclass(eq=False)
class _Request:
    """A request, until its predictions are available."""

    rows: Sequence[Row]
    predictions: asyncio.Future[Outputs]
    arrived: float
    expiry: asyncio.TimerHandle = field(init=False)


@dataclass
class _Call:
    """One predict call, for one or more requests; `outcomes` are in their order.

    The thread sets `has_returned`. A busy event loop may handle it only after timers that have expired meanwhile.
    """

    requests: Sequence[_Request]
    has_returned: bool = False
    seconds: float = 0.0
    outcomes: list[Outputs | BaseException] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(len(request.rows) for request in self.requests)


class Batcher:
    """Queues requests of one event loop for the model.

    `on_stuck` is called when a call has run for twice the timeout: its requests have timed out, and a thread cannot be
    stopped, so the process should be replaced.
    """

    def __init__(self, model: Model, settings: ServingSettings, metrics: Metrics, on_stuck: Callable[[], None]) -> None:
        self._model = model
        self._metrics = metrics
        self._max_rows = settings.max_batch_size if settings.feature_micro_batching else 1
        self._timeout = settings.inference_timeout
        self._max_queue = settings.max_queue
        self._on_stuck = on_stuck
        self._pacing = BatchPacing()
        self._queue: deque[_Request] = deque()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._running: _Call | None = None
        self._idle_since = 0.0
        self._is_closed = False
        self._stuck: asyncio.TimerHandle | None = None
        self._wake: asyncio.Handle | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run_calls, name="predict", daemon=True)
        self._thread.start()

    def submit(self, rows: Sequence[Row]) -> asyncio.Future[Outputs]:
        """Queue rows; returns their future predictions.

        Raises RequestError if too many requests wait. The future raises RequestError on a timeout, PredictError if the
        model raises.
        """
        if self._is_closed:
            raise _worker_replaced()
        if len(self._queue) >= self._max_queue:
            message = f"{len(self._queue)} requests are waiting, which is this worker's limit (MAX_QUEUE)"
            raise RequestError(503, message, "overload", retry_after=self._estimate_backlog())
        now = time.monotonic()
        request = _Request(rows, self._loop.create_future(), now)
        request.expiry = self._loop.call_later(self._timeout, self._expire, request)
        self._pacing.record_arrival(now)
        self._queue.append(request)
        if self._running is None:
            self._schedule()
        return request.predictions

    def close(self) -> None:
        self._calls.put(None)

    def reject_all(self) -> None:
        """Reject all waiting and all further requests, so that clients retry with another worker."""
        self._is_closed = True
        while self._queue:
            _fail(self._queue.popleft(), _worker_replaced())

    def _schedule(self) -> None:
        """Start the next call as soon as waiting for more requests does not pay.

        Requests that the loop is reading at this moment are included. The thread is never idle for longer than
        `max_wait` while a request waits.
        """
        if self._wake is not None:
            self._wake.cancel()
        seconds = 0.0
        if len(self._queue) < self._max_rows:
            idle = time.monotonic() - max(self._queue[0].arrived, self._idle_since)
            seconds = min(self._pacing.wait(len(self._queue)), self._pacing.max_wait - idle)
        self._wake = self._loop.call_later(seconds, self._start) if seconds > 0 else self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._wake = None
        if self._running is not None or not self._queue:
            return
        self._running = call = _Call(self._next_batch())
        self._stuck = self._loop.call_later(2 * self._timeout, self._report_stuck, call)
        self._calls.put(call)

    def _next_batch(self) -> list[_Request]:
        batch = [self._queue.popleft()]
        capacity = self._max_rows - len(batch[0].rows)
        while self._queue and len(self._queue[0].rows) <= capacity:
            batch.append(self._queue.popleft())
            capacity -= len(batch[-1].rows)
        return batch

    def _run_calls(self) -> None:
        """The thread's target."""
        while (call := self._calls.get()) is not None:
            started = time.perf_counter()
            call.outcomes = self._predict(call.requests)
            call.seconds = time.perf_counter() - started
            call.has_returned = True
            with contextlib.suppress(RuntimeError):  # the loop is closed, so no request waits
                self._loop.call_soon_threadsafe(self._finish, call)

    def _predict(self, requests: Sequence[_Request]) -> list[Outputs | BaseException]:
        """One predict call for all; if it fails, one for each, so that a bad request fails alone."""
        try:
            outputs = self._model.predict([row for request in requests for row in request.rows])
        except Exception as error:  # the model's own code
            if len(requests) == 1:
                return [error]
            return [outcome for request in requests for outcome in self._predict([request])]
        return _split(outputs, requests)

    def _finish(self, call: _Call) -> None:
        self._running = None
        self._idle_since = time.monotonic()
        if self._stuck is not None:
            self._stuck.cancel()
        self._pacing.record_call(call.rows, call.seconds)
        if self._queue:
            self._schedule()
        self._metrics.record_predict_call(call.rows, call.seconds)
        for request, outcome in zip(call.requests, call.outcomes, strict=True):
            if isinstance(outcome, RequestError):
                _fail(request, outcome)
            elif isinstance(outcome, BaseException):
                error = PredictError()
                error.__cause__ = outcome
                _fail(request, error)
            elif not request.predictions.done():
                request.expiry.cancel()
                request.predictions.set_result(outcome)

    def _report_stuck(self, call: _Call) -> None:
        if not call.has_returned:
            self._on_stuck()

    def _expire(self, request: _Request) -> None:
        if self._running is not None and self._running.has_returned and request in self._running.requests:
            return
        with contextlib.suppress(ValueError):  # it is no longer in the queue, but in a call
            self._queue.remove(request)
        message = f"no prediction within {self._timeout:g} seconds (INFERENCE_TIMEOUT)"
        _fail(request, RequestError(504, message, "timeout", retry_after=self._estimate_backlog()))

    def _estimate_backlog(self) -> int:
        """Whole seconds until the requests that wait now are probably predicted."""
        calls = 1 + len(self._queue) // self._max_rows
        return max(1, math.ceil(calls * self._pacing.fixed))


def _worker_replaced() -> RequestError:
    return RequestError(503, "this worker is being replaced; retry", "overload", retry_after=1)


def _fail(request: _Request, error: Exception) -> None:
    request.expiry.cancel()
    if not request.predictions.done():  # its client may have disconnected
        request.predictions.set_exception(error)


def _split(outputs: Outputs, requests: Sequence[_Request]) -> list[Outputs | BaseException]:
    if len(requests) == 1:
        return [outputs]
    parts: list[Outputs | BaseException] = []
    start = 0
    for request in requests:
        end = start + len(request.rows)
        parts.append({name: values[start:end] for name, values in outputs.items()})
        start = end
    return parts
