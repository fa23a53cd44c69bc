"""Compares the variants of one experiment: each measure, and whether the numbers of users fit the shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lifecycle.core.sequential import deviate_from_share
from lifecycle.experiment import covariate
from lifecycle.experiment.measures import Measure
from lifecycle.experiment.statistics import Floats, Interval, Sample, Stratum, look_any_time, look_once, pool
from lifecycle.experiment.users import Mask, Users
from lifecycle.gitops.experiments import BUCKETS

# A mismatch makes every figure doubtful, so a false one must be rare. Finding a true one then only needs some more
# users: 20,000 if the share is 48 instead of 50 %. Causes: A. Fabijan et al., Diagnosing Sample Ratio Mismatch in
# Online Controlled Experiments, KDD 2019, https://doi.org/10.1145/3292500.3330722.
MISMATCH_LEVEL = 0.0005


@dataclass(frozen=True)
class Comparison:
    """The difference of a measure; all numbers are on the measure's own scale, differences are from the champion.

    users     the numbers of users with a value, of challenger and champion
    means     of challenger and champion, over strata; None if too little is known for a difference
    once      holds for one look at a planned size
    any_time  holds for any number of looks
    """

    measure: Measure
    users: tuple[int, int]
    means: tuple[float, float] | None
    once: Interval | None
    any_time: Interval | None

    @property
    def improvement(self) -> float | None:
        """How much better the challenger is."""
        if self.means is None:
            return None
        return (self.means[1] - self.means[0]) if self.measure.is_lower_better else (self.means[0] - self.means[1])

    @property
    def improvement_range(self) -> tuple[float, float] | None:
        """The range of the improvement, at any time."""
        if self.any_time is None:
            return None
        low, high = self.any_time.low, self.any_time.high
        return (-high, -low) if self.measure.is_lower_better else (low, high)


@dataclass(frozen=True)
class RatioCheck:
    """Whether the numbers of users fit the shares.

    subject   which users: `users`, or `users with <outcome>`
    expected  the expected number of the challenger's users, for the same total
    evidence  the logarithm of an e-process
    """

    subject: str
    challenger: int
    champion: int
    expected: float
    evidence: float

    @property
    def is_mismatch(self) -> bool:
        return self.evidence >= -math.log(MISMATCH_LEVEL)


def compare(measure: Measure, users: Users, level: float, known_before: Floats | None = None) -> Comparison:
    """Compare one measure of users whose windows have closed.

    known_before  a covariate of the users, or none
    """
    values = users.values[measure.name]
    known = np.isfinite(values)
    counts = (int((known & users.is_challenger).sum()), int((known & ~users.is_challenger).sum()))
    if known_before is not None:
        values = covariate.adjust(values, known_before)
    strata = list(_stratify(measure, users, values, known))
    difference = pool(strata)
    if difference is None:
        return Comparison(measure, counts, None, None, None)
    once, any_time = look_once(strata, difference, level), look_any_time(difference, level)
    return Comparison(measure, counts, difference.means, once, any_time)


def check_ratios(users: Users, closed: Users, measures: Sequence[Measure]) -> list[RatioCheck]:
    """Check all users, and the users with outcomes: if only one variant lacked outcomes, its mean would be biased."""
    subjects = [("users", users)]
    for measure in measures:
        if measure.is_reported:
            with_outcome = closed.select(np.isfinite(closed.values[measure.name]))
            subjects.append((f"users with {measure.name}", with_outcome))
    return [_check_ratio(subject, selected) for subject, selected in subjects]


def _check_ratio(subject: str, users: Users) -> RatioCheck:
    evidence = expected = 0.0
    for share, mask in _split(users):
        size, hits = int(mask.sum()), int((mask & users.is_challenger).sum())
        evidence += deviate_from_share(hits, size, share / BUCKETS)
        expected += size * share / BUCKETS
    challenger = int(users.is_challenger.sum())
    return RatioCheck(subject, challenger, len(users) - challenger, expected, evidence)


def _stratify(measure: Measure, users: Users, values: Floats, known: Mask) -> Iterator[Stratum]:
    """The strata in which both variants have the two values that a variance needs."""
    for _, mask in _split(users):
        challenger = values[mask & known & users.is_challenger]
        champion = values[mask & known & ~users.is_challenger]
        if min(challenger.size, champion.size) >= 2:
            yield Sample.of(challenger, is_share=measure.is_share), Sample.of(champion, is_share=measure.is_share)


def _split(users: Users) -> Iterator[tuple[int, Mask]]:
    for share in np.unique(users.share):
        yield int(share), users.share == share
