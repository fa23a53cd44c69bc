"""Simulated windows for error rates: correlated numbers of several shapes, and one category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lifecycle.core.reference_profile import ColumnProfile, profile_table
from lifecycle.drift import comparison
from lifecycle.drift.comparison import Limits, WindowCounts
from lifecycle.drift.report import ColumnResult

COLUMNS = 31


class Simulation:
    """A reference, and windows of the same distribution or of one that is shifted in its first column."""

    def __init__(self, seed: int, reference_rows: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._profiles: list[tuple[str, ColumnProfile]] = list(profile_table(self.draw(reference_rows, 0)).items())

    def draws_alarm(self, limits: Limits, rows: int, shift: float) -> bool:
        """Whether a new window raises an alarm."""
        columns, _ = comparison.decide(self.compare(rows, shift), None, limits)
        return any(column.has_drifted for column in columns)

    def compare(self, rows: int, shift: float) -> Sequence[ColumnResult]:
        window = self.draw(rows, shift)
        return [
            comparison.compare(name, "input", profile, count(profile, window[name].to_numpy(float)))
            for name, profile in self._profiles
        ]

    def draw(self, rows: int, shift: float) -> pd.DataFrame:
        """Ten normal columns, ten lognormal, ten rounded to few values; each three correlate by 0.5. And a class."""
        common = np.repeat(self._generator.normal(size=(rows, 10)), 3, axis=1)
        normal = np.sqrt(0.5) * (common + self._generator.normal(size=(rows, 30)))
        normal[:, 0] += shift
        normal[:, 10:20] = np.exp(normal[:, 10:20])
        normal[:, 20:] = np.round(normal[:, 20:], 1) + 0.05
        table = pd.DataFrame(normal, columns=[f"x{number}" for number in range(30)])
        return table.assign(predict=self._generator.choice([0, 1, 2], rows, p=[0.6, 0.37, 0.03]))


def count(profile: ColumnProfile, values: np.ndarray) -> WindowCounts:
    """The counts of the query, computed with NumPy."""
    if profile.kind == "category":
        places = {value: place for place, value in enumerate(profile.categories)}
        bins = np.array([places.get(value, len(places)) for value in values])
    else:
        bins = np.clip(np.floor(values * profile.scale) - profile.first + 1, 0, profile.bins - 1).astype(int)
    counts, totals = (np.bincount(bins, weights=weights, minlength=profile.bins) for weights in (None, values))
    return WindowCounts(counts[None, :].astype(float), np.zeros(1), totals)
