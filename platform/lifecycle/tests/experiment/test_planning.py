"""The figures of a plan, against the textbook's formula and by hand. test_error_rates.py proves that plans hold."""

from __future__ import annotations

import math

import pytest

from lifecycle.experiment.planning import Plan, PlanError, plan
from support.experiment_simulation import experiment


def make(
    kind: str = "binary",
    percent: float = 50,
    users_per_day: float = 1000,
    mean: float | None = 0.1,
    deviation: float | None = None,
    **criteria: object,
) -> Plan:
    of = experiment(kind, window=7, **{"minimum_effect": 0.02, **criteria})
    of = of.model_copy(update={"challenger_percent": percent})
    assert of.criteria is not None
    return plan(of, of.criteria, users_per_day, mean, deviation)


def test_the_fixed_size_is_the_textbooks() -> None:
    """J. L. Fleiss et al., Statistical Methods for Rates and Proportions (2003): 3,841 per group of 0.10 and 0.12."""
    assert make().fixed.users == pytest.approx(2 * 3841, rel=0.005)


def test_looking_at_any_time_needs_more_users_at_worst_but_not_in_half_of_all_experiments() -> None:
    found = make()
    assert found.fixed.users < found.sequential.users < 2.5 * found.fixed.users
    assert found.half.users < 1.6 * found.fixed.users


def test_days_are_those_until_the_last_users_window_has_closed() -> None:
    found = make()
    assert found.sequential.days == found.sequential.users / 1000 + 7
    assert found.fits
    assert not make(users_per_day=100).fits


def test_an_even_split_is_the_shortest() -> None:
    even, uneven = make(percent=50), make(percent=10)
    assert uneven.fixed.users / even.fixed.users == pytest.approx(0.25 / 0.09, rel=0.1)
    assert uneven.sequential.users > 2 * even.sequential.users


def test_other_kinds_are_planned_from_their_deviation() -> None:
    expected = 4 * (1.959964 + 0.841621) ** 2 * 3**2 / 0.2**2
    found = make("continuous", mean=None, deviation=3, minimum_effect=0.2)
    assert found.fixed.users == pytest.approx(expected, rel=1e-3)
    expected = 4 * (1.959964 + 0.841621) ** 2 * 0.5**2 / math.log(0.95) ** 2
    found = make("latency", mean=None, deviation=0.5, minimum_effect=0.05)
    assert found.fixed.users == pytest.approx(expected, rel=1e-3)


def test_plans_have_at_least_the_minimum_users() -> None:
    assert make("continuous", percent=10, mean=None, deviation=0.1, minimum_effect=5).fixed.users == 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"users_per_day": 0}, "--users-per-day is 0: it must be above 0"),
        ({"users_per_day": math.nan}, "--users-per-day is nan"),
        ({"percent": 0}, "challenger_percent is 0: only one variant would have users"),
        ({"mean": None}, "The outcome converted is binary: pass the champion's share of ones, between 0 and 1"),
        ({"mean": 1.5}, "The outcome converted is binary"),
        ({"mean": 0.99}, "the challenger's share of ones would be 1.01; lower the minimum effect"),
        ({"mean": 0.01, "better": "lower"}, "the challenger's share of ones would be -0.01"),
        ({"kind": "continuous"}, "The outcome converted is continuous: pass its standard deviation over users"),
        ({"kind": "latency", "deviation": -1}, "The outcome latency is latency: pass its standard deviation"),
    ],
)
def test_an_impossible_plan_has_a_clear_message(changes: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError) as error:
        make(**changes)  # type: ignore[arg-type]
    assert message in str(error.value)
