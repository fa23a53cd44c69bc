"""Compares counts of a window with the training reference, column by column, and decides what has drifted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lifecycle.core.reference_profile import AccuracyProfile, ColumnProfile
from lifecycle.drift import statistics
from lifecycle.drift.errors import InputError
from lifecycle.drift.report import AccuracyResult, ColumnResult
from lifecycle.drift.statistics import Sample

MIN_OUTCOMES = 100  # known outcomes below which the accuracy is not evaluated


@dataclass(frozen=True)
class Limits:
    """What counts as drift: a difference that is significant, and not small.

    false_alarm_rate   maximum probability that anything is significant although nothing has drifted
    min_psi            of a column
    min_accuracy_drop  below the reference
    """

    false_alarm_rate: float
    min_psi: float
    min_accuracy_drop: float


@dataclass(frozen=True)
class WindowCounts:
    """A column's rows in the window.

    counts   by season and bin
    missing  by season
    totals   the sum of the values, by bin
    """

    counts: NDArray[np.float64]
    missing: NDArray[np.float64]
    totals: NDArray[np.float64]

    @property
    def rows(self) -> int:
        return int(self.counts.sum() + self.missing.sum())


def arrange(counted: pd.DataFrame, profile: ColumnProfile) -> WindowCounts:
    """The rows of `queries.count_bins` for one column, as arrays."""
    counts, missing = np.zeros((profile.seasons, profile.bins)), np.zeros(profile.seasons)
    totals = np.zeros(profile.bins)
    is_missing = counted["bin"].isna()
    np.add.at(missing, counted["season"][is_missing].astype(int), counted["rows"][is_missing])
    valued = counted[~is_missing]
    season, place = valued["season"].astype(int), valued["bin"].astype(int)
    np.add.at(counts, (season, place), valued["rows"])
    if not profile.is_text:
        np.add.at(totals, place, valued["total"].astype(float))
    return WindowCounts(counts, missing, totals)


def check(column: str, profile: ColumnProfile, window: WindowCounts) -> None:
    """Raises InputError for values that inferences of this model cannot have."""
    if not np.isfinite(window.totals).all():
        raise InputError(
            f"The column {column} of the inference log has NaN or infinite values, which serving never accepts. Find "
            "out which program wrote them, and remove its files."
        )
    missing = int(window.missing.sum())
    if missing == window.rows:
        raise InputError(f"The column {column} of the inference log has no values at all in this window.")
    if missing and not sum(profile.missing):
        raise InputError(
            f"The column {column} of the inference log lacks a value in {missing} of {window.rows} rows, but never in "
            "the training data: the schema has changed."
        )


def compare(name: str, role: str, profile: ColumnProfile, window: WindowCounts) -> ColumnResult:
    """The comparison of one column, not yet adjusted for the others."""
    by_season = window.counts.sum(axis=1) + window.missing
    reference = statistics.weigh_seasons(np.array(profile.counts, float), np.array(profile.missing, float), by_season)
    sample = Sample.of(window.counts.sum(axis=0), float(window.missing.sum()))
    distance: float | None = None
    wasserstein: float | None = None
    if profile.kind == "number":
        test, groups, labels = "kolmogorov-smirnov", *_group_numbers(profile, reference)
        distance, p_value = statistics.kolmogorov_smirnov(reference, sample)
        wasserstein = _wasserstein(profile, reference, sample, window.totals)
        if reference.missing or sample.missing:
            p_value = min(1.0, 2 * min(p_value, _compare_missing(reference, sample)))
    else:
        test, groups = "chi-square", np.arange(profile.bins)
        labels = [*(f"{value:g}" if isinstance(value, float) else value for value in profile.categories), "others"]
        by_category, in_window = (np.append(each.counts, each.missing) for each in (reference, sample))
        p_value = statistics.chi_square(by_category, in_window, reference.rows)
    return ColumnResult(
        name=name,
        role=role,
        test=test,
        missing_share=sample.missing_share,
        psi=statistics.psi(reference, sample, groups),
        distance=distance,
        wasserstein=wasserstein,
        p_value=p_value,
        adjusted_p_value=p_value,
        has_drifted=False,
        labels=labels,
        reference_shares=np.bincount(groups, weights=reference.shares).round(6).tolist(),
        window_shares=np.bincount(groups, weights=sample.shares).round(6).tolist(),
    )


def compare_accuracy(reference: AccuracyProfile, rows: int, correct: int, reused: int) -> AccuracyResult:
    """The comparison of the accuracy, not yet adjusted; without a p-value if too few outcomes are known."""
    p_value = None
    if rows >= MIN_OUTCOMES:
        p_value = statistics.lower_share((reference.correct, reference.rows), (correct, rows))
    return AccuracyResult(rows, correct, reused, reference.correct / reference.rows, p_value, p_value, False)


def decide(
    columns: Sequence[ColumnResult], accuracy: AccuracyResult | None, limits: Limits
) -> tuple[list[ColumnResult], AccuracyResult | None]:
    """Adjust all tests together, and mark the differences that are significant and beyond their limits."""
    has_accuracy = accuracy is not None and accuracy.p_value is not None
    p_values = [column.p_value for column in columns]
    if accuracy is not None and accuracy.p_value is not None:
        p_values.append(accuracy.p_value)
    adjusted = statistics.adjust(p_values)
    decided = [
        replace(
            column,
            adjusted_p_value=value,
            has_drifted=value <= limits.false_alarm_rate and column.psi >= limits.min_psi,
        )
        for column, value in zip(columns, adjusted, strict=False)
    ]
    if accuracy is not None and accuracy.accuracy is not None and has_accuracy:
        drop = accuracy.reference - accuracy.accuracy
        has_dropped = adjusted[-1] <= limits.false_alarm_rate and drop >= limits.min_accuracy_drop
        accuracy = replace(accuracy, adjusted_p_value=adjusted[-1], has_dropped=has_dropped)
    return decided, accuracy


def _group_numbers(profile: ColumnProfile, reference: Sample) -> tuple[NDArray[np.int64], list[str]]:
    """The group of each bin, and the range of each group."""
    groups = statistics.group_bins(reference)
    ends = [(profile.first + int(np.flatnonzero(groups == group)[-1])) / profile.scale for group in range(groups.max())]
    edges = [-math.inf, *ends, math.inf]
    return groups, [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]


def _wasserstein(
    profile: ColumnProfile, reference: Sample, window: Sample, totals: NDArray[np.float64]
) -> float | None:
    if profile.deviation == 0:
        return None
    means = np.array(profile.means)
    window_means = np.where(window.counts > 0, totals / np.maximum(window.counts, 1), means)
    return statistics.wasserstein(reference, window, means, window_means) / profile.deviation


def _compare_missing(reference: Sample, window: Sample) -> float:
    before, now = (np.array([each.counts.sum(), each.missing]) for each in (reference, window))
    return statistics.chi_square(before, now, reference.rows)
