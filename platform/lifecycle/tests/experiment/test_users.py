"""Which records of a user count, and how requests become one value: with records as the router writes them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from lifecycle.experiment.measures import find_measures
from lifecycle.experiment.records import Result
from lifecycle.experiment.users import Aggregation, aggregate
from lifecycle.gitops.experiments import DAY, Experiment
from support.experiment import TIME, outcome, prediction
from support.experiment_simulation import experiment

NOW = TIME + 30 * DAY
WEEK = experiment(window=7)


def collect(results: Sequence[Result], of: Experiment = WEEK, until: float = NOW) -> Aggregation:
    assert of.criteria is not None
    return aggregate(results, of, find_measures(of, of.criteria), until)


def values(results: Sequence[Result], of: Experiment = WEEK, until: float = NOW) -> dict[str, float]:
    """The one user's."""
    users = collect(results, of, until).users
    assert len(users) == 1
    return {name: float(array[0]) for name, array in users.values.items()}


def test_a_user_is_one_row_for_any_order_of_the_records() -> None:
    results: list[Result] = [
        prediction("r1", seconds=0.1),
        prediction("r2", TIME + 60, seconds=0.4, status=503),
        prediction("r3", TIME + 120, seconds=0.2, fallback="timeout", served_by="champion"),
        outcome("r1", value=1),
        outcome("r2", value=0),
    ]
    for order in itertools.permutations(results):
        found = values(order)
        assert found["converted"] == 0.5, "predictions without an outcome do not count"
        assert math.exp(found["latency"]) == pytest.approx(0.2), "the geometric mean"
        assert (found["errors"], found["fallbacks"]) == pytest.approx((1 / 3, 1 / 3))


def test_a_user_of_many_requests_counts_once() -> None:
    results: list[Result] = []
    for number in range(1000):
        results += [prediction(f"h{number}", TIME + number, user="heavy"), outcome(f"h{number}", value=1)]
    for user in range(10):
        results += [prediction(f"l{user}", user=f"light-{user}", variant="champion"), outcome(f"l{user}", value=0)]
    users = collect(results).users
    assert len(users) == 11
    assert sorted(users.values["converted"]) == [0] * 10 + [1]
    assert users.is_challenger.sum() == 1


def test_records_from_after_the_users_window_do_not_count() -> None:
    results: list[Result] = [
        prediction("r1"),
        outcome("r1", TIME + 6 * DAY, value=1),
        prediction("r2", TIME + 7 * DAY),
        outcome("r2", TIME + 7 * DAY + 1, value=0),
        prediction("r3", TIME + 7 * DAY + 1),
        outcome("r3", TIME + 7 * DAY + 2, value=0),
    ]
    assert values(results)["converted"] == 1.0, "r2's outcome is within its window, and not within the user's"
    found = collect(results)
    assert found.users.closed.tolist() == [TIME + 7 * DAY]
    assert found.other_predictions == 1


def test_an_outcome_counts_within_its_window_only() -> None:
    short = experiment(window=7).model_copy(update={"outcome_window_days": 1})
    results: list[Result] = [prediction("r1"), outcome("r1", TIME + DAY + 1)]
    assert math.isnan(values(results, short)["converted"])
    assert collect(results, short).join.late_outcomes == 1
    assert values(results)["converted"] == 1.0


def test_a_value_does_not_change_after_the_users_window_has_closed() -> None:
    """So that early and late users are compared on equal terms."""
    results: list[Result] = []
    for number in range(40):
        results += [
            prediction(f"r{number}", TIME + number * DAY / 2),
            outcome(f"r{number}", TIME + number * DAY / 2 + 60),
        ]
    closed = [values(results, until=TIME + days * DAY) for days in (7, 8, 20)]
    assert closed[0] == closed[1] == closed[2]


def test_users_are_in_the_stratum_of_the_share_at_which_they_entered() -> None:
    """A ramp from 10 to 50 % moves a user from the champion to the challenger; later records do not count."""
    results: list[Result] = [
        prediction("a1", user="a", variant="champion", share=1000),
        prediction("a2", TIME + DAY, user="a", variant="challenger", share=5000, status=503),
        prediction("a3", TIME + 2 * DAY, user="a", variant="champion", share=1000, status=503),
        prediction("b1", TIME + DAY, user="b", variant="challenger", share=5000),
    ]
    found = collect(results)
    assert dict(zip(found.users.names, found.users.share.tolist(), strict=True)) == {"a": 1000, "b": 5000}
    assert dict(zip(found.users.names, found.users.is_challenger.tolist(), strict=True)) == {"a": False, "b": True}
    assert found.users.values["errors"].tolist() == [0, 0]
    assert found.other_predictions == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, None, 0.5, 2.0])
def test_an_outcome_that_is_not_of_its_kind_does_not_count(value: float) -> None:
    broken = dataclasses.replace(outcome("r1"), value=value)
    assert math.isnan(values([prediction("r1"), broken])["converted"])
    assert values([prediction("r1"), broken, prediction("r2"), outcome("r2", value=0)])["converted"] == 0


def test_an_outcome_without_an_assignment_adds_no_user() -> None:
    found = collect([outcome("unknown"), prediction("r1")])
    assert len(found.users) == 1
    assert found.join.unmatched_outcomes == 1


def test_the_first_of_two_reported_outcomes_counts() -> None:
    results = [prediction("r1"), outcome("r1", TIME + 20, value=0), outcome("r1", TIME + 10, value=1)]
    assert values(results)["converted"] == 1
    assert collect(results).join.repeated_outcomes == 1


def test_records_from_the_future_do_not_count_yet() -> None:
    results: list[Result] = [prediction("r1"), prediction("r2", NOW + 60, user="late"), outcome("r1", NOW + 60)]
    found = collect(results)
    assert (len(found.users), found.later_predictions) == (1, 1)
    assert math.isnan(found.users.values["converted"][0])


def test_different_clocks_shift_users_of_both_variants_but_no_values() -> None:
    """A router's clock is five minutes ahead; it serves half of the requests, of all users."""
    exact: list[Result] = []
    shifted: list[Result] = []
    for number, ahead in itertools.product(range(20), (0, 300)):
        at, name = TIME + number * 3600, f"r{number}-{ahead}"
        fields = {"user": f"u{number}", "variant": ("champion", "challenger")[number % 2]}
        for results, time in ((exact, at), (shifted, at + ahead)):
            results += [prediction(name, time, **fields), outcome(name, time + 30, value=number % 3 == 0)]
    first, second = collect(exact).users, collect(shifted).users
    assert first.names == second.names
    assert np.array_equal(first.values["converted"], second.values["converted"])
    assert np.array_equal(first.is_challenger, second.is_challenger)


def test_seconds_of_zero_have_a_logarithm_too() -> None:
    assert math.isfinite(values([prediction("r1", seconds=0.0)])["latency"])


def test_without_results_there_are_no_users() -> None:
    found = collect([])
    assert len(found.users) == 0
    assert len(found.users.select(found.users.closed <= NOW)) == 0
