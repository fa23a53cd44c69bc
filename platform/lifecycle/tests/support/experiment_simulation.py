"""Simulated users of experiments, seeded: not records, but the table that `users.aggregate` returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lifecycle.core.names import Action
from lifecycle.core.sequential import widen
from lifecycle.experiment.analysis import evaluate
from lifecycle.experiment.measures import Measure, find_measures
from lifecycle.experiment.users import Users
from lifecycle.experiment.verdict import Verdict
from lifecycle.gitops.experiments import DAY, Experiment
from support.experiment import TIME

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass
class Simulation:
    """Users who arrive evenly over the days, with the values that a test draws.

    shares  the challenger's, in percent, from a day on
    """

    experiment: Experiment
    users: int
    days: int
    seed: int
    shares: Mapping[float, float] = field(default_factory=lambda: {0: 50})

    def __post_init__(self) -> None:
        assert self.experiment.criteria is not None
        self.criteria = self.experiment.criteria
        self.generator = np.random.default_rng(self.seed)
        self.arrival = np.sort(self.generator.uniform(0, self.days, self.users))
        starts = np.array(list(self.shares))
        percents = np.array(list(self.shares.values()))
        self.share = (100 * percents[np.searchsorted(starts, self.arrival, side="right") - 1]).astype(np.int64)
        self.is_challenger = self.generator.integers(0, 10_000, self.users) < self.share

    @property
    def measures(self) -> list[Measure]:
        return find_measures(self.experiment, self.criteria)

    def create(self, **values: Floats) -> Users:
        """The users; measures without values have the same ones for both variants."""
        draw = self.generator
        defaults = {
            "latency": draw.normal(-3, 0.5, self.users),
            "errors": (draw.random(self.users) < 0.002).astype(float),
            "fallbacks": np.zeros(self.users),
        }
        first = TIME + self.arrival * DAY
        closed = first + self.experiment.user_window
        return Users((), self.share, self.is_challenger, first, closed, {**defaults, **values})

    def look_daily(self, users: Users) -> Iterator[Verdict]:
        """The verdict at the end of each day, until one is acted upon."""
        for day in range(1, self.days + 1 + int(self.experiment.user_window_days)):
            until = TIME + day * DAY
            verdict = evaluate(users.select(users.first <= until), self.measures, self.criteria, until).verdict
            yield verdict
            if verdict.action in (Action.PROMOTE, Action.STOP):
                return

    def decide(self, users: Users) -> Verdict:
        """The verdict that is acted upon, or the last one."""
        *_, last = self.look_daily(users)
        return last


def experiment(kind: str = "binary", window: float = 1, **criteria: object) -> Experiment:
    """One with an outcome `converted`, or `latency`, that decides."""
    name = "latency" if kind == "latency" else "converted"
    merged = {"outcome": name, "minimum_effect": 0.1, "maximum_days": 28, **criteria}
    if kind == "latency":
        merged.setdefault("guardrails", [{"outcome": "errors", "tolerance": 0.01}])
    return Experiment.model_validate(
        {
            "name": "churn-forest",
            "model": "churn",
            "user_window_days": window,
            "outcomes": {} if kind == "latency" else {"converted": kind},
            "criteria": merged,
        }
    )


@dataclass(frozen=True)
class Looks:
    """Many experiments of one stratum, each looked at several times: arrays of experiments by looks.

    The same figures as `comparison.compare` has, from sums instead of users, which is a hundred times as fast.
    """

    estimate: Floats
    error: Floats
    cautious_error: Floats
    size: Floats
    fewest: Floats

    @classmethod
    def of(cls, weights: Floats, sums: Floats, squares: Floats, treated: Mask, looks: int, *, is_share: bool) -> Looks:
        """The looks of experiments, from arrays of experiments by users, who arrive in order.

        weights, sums, squares  of each user's values: how many, their sum, and the sum of their squares
        """
        means, variances, counts = [], [], []
        for mask in (treated, ~treated):
            count, total, square = (_accumulate(array * mask, looks) for array in (weights, sums, squares))
            count = np.maximum(count, 2)  # fewer users have no variance, and their looks do not count
            means.append(total / count)
            added = 1.0 if is_share else 0.0  # a 0 and a 1
            spread = square + added - (total + added) ** 2 / (count + 2 * added)
            variances.append(spread / (count + 2 * added - 1))
            counts.append(count)
        size = counts[0] * counts[1] / (counts[0] + counts[1])
        freedom = counts[0] + counts[1] - 2
        common = ((counts[0] - 1) * variances[0] + (counts[1] - 1) * variances[1]) / freedom
        error, cautious = np.zeros_like(size), np.zeros_like(size)
        for count, other, variance in ((*counts, variances[0]), (*counts[::-1], variances[1])):
            error += variance / count
            cautious += np.where(count < other, np.maximum(variance, common), variance) / count
        return cls(means[0] - means[1], np.sqrt(error), np.sqrt(cautious), size, np.minimum(*counts))

    def find_any_time(self, *, level: float = 0.05, is_better: bool = False) -> Mask:
        """In which experiments any look of enough users finds a difference, or only a higher mean of the challenger."""
        return self._find(np.vectorize(lambda size: widen(size, level))(self.size) * self.cautious_error, is_better)

    def find_once(self, *, level: float = 0.05, is_better: bool = False) -> Mask:
        """The same for a test that is valid for one look."""
        return self._find(NormalDist().inv_cdf(1 - level / 2) * self.error, is_better)

    def _find(self, margin: Floats, is_better: bool) -> Mask:
        difference = self.estimate if is_better else np.abs(self.estimate)
        found: Mask = ((difference > margin) & (self.fewest >= 100)).any(axis=1)
        return found


def _accumulate(array: Floats, looks: int) -> Floats:
    starts = np.linspace(0, array.shape[1], looks, endpoint=False).astype(int)
    return np.cumsum(np.add.reduceat(array, starts, axis=1), axis=1)
