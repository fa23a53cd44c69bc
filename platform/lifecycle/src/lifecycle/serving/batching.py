"""Predictions, off the event loop: one thread predicts, and takes along whatever waits when it becomes free.

While the thread is busy requests gather by themselves; when it is free they wait for company only as long as `Pace`
finds it worth it. So a lone request never waits, and a crowd shares its calls.
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

from lifecycle.serving.metrics import Metrics
from lifecycle.serving.model import Model, Outputs
from lifecycle.serving.pace import Pace
from lifecycle.serving.refusals import Refusal
from lifecycle.serving.settings import Settings
from lifecycle.serving.table import Row


class PredictError(Exception):
    """The model raised; the cause is the model's own exception."""


@dataclass(eq=False)
class _Waiting:
    """A request until its answer."""

    rows: Sequence[Row]
    answer: asyncio.Future[Outputs]
    since: float
    expiry: asyncio.TimerHandle = field(init=False)


@dataclass
class _Call:
    """One predict call, for one or more requests; `outcomes` stand in their order."""

    requests: Sequence[_Waiting]
    seconds: float = 0.0
    outcomes: list[Outputs | BaseException] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(len(request.rows) for request in self.requests)


class Batcher:
    """The way to the model, for one event loop.

    `on_stuck` is called when a call has run for twice the timeout: its requests are long answered, and nothing can
    stop a thread, so the process should be replaced.
    """

    def __init__(self, model: Model, settings: Settings, metrics: Metrics, on_stuck: Callable[[], None]) -> None:
        self._model = model
        self._metrics = metrics
        self._most_rows = settings.max_batch_size if settings.feature_micro_batching else 1
        self._timeout = settings.inference_timeout
        self._most_waiting = settings.max_queue
        self._on_stuck = on_stuck
        self._pace = Pace()
        self._queue: deque[_Waiting] = deque()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._running: _Call | None = None
        self._free_since = 0.0
        self._abandoned = False
        self._stuck: asyncio.TimerHandle | None = None
        self._wake: asyncio.Handle | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._predict_calls, name="predict", daemon=True)
        self._thread.start()

    def submit(self, rows: Sequence[Row]) -> asyncio.Future[Outputs]:
        """The future predictions for these rows.

        Raises Refusal when too many requests wait. The future raises Refusal when the time is up, PredictError when
        the model raises.
        """
        if self._abandoned:
            raise _replaced()
        if len(self._queue) >= self._most_waiting:
            message = f"{len(self._queue)} requests are waiting already, which is this worker's limit (MAX_QUEUE)"
            raise Refusal(503, message, "overload", retry_after=self._backlog())
        now = time.monotonic()
        request = _Waiting(rows, self._loop.create_future(), now)
        request.expiry = self._loop.call_later(self._timeout, self._expire, request)
        self._pace.arrived(now)
        self._queue.append(request)
        if self._running is None:
            self._rest()
        return request.answer

    def close(self) -> None:
        self._calls.put(None)

    def abandon(self) -> None:
        """Send everyone who waits, and whoever still comes, to another worker."""
        self._abandoned = True
        while self._queue:
            _fail(self._queue.popleft(), _replaced())

    def _rest(self) -> None:
        """Start the next call when waiting for company is not worth it any more, or never was.

        Even then what the loop is reading right now is let in. The thread never idles for longer than `longest`
        while somebody waits.
        """
        if self._wake is not None:
            self._wake.cancel()
        seconds = 0.0
        if len(self._queue) < self._most_rows:
            idle = time.monotonic() - max(self._queue[0].since, self._free_since)
            seconds = min(self._pace.patience(len(self._queue)), self._pace.longest - idle)
        self._wake = self._loop.call_later(seconds, self._start) if seconds > 0 else self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._wake = None
        if self._running is not None or not self._queue:
            return
        self._running = call = _Call(self._take())
        self._stuck = self._loop.call_later(2 * self._timeout, self._on_stuck)
        self._calls.put(call)

    def _take(self) -> list[_Waiting]:
        taken = [self._queue.popleft()]
        room = self._most_rows - len(taken[0].rows)
        while self._queue and len(self._queue[0].rows) <= room:
            taken.append(self._queue.popleft())
            room -= len(taken[-1].rows)
        return taken

    def _predict_calls(self) -> None:
        """The thread's life."""
        while (call := self._calls.get()) is not None:
            started = time.perf_counter()
            call.outcomes = self._outcomes(call.requests)
            call.seconds = time.perf_counter() - started
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._finish, call)

    def _outcomes(self, requests: Sequence[_Waiting]) -> list[Outputs | BaseException]:
        """One predict call for all; if that fails, one for each, so that only the guilty one does."""
        try:
            outputs = self._model.predict([row for request in requests for row in request.rows])
        except Exception as error:  # the model's own code
            if len(requests) == 1:
                return [error]
            return [outcome for request in requests for outcome in self._outcomes([request])]
        return _split(outputs, requests)

    def _finish(self, call: _Call) -> None:
        self._running = None
        self._free_since = time.monotonic()
        if self._stuck is not None:
            self._stuck.cancel()
        self._pace.took(call.rows, call.seconds)
        if self._queue:
            self._rest()
        self._metrics.predicted(call.rows, call.seconds)
        for request, outcome in zip(call.requests, call.outcomes, strict=True):
            if isinstance(outcome, Refusal):
                _fail(request, outcome)
            elif isinstance(outcome, BaseException):
                error = PredictError()
                error.__cause__ = outcome
                _fail(request, error)
            elif not request.answer.done():
                request.expiry.cancel()
                request.answer.set_result(outcome)

    def _expire(self, request: _Waiting) -> None:
        with contextlib.suppress(ValueError):  # it is being predicted
            self._queue.remove(request)
        message = f"no prediction within {self._timeout:g} seconds (INFERENCE_TIMEOUT)"
        _fail(request, Refusal(504, message, "timeout", retry_after=self._backlog()))

    def _backlog(self) -> int:
        """Whole seconds until what waits now has probably been predicted."""
        calls = 1 + len(self._queue) // self._most_rows
        return max(1, math.ceil(calls * self._pace.fixed))


def _replaced() -> Refusal:
    return Refusal(503, "this worker is being replaced; another one answers", "overload", retry_after=1)


def _fail(request: _Waiting, error: Exception) -> None:
    request.expiry.cancel()
    if not request.answer.done():  # its client may have left
        request.answer.set_exception(error)


def _split(outputs: Outputs, requests: Sequence[_Waiting]) -> list[Outputs | BaseException]:
    if len(requests) == 1:
        return [outputs]
    parts: list[Outputs | BaseException] = []
    start = 0
    for request in requests:
        end = start + len(request.rows)
        parts.append({name: values[start:end] for name, values in outputs.items()})
        start = end
    return parts
