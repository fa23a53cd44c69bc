"""Predictions and outcomes are joined by request ID; records that do not count are reported by number."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from lifecycle.experiment.records import Result
from lifecycle.experiment.results import Join, Joined, join
from support.experiment import TIME, outcome, prediction

DAY = 24 * 3600.0
WINDOW = 7 * DAY


def counts(joined: Join) -> tuple[int, int, int, int]:
    return (
        joined.repeated_predictions,
        joined.repeated_outcomes,
        joined.late_outcomes,
        joined.unmatched_outcomes,
    )


def values(row: Joined) -> dict[str, float]:
    return {name: outcome.value for name, outcome in row.outcomes.items()}


def test_outcomes_are_joined_in_any_stored_order() -> None:
    results: list[Result] = [
        prediction("r1"),
        outcome("r1"),
        outcome("r1", name="revenue", value=9.5),
        prediction("r2"),
    ]
    for order in itertools.permutations(results):
        joined = join(order, WINDOW)
        found = {row.prediction.request_id: values(row) for row in joined.rows}
        assert found == {"r1": {"converted": 1.0, "revenue": 9.5}, "r2": {}}, "the second is still missing"
        assert counts(joined) == (0, 0, 0, 0)


def test_the_first_of_two_records_counts() -> None:
    results = [outcome(at=TIME + 20, value=0), outcome(at=TIME + 10, value=1), prediction(), prediction(at=TIME + 5)]
    joined = join(results, WINDOW)
    (row,) = joined.rows
    assert (row.prediction.time, values(row)) == (TIME, {"converted": 1.0})
    assert counts(joined) == (1, 1, 0, 0)


def test_an_outcome_days_late_counts_until_the_window_ends() -> None:
    results = [prediction("r1"), outcome("r1", at=TIME + WINDOW), prediction("r2"), outcome("r2", at=TIME + WINDOW + 1)]
    joined = join(results, WINDOW)
    assert [values(row) for row in joined.rows] == [{"converted": 1.0}, {}]
    assert counts(joined) == (0, 0, 1, 0)


def test_an_outcome_without_a_prediction_does_not_count() -> None:
    joined = join([outcome("unknown"), prediction("r1")], WINDOW)
    assert [values(row) for row in joined.rows] == [{}]
    assert counts(joined) == (0, 0, 0, 1)


def test_an_outcome_counts_though_another_routers_clock_is_behind() -> None:
    joined = join([prediction("r1"), outcome("r1", at=TIME - 30)], WINDOW)
    assert values(joined.rows[0]) == {"converted": 1.0}
    assert counts(joined) == (0, 0, 0, 0)


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "1"])
def test_an_outcome_that_is_not_finite_neither_counts_nor_hides_a_later_one(value: object) -> None:
    """As a store may hold it: JSON has null for NaN. The router refuses it."""
    broken = dataclasses.replace(outcome("r1", at=TIME + 1), value=value)  # type: ignore[arg-type]
    joined = join([prediction("r1"), broken, outcome("r1", at=TIME + 2)], WINDOW)
    assert values(joined.rows[0]) == {"converted": 1.0}
    assert (joined.invalid_outcomes, counts(joined)) == (1, (0, 0, 0, 0))


def test_without_results_there_are_no_rows() -> None:
    assert join([], WINDOW) == Join([], 0, 0, 0, 0, 0)
