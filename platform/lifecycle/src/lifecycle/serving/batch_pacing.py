"""When to wait for one more request: moving averages of recent traffic, and the rule that uses them."""

from __future__ import annotations

import math

_NEWEST_WEIGHT = 0.1  # weight of the newest observation in a moving average
_MAX_WAIT = 0.02  # seconds; a burst is over by then, and one slow call must not make every request wait


class BatchPacing:
    """Moving averages of the time between arrivals, and of the cost of a predict call by its rows.

    A call of n rows takes `fixed + n * per_row` seconds; both are fitted over recent calls. A model whose cost is all
    per row gains nothing from batching: its `fixed` is near zero, so no request waits.
    """

    def __init__(self) -> None:
        self._last_arrival: float | None = None
        self._gap = math.inf
        self._rows = self._seconds = self._rows_squared = self._product = 0.0
        self._total_weight = 0.0

    def record_arrival(self, now: float) -> None:
        """A request arrived at `now`, in a clock's seconds."""
        if self._last_arrival is not None:
            # A longer pause also means that waiting does not pay, but must not dominate the average.
            gap = min(now - self._last_arrival, 2 * self.fixed or math.inf)
            self._gap = gap if self._gap == math.inf else self._gap + _NEWEST_WEIGHT * (gap - self._gap)
        self._last_arrival = now

    def record_call(self, rows: int, seconds: float) -> None:
        """A predict call of `rows` took `seconds`."""
        self._total_weight += _NEWEST_WEIGHT * (1 - self._total_weight)
        self._rows += _NEWEST_WEIGHT * (rows - self._rows)
        self._seconds += _NEWEST_WEIGHT * (seconds - self._seconds)
        self._rows_squared += _NEWEST_WEIGHT * (rows * rows - self._rows_squared)
        self._product += _NEWEST_WEIGHT * (rows * seconds - self._product)

    @property
    def fixed(self) -> float:
        """Seconds of a call that do not depend on its rows; all seconds as long as all calls had equally many rows."""
        if self._total_weight == 0:
            return 0.0
        rows, seconds = self._rows / self._total_weight, self._seconds / self._total_weight
        variance = self._rows_squared / self._total_weight - rows * rows
        if variance < 1e-3:
            return seconds
        per_row = max(0.0, (self._product / self._total_weight - rows * seconds) / variance)
        return min(max(0.0, seconds - per_row * rows), seconds)

    @property
    def max_wait(self) -> float:
        """Seconds that the model may be idle while a request waits for others."""
        return min(self.fixed, _MAX_WAIT)

    def wait(self, waiting: int) -> float:
        """Seconds that `waiting` requests should wait for one more; 0 if they should be predicted now.

        Waiting for one gap costs each of them that gap; the new request then needs no call of its own, so the fixed
        part of a call is saved. The wait pays while `waiting * gap < fixed`. A single client's gap is longer than its
        own call, so its requests never wait.
        """
        return 2 * self._gap if waiting * self._gap < self.fixed else 0.0
