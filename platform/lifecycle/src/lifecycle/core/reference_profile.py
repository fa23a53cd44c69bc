"""The training reference: how the values of each column were distributed in the data of a model version.

Training writes the profile; the drift analysis compares inferences with it. It has counts per bin and no rows, so it is
small, and contains no personal data except the values of categories.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from lifecycle.core.errors import LifecycleError

MAX_BINS = 256  # for a number, between the reference's quantiles of 0.5% and 99.5%; there are at least half as many
_OUTER = 0.005
MAX_CATEGORIES = 50  # by name; all others are counted together
_MAX_WHOLE_NUMBERS = 20  # with at most so many distinct values, whole numbers are categories: classes, flags, grades
# A reference with times is divided by hour of the week, or of the day, if each part then has at least this many rows.
MIN_SEASON_ROWS = 200
_DIVISIONS = (168, 24)
_SECONDS_PER_HOUR = 3600


class ColumnProfile(BaseModel):
    """The distribution of one column.

    scale       of a number: bins per unit, a power of two, so that all engines compute exactly the same bin
    first       of a number: floor(value * scale) of bin 1; bin 0 has all values below, the last one all above
    means       of a number: the mean of each bin's values; of an empty bin, its lower edge
    deviation   of a number: the standard deviation
    categories  of a category: bin i has the value categories[i], the last one all others
    counts      rows by season and bin; season `hours since 1970 modulo the number of seasons`, which is 1, 24 (hours
                of the day, in UTC) or 168 (hours of the week)
    missing     rows without a value, by season
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["number", "category"]
    scale: float = 1.0
    first: int = 0
    means: tuple[float, ...] = ()
    deviation: float = 0.0
    categories: tuple[float | str, ...] = ()
    counts: tuple[tuple[int, ...], ...] = Field(min_length=1)
    missing: tuple[int, ...] = Field(min_length=1)

    @property
    def seasons(self) -> int:
        return len(self.counts)

    @property
    def bins(self) -> int:
        return len(self.counts[0])

    @property
    def is_text(self) -> bool:
        """Whether values are strings; all others are numbers, with 1 and 0 for booleans."""
        return any(isinstance(value, str) for value in self.categories)


class AccuracyProfile(BaseModel):
    """How many of the held-out rows were predicted correctly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(ge=1)
    correct: int = Field(ge=0)


class ReferenceProfile(BaseModel):
    """The reference of a model version: its inputs and its outputs by name, and its accuracy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    inputs: Mapping[str, ColumnProfile] = Field(min_length=1)
    outputs: Mapping[str, ColumnProfile] = Field(min_length=1)
    accuracy: AccuracyProfile | None = None


def profile_table(table: pd.DataFrame, times: pd.Series[pd.Timestamp] | None = None) -> dict[str, ColumnProfile]:
    """The profile of each column; `times`, in UTC, one per row, is for data with seasons. Raises LifecycleError."""
    return {str(name): profile_column(table[name], times) for name in table.columns}


def profile_column(column: pd.Series, times: pd.Series[pd.Timestamp] | None = None) -> ColumnProfile:
    """The profile of one column: numbers, booleans or strings.

    Raises LifecycleError for other types, infinite numbers, and a column without any value.
    """
    values = column.dropna()
    if values.empty:
        raise LifecycleError(f"Column {column.name} has no values, so there is nothing to compare with. Leave it out.")
    hours = _hours(column, times)
    seasons = _choose_division(hours)
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        numbers = values.astype(float)
        if not np.isfinite(numbers).all():
            raise LifecycleError(f"Column {column.name} has infinite values. Correct the data.")
        if _is_category(numbers):
            return _profile_categories(numbers, column, hours % seasons, seasons)
        return _profile_numbers(numbers, column, hours % seasons, seasons)
    if all(isinstance(value, str) for value in values):
        return _profile_categories(values, column, hours % seasons, seasons)
    raise LifecycleError(
        f"Column {column.name} has type {column.dtype}, whose values cannot be compared. "
        "Make it a number, a boolean or a string, or leave it out."
    )


def _hours(column: pd.Series, times: pd.Series[pd.Timestamp] | None) -> pd.Series[int]:
    """Hours since 1970 of each row; zero without times."""
    if times is None:
        return pd.Series(0, index=column.index)
    return (times - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=_SECONDS_PER_HOUR)


def _choose_division(hours: pd.Series[int]) -> int:
    for seasons in _DIVISIONS:
        if np.bincount(hours % seasons, minlength=seasons).min() >= MIN_SEASON_ROWS:
            return seasons
    return 1


def _is_category(numbers: pd.Series[float]) -> bool:
    distinct = numbers.unique()
    return len(distinct) <= _MAX_WHOLE_NUMBERS and bool((distinct == np.floor(distinct)).all())


def _profile_numbers(
    numbers: pd.Series[float], column: pd.Series, season: pd.Series[int], seasons: int
) -> ColumnProfile:
    low, high = np.quantile(numbers, [_OUTER, 1 - _OUTER])
    span = (high - low) or (numbers.max() - numbers.min()) or max(abs(low), 1.0)
    scale = 2.0 ** math.floor(math.log2(MAX_BINS / span))
    first, size = math.floor(low * scale), math.floor(high * scale) - math.floor(low * scale) + 3
    bins = np.clip(np.floor(numbers * scale) - first + 1, 0, size - 1).astype(int).to_numpy()
    rows, totals = (np.bincount(bins, weights=each, minlength=size) for each in (None, numbers))
    lower_edges = (first - 1 + np.arange(size)) / scale
    return ColumnProfile(
        kind="number",
        scale=scale,
        first=first,
        means=tuple(np.where(rows > 0, totals / np.maximum(rows, 1), lower_edges).tolist()),
        deviation=float(numbers.std(ddof=0)),
        counts=_count(bins, season[numbers.index], seasons, size),
        missing=_count_missing(column, season, seasons),
    )


def _profile_categories(values: pd.Series, column: pd.Series, season: pd.Series[int], seasons: int) -> ColumnProfile:
    categories = list(values.value_counts().index[:MAX_CATEGORIES])
    bins = values.map({value: number for number, value in enumerate(categories)}).fillna(len(categories)).astype(int)
    return ColumnProfile(
        kind="category",
        categories=tuple(categories),
        counts=_count(bins.to_numpy(), season[values.index], seasons, len(categories) + 1),
        missing=_count_missing(column, season, seasons),
    )


def _count(bins: np.ndarray, season: pd.Series[int], seasons: int, size: int) -> tuple[tuple[int, ...], ...]:
    counts = np.bincount(season.to_numpy() * size + bins, minlength=seasons * size).reshape(seasons, size)
    return tuple(map(tuple, counts.tolist()))


def _count_missing(column: pd.Series, season: pd.Series[int], seasons: int) -> tuple[int, ...]:
    return tuple(np.bincount(season[column.isna()], minlength=seasons).tolist())
