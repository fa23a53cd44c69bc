"""How many users an experiment needs, and how many days that takes, before it starts.

For a fixed test, which is evaluated once, a formula gives the answer. For the verdict's test, which is evaluated all
the time, a simulation does: it shows after how many users a difference of the minimum effect is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lifecycle.core import LifecycleError
from lifecycle.core.sequential import widen
from lifecycle.experiment.measures import find_measures
from lifecycle.gitops.criteria import LATENCY, Criteria
from lifecycle.gitops.experiments import Experiment

_PATHS, _LOOKS, _SEED = 4000, 400, 20261129
_FARTHEST = 8.0  # times the fixed test's size, at which nearly all paths have been decided


class PlanError(LifecycleError):
    """The experiment cannot be planned with these values."""


@dataclass(frozen=True)
class Duration:
    """Users of both variants, and days from the first to the verdict."""

    users: int
    days: float


@dataclass(frozen=True)
class Plan:
    """What an experiment needs if the challenger is better by the minimum effect.

    fixed       a test that is evaluated once, at the planned power
    sequential  the verdict's test, until it has found the difference with that probability
    half        the same, in half of all experiments
    fits        whether `sequential` is within the maximum duration
    """

    fixed: Duration
    sequential: Duration
    half: Duration
    fits: bool


def plan(
    experiment: Experiment, criteria: Criteria, users_per_day: float, mean: float | None, deviation: float | None
) -> Plan:
    """Plan an experiment.

    users_per_day  new users, of both variants
    mean           for a binary outcome: the champion's share of ones
    deviation      the standard deviation over users; for latency, of the logarithm of the seconds

    Raises PlanError.
    """
    if not (users_per_day > 0 and math.isfinite(users_per_day)):
        raise PlanError(f"--users-per-day is {users_per_day:g}: it must be above 0")
    share = experiment.challenger_percent / 100
    if not 0 < share < 1:
        raise PlanError(
            f"challenger_percent is {experiment.challenger_percent:g}: only one variant would have users; "
            "set 0.01 to 99.99"
        )
    effect = find_measures(experiment, criteria)[0].threshold
    spread = _find_deviation(experiment, criteria, share, mean, deviation)
    one_size = ((stats.norm.isf(criteria.level / 2) + stats.norm.ppf(criteria.power)) * spread / effect) ** 2
    least = criteria.minimum_users / min(share, 1 - share)

    def last(size: float) -> Duration:
        users = math.ceil(max(size / (share * (1 - share)), least))
        return Duration(users, users / users_per_day + experiment.user_window_days)

    first_look = least * share * (1 - share)
    sizes = _simulate(effect / spread, first_look, one_size, criteria.level)
    sequential, half = (last(float(np.quantile(sizes, probability))) for probability in (criteria.power, 0.5))
    return Plan(last(one_size), sequential, half, sequential.days <= criteria.maximum_days)


def _find_deviation(
    experiment: Experiment, criteria: Criteria, share: float, mean: float | None, deviation: float | None
) -> float:
    """The standard deviation, per effective user."""
    kind = experiment.outcomes.get(criteria.outcome, LATENCY)
    if kind != "binary":
        if deviation is None or not (deviation > 0 and math.isfinite(deviation)):
            raise PlanError(
                f"The outcome {criteria.outcome} is {kind}: pass its standard deviation over users, above 0, "
                "with --deviation"
            )
        return deviation
    if mean is None or not 0 < mean < 1:
        raise PlanError(
            f"The outcome {criteria.outcome} is binary: pass the champion's share of ones, between 0 and 1, with --mean"
        )
    better = mean - criteria.minimum_effect if criteria.is_lower_better else mean + criteria.minimum_effect
    if not 0 <= better <= 1:
        raise PlanError(
            f"--mean is {mean:g} and criteria.minimum_effect {criteria.minimum_effect:g}: the challenger's share of "
            f"ones would be {better:g}; lower the minimum effect"
        )
    return math.sqrt((1 - share) * better * (1 - better) + share * mean * (1 - mean))


def _simulate(effect: float, first_look: float, one_size: float, level: float) -> np.ndarray:
    """For each path, the effective users after which the difference is found; infinite if it is not.

    effect  in standard deviations. The weighted difference times the size is a Brownian motion with that drift.
    """
    sizes = np.linspace(first_look, max(_FARTHEST * one_size, 2 * first_look), _LOOKS)
    steps = np.diff(sizes, prepend=0.0)
    bound = np.sqrt(sizes) * [widen(size, level) for size in sizes]
    draws = np.random.default_rng(_SEED).standard_normal((_PATHS, _LOOKS), dtype=np.float32)
    paths = np.cumsum(draws * np.sqrt(steps) + effect * steps, axis=1)
    is_found = paths > bound
    return np.where(is_found.any(axis=1), sizes[is_found.argmax(axis=1)], np.inf)
