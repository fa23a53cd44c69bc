"""The training reference: its bins, how finely it divides time, the columns that it refuses, and its JSON."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lifecycle.core import LifecycleError
from lifecycle.core.reference_profile import MAX_BINS, MIN_SEASON_ROWS, ReferenceProfile, profile_column


def test_bins_of_a_number_are_powers_of_two_wide_and_hold_every_row() -> None:
    values = np.random.default_rng(0).lognormal(0, 2, 5000)
    profile = profile_column(pd.Series(values))
    assert profile.kind == "number"
    assert math.log2(profile.scale).is_integer()
    assert MAX_BINS / 2 <= profile.bins <= MAX_BINS + 3
    assert sum(profile.counts[0]) == 5000
    third = (values * profile.scale >= profile.first + 2) & (values * profile.scale < profile.first + 3)
    assert profile.counts[0][3] == third.sum() > 0


def test_values_outside_of_the_reference_have_bins_of_their_own_even_for_a_constant() -> None:
    profile = profile_column(pd.Series([2.5] * 300))
    occupied = [number for number, rows in enumerate(profile.counts[0]) if rows]
    assert len(occupied) == 1
    assert 0 < occupied[0] < profile.bins - 1


@pytest.mark.parametrize(
    ("values", "categories"),
    [([1, 0, 1], (1.0, 0.0)), ([True, False, True], (1.0, 0.0)), (["b", "a", "b"], ("b", "a"))],
)
def test_few_whole_numbers_booleans_and_strings_are_categories(
    values: list[object], categories: tuple[float | str, ...]
) -> None:
    profile = profile_column(pd.Series(values))
    assert (profile.kind, profile.categories, profile.counts) == ("category", categories, ((2, 1, 0),))


@pytest.mark.parametrize(("per_hour", "seasons"), [(MIN_SEASON_ROWS, 168), (MIN_SEASON_ROWS // 7 + 1, 24), (1, 1)])
def test_time_is_divided_as_finely_as_each_part_keeps_enough_rows(per_hour: int, seasons: int) -> None:
    times = pd.Series(pd.date_range("2026-11-01", periods=168, freq="h", tz="UTC").repeat(per_hour))
    profile = profile_column(pd.Series(np.arange(len(times)) + 0.5), times)
    assert profile.seasons == seasons
    assert sum(map(sum, profile.counts)) == len(times)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([math.nan, math.nan], "has no values"),
        ([1.0, math.inf], "has infinite values"),
        (list(pd.date_range("2026-01-01", periods=3)), "cannot be compared"),
        ([["a"], ["b"]], "cannot be compared"),
    ],
)
def test_a_column_that_cannot_be_compared_is_refused(values: list[object], message: str) -> None:
    with pytest.raises(LifecycleError, match=message):
        profile_column(pd.Series(values, name="x"))


def test_missing_values_are_counted_separately_and_json_is_lossless() -> None:
    inputs = {"x": profile_column(pd.Series([0.1, None, 0.3])), "c": profile_column(pd.Series(["1", None, "b"]))}
    assert [profile.missing for profile in inputs.values()] == [(1,), (1,)]
    reference = ReferenceProfile(inputs=inputs, outputs={"predict": profile_column(pd.Series([0, 1]))})
    assert ReferenceProfile.model_validate_json(reference.model_dump_json()) == reference
