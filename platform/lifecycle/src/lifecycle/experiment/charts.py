"""Coordinates of the report's charts, which its template draws as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.experiment.analysis import Look
from lifecycle.experiment.comparison import Comparison
from lifecycle.experiment.measures import OUTCOME
from lifecycle.experiment.statistics import Interval

WIDTH, HEIGHT = 720.0, 220.0  # of the history, in pixels
ROW_WIDTH = 480.0  # of a comparison
_MARGIN = 0.08  # of the range, left empty on each side
_WIDEST = 5.0  # times the last interval's width: the first ones are so much wider that they would hide all others


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` to 0 to `length`, or in reverse; values outside map to the nearer end."""

    low: float
    high: float
    length: float
    is_upward: bool = False

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        within = min(1.0, max(0.0, part))
        return round(self.length * (1 - within if self.is_upward else within), 1)

    @classmethod
    def around(cls, values: Sequence[float], length: float, *, is_upward: bool = False) -> Scale:
        """A scale on which all values are visible."""
        low, high = min(values), max(values)
        margin = _MARGIN * (high - low) or 1.0
        return cls(low - margin, high + margin, length, is_upward)


@dataclass(frozen=True)
class Bar:
    """A comparison's intervals, as (from, to); `zero` marks no difference, `threshold` the criteria's threshold."""

    zero: float
    threshold: float
    estimate: float
    once: tuple[float, float]
    any_time: tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """The history: points `x,y` of the estimate and the outline of the confidence sequence; heights of the lines."""

    estimate: str
    band: str
    zero: float
    threshold: float
    bottom: float
    top: float


def draw_bar(comparison: Comparison) -> Bar | None:
    """In improvements: to the right is better."""
    improvement, once, any_time = comparison.improvement, comparison.once, comparison.any_time
    if improvement is None or once is None or any_time is None:
        return None
    ranges = [_orient(interval, is_reversed=comparison.measure.is_lower_better) for interval in (once, any_time)]
    threshold = comparison.measure.threshold * (1 if comparison.measure.role == OUTCOME else -1)
    scale = Scale.around([0.0, threshold, improvement, *ranges[0], *ranges[1]], ROW_WIDTH)
    first, second = ((scale(low), scale(high)) for low, high in ranges)
    return Bar(scale(0.0), scale(threshold), scale(improvement), first, second)


def draw_history(history: Sequence[Look], threshold: float) -> Curve | None:
    """The outcome that decides, over time; None with fewer than two looks that found something."""
    points = [
        (look.time, look.improvement, look.low, look.high)
        for look in history
        if look.improvement is not None and look.low is not None and look.high is not None
    ]
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return None
    _, last, low, high = points[-1]
    reach = _WIDEST * (high - low)
    shown = [max(last - reach, min(last + reach, value)) for point in points for value in point[1:]]
    x = Scale(points[0][0], points[-1][0], WIDTH)
    y = Scale.around([0.0, threshold, *shown], HEIGHT, is_upward=True)
    upper = [f"{x(time)},{y(above)}" for time, _, _, above in points]
    lower = [f"{x(time)},{y(below)}" for time, _, below, _ in points]
    middle = [f"{x(time)},{y(estimate)}" for time, estimate, _, _ in points]
    return Curve(" ".join(middle), " ".join([*upper, *reversed(lower)]), y(0.0), y(threshold), y.low, y.high)


def _orient(interval: Interval, *, is_reversed: bool) -> tuple[float, float]:
    return (-interval.high, -interval.low) if is_reversed else (interval.low, interval.high)
