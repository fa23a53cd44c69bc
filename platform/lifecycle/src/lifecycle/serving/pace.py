"""When to wait for one more request: what a worker has seen of late, and the one rule made of it."""

from __future__ import annotations

import math

_FRESH = 0.1  # weight of the newest observation; the rest is the past
_LONGEST = 0.02  # seconds; a burst is over by then, and one call that hung must not teach everyone to wait


class Pace:
    """Moving averages of the time between arrivals, and of what a predict call costs by its rows.

    A call of n rows takes `fixed + n * each` seconds; both are fitted over recent calls, so that a model whose cost
    is all in its rows, which batching cannot help, has a `fixed` near zero and is never waited for.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._gap = math.inf
        self._rows = self._seconds = self._rows_squared = self._product = 0.0
        self._seen = 0.0

    def arrived(self, now: float) -> None:
        """A request came at `now`, a clock's seconds."""
        if self._last is not None:
            # However long a pause was, it says no more than that nobody is worth waiting for.
            gap = min(now - self._last, 2 * self.fixed or math.inf)
            self._gap = gap if self._gap == math.inf else self._gap + _FRESH * (gap - self._gap)
        self._last = now

    def took(self, rows: int, seconds: float) -> None:
        """A predict call of `rows` took `seconds`."""
        self._seen += _FRESH * (1 - self._seen)
        self._rows += _FRESH * (rows - self._rows)
        self._seconds += _FRESH * (seconds - self._seconds)
        self._rows_squared += _FRESH * (rows * rows - self._rows_squared)
        self._product += _FRESH * (rows * seconds - self._product)

    @property
    def fixed(self) -> float:
        """Seconds of a call that do not depend on its rows; all of them while every call has had as many rows."""
        if self._seen == 0:
            return 0.0
        rows, seconds = self._rows / self._seen, self._seconds / self._seen
        variance = self._rows_squared / self._seen - rows * rows
        if variance < 1e-3:
            return seconds
        each = max(0.0, (self._product / self._seen - rows * seconds) / variance)
        return min(max(0.0, seconds - each * rows), seconds)

    @property
    def longest(self) -> float:
        """Seconds that the model may idle for company while somebody waits."""
        return min(self.fixed, _LONGEST)

    def patience(self, waiting: int) -> float:
        """Seconds that `waiting` requests should wait for one more; 0 when they should go now.

        Waiting one gap costs each of them that gap; the one that comes is spared a call of its own, whose fixed part
        it shares. So the wait is worth it while `waiting * gap < fixed`. A lone client's gap is longer than its own
        call, so it never waits.
        """
        return 2 * self._gap if waiting * self._gap < self.fixed else 0.0
