"""Tests of a difference between the variants' means: one user is one value, and users are independent.

There are two kinds:

- for one look, at a planned size: Welch's test, and for values of 0 and 1 the test of two proportions;
- for any number of looks: a confidence sequence (core/sequential.py). Verdicts rely only on it.

Users who entered while the challenger had another share are another stratum. Variants are compared within a stratum,
and the differences are averaged with the strata's effective sizes as weights. The weighted difference, times the
effective size, is a sum over users, as a confidence sequence requires.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lifecycle.core.sequential import find_p_value, widen

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """The values of one variant's users in a stratum. `hits` counts the ones if all values are 0 or 1, else None."""

    size: int
    mean: float
    variance: float
    hits: int | None = None

    @classmethod
    def of(cls, values: Floats, *, is_share: bool) -> Sample:
        """A sample of at least two values.

        is_share  they are 0 to 1. If nearly all are 0, their variance is mostly underestimated, or 0, so it is computed
                  with an additional 0 and 1. A. Agresti and B. Caffo, The American Statistician 54 (2000).
        """
        spread = np.append(values, (0.0, 1.0)) if is_share else values
        hits = int(values.sum()) if is_share and bool(((values == 0) | (values == 1)).all()) else None
        with np.errstate(all="ignore"):  # sums may exceed a float's range, which `pool` refuses
            return cls(values.size, float(values.mean()), float(spread.var(ddof=1)), hits)

    @property
    def error(self) -> float:
        """The variance of the mean."""
        return self.variance / self.size


@dataclass(frozen=True)
class Difference:
    """The challenger's mean less the champion's, over all strata.

    means           the challenger's and the champion's, with the same weights of the strata
    cautious_error  the standard error if the smaller variant's values vary at least as much as both variants' do
    size            the effective number of users: in one stratum, the product of both variants' numbers over their sum
    degrees         the degrees of freedom of Student's distribution
    """

    means: tuple[float, float]
    standard_error: float
    cautious_error: float
    size: float
    degrees: float

    @property
    def estimate(self) -> float:
        return self.means[0] - self.means[1]


@dataclass(frozen=True)
class Interval:
    """The range of a difference, at a level, and how surprising it would be if there were none."""

    test: str
    low: float
    high: float
    p_value: float


Stratum = tuple[Sample, Sample]
"""Challenger and champion."""


def pool(strata: Sequence[Stratum]) -> Difference | None:
    """The difference over the strata; None if it or its error is not known: no users, or all have the same value."""
    pairs = list(strata)
    if not pairs:
        return None
    sizes = np.array([one.size * other.size / (one.size + other.size) for one, other in pairs])
    weights = sizes / sizes.sum()
    with np.errstate(all="ignore"):  # sums may exceed a float's range
        first, second = (float(weights @ [pair[variant].mean for pair in pairs]) for variant in (0, 1))
        parts = np.array([[sample.error for sample in pair] for pair in pairs]) * weights[:, None] ** 2
        cautious = float(weights**2 @ [_find_cautious_error(*pair) for pair in pairs])
        freedom = np.array([[sample.size - 1 for sample in pair] for pair in pairs])
        variance = float(parts.sum())
        degrees = variance**2 / float((parts**2 / freedom).sum()) if variance > 0 else math.nan
    if not (variance > 0 and all(map(math.isfinite, (first - second, variance, cautious, degrees)))):
        return None
    return Difference((first, second), math.sqrt(variance), math.sqrt(cautious), float(sizes.sum()), degrees)


def look_once(strata: Sequence[Stratum], difference: Difference, level: float) -> Interval:
    """For one look. Two proportions of one stratum have their own test."""
    (first, second), *others = strata
    if not others and first.hits is not None and second.hits is not None:
        return compare_proportions((first.hits, first.size), (second.hits, second.size), level)
    return compare_means(difference, level)


def compare_means(difference: Difference, level: float) -> Interval:
    """Welch's test; over strata, with the degrees of freedom of the sum."""
    degrees, error = difference.degrees, difference.standard_error
    margin = -float(special.stdtrit(degrees, level / 2)) * error
    p_value = 2 * float(special.stdtr(degrees, -abs(difference.estimate) / error))
    return Interval("welch", difference.estimate - margin, difference.estimate + margin, p_value)


def compare_proportions(challenger: tuple[int, int], champion: tuple[int, int], level: float) -> Interval:
    """The test of two proportions, each of (hits, users), with Newcombe's interval.

    The test has a pooled variance, and is Pearson's chi-square test of the table. R. G. Newcombe, Statistics in
    Medicine 17 (1998), method 10.
    """
    (first, first_low, first_high), (second, second_low, second_high) = (
        _score(hits, size, level) for hits, size in (challenger, champion)
    )
    low = first - second - math.hypot(first - first_low, second_high - second)
    high = first - second + math.hypot(first_high - first, second - second_low)
    pooled = (challenger[0] + champion[0]) / (challenger[1] + champion[1])
    error = math.sqrt(pooled * (1 - pooled) * (1 / challenger[1] + 1 / champion[1]))
    p_value = 2 * float(special.ndtr(-abs(first - second) / error)) if error > 0 else 1.0
    return Interval("two proportions", low, high, p_value)


def look_any_time(difference: Difference, level: float) -> Interval:
    """For any number of looks: the probability that the true difference is ever outside an interval is <= `level`."""
    margin = widen(difference.size, level) * difference.cautious_error
    p_value = find_p_value(difference.estimate / difference.cautious_error, difference.size, level)
    return Interval("confidence sequence", difference.estimate - margin, difference.estimate + margin, p_value)


def _find_cautious_error(first: Sample, second: Sample) -> float:
    """The variance of the difference.

    A small sample of skewed values, such as sums of money, mostly lacks the large ones: then its mean is too low, and
    so is its variance, which makes the mean look certain. The larger sample's values reduce this effect.
    """
    smaller, larger = sorted((first, second), key=lambda sample: sample.size)
    freedom = (smaller.size - 1, larger.size - 1)
    common = (smaller.variance * freedom[0] + larger.variance * freedom[1]) / sum(freedom)
    return max(smaller.variance, common) / smaller.size + larger.error


def _score(hits: int, size: int, level: float) -> tuple[float, float, float]:
    """A proportion, with Wilson's score interval."""
    share, quantile = hits / size, -float(special.ndtri(level / 2))
    weight = quantile**2 / size
    centre = (share + weight / 2) / (1 + weight)
    margin = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return share, centre - margin, centre + margin
