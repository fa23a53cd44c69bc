"""Tests that may be looked at any time: whether something happens more often than before, or than it may.

A fixed-sample test that is repeated after each request finds a difference in the end, whether there is one or not.
These are e-processes: if there is none, their expectation is at most 1 whenever one looks, so by Ville's inequality
they ever reach `1 / alpha` with probability `alpha` at most. A. Ramdas et al., Game-Theoretic Statistics and Safe
Anytime-Valid Inference, Statistical Science 38 (2023), https://arxiv.org/abs/2210.01948

Those of counts are mixtures of likelihood ratios (H. Robbins, Annals of Mathematical Statistics 41, 1970), and all
evidence is in the events: given that one has happened, where did it? The comparison of two groups is that of M. Lindon
and A. Malek, Anytime-Valid Inference for Multinomial Count Data (2022), https://arxiv.org/abs/2011.03567. So it need
not know the rate that both have if there is no difference, and that may change from block to block. Means have a
confidence sequence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The alternatives: how many times as often the event happens. What they find is in tests/core/test_sequential.py.
_RATIOS = (2.0, 3.0, 6.0, 100.0)
_MAX_EXPONENT = 700.0  # e to it is near the largest float
# How near to the expected share the alternatives are: a standard deviation of 1.6 percentage points at a half.
_SHARE_CONCENTRATION = 1000.0
# The size of a sample at which confidence sequences are narrowest, relative to an interval for one look. At a tenth
# and at ten times of it they are wider by 24 and 7 %. Smaller samples, which are furthest from a normal distribution,
# get the most.
_NARROWEST = 1000.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Trials, and those of them in which the event happened: arrays whose last axis is time, in blocks.

    Estimates, as Prometheus has them, need not be whole numbers.
    """

    trials: Floats
    events: Floats

    def __str__(self) -> str:
        return f"{self.events.sum():.0f} of {self.trials.sum():.0f}"


def compare_rates(treatment: Counts, control: Counts) -> Floats:
    """The evidence after each block that the event happens more often in the treatment group than in the control group.

    At level alpha, there is a difference once any value has reached `1 / alpha`. The evidence does not change in blocks
    without events, or without trials of both groups.

    If the treatment group has the share w of a block's trials, an event is in it with probability w; if its rate is r
    times the other's, with probability r w / (1 + w (r - 1)). In truth events are drawn from the block's trials without
    replacement, which lowers the expectation of this convex function: W. Hoeffding, JASA 58 (1963), theorem 4.
    """
    trials = treatment.trials + control.trials
    share = np.divide(treatment.trials, trials, out=np.zeros_like(trials), where=trials > 0)
    return _accumulate(treatment.events, treatment.events + control.events, share)


def exceed_rate(counts: Counts, limit: float) -> Floats:
    """The evidence after each block that the event happens in more than the share `limit` (0 to 1) of the trials.

    To be read as that of `compare_rates`; here each trial is where an event may happen. Nothing is less likely than an
    event that must not happen at all.
    """
    if limit <= 0:
        return np.where(np.cumsum(counts.events, axis=-1) > 0, np.inf, 1.0)
    return _accumulate(counts.events, counts.trials, np.full_like(counts.trials, limit))


def _accumulate(hits: Floats, draws: Floats, probability: Floats) -> Floats:
    """The mean likelihood ratio, over the alternatives, of so many hits among the draws, block after block."""
    logarithms = np.stack(
        [np.cumsum(hits * math.log(ratio) - draws * np.log1p(probability * (ratio - 1)), axis=-1) for ratio in _RATIOS]
    )
    mean: Floats = np.logaddexp.reduce(logarithms, axis=0) - math.log(len(_RATIOS))
    return np.exp(np.minimum(mean, _MAX_EXPONENT))


def deviate_from_share(hits: float, draws: float, share: float) -> float:
    """The logarithm of the evidence that the hits are too many or too few for draws that hit with probability `share`.

    At level alpha, they are once it has reached `log(1 / alpha)`. The alternatives are a beta distribution around the
    share, as of Lindon and Malek above: in likelihood, the data is compared with what it would be on average if the
    probability was drawn from that.
    """
    if not 0 < share < 1:
        return 0.0 if hits == draws * share else math.inf
    first, second = _SHARE_CONCENTRATION * share, _SHARE_CONCENTRATION * (1 - share)
    alternative = _log_beta(first + hits, second + draws - hits) - _log_beta(first, second)
    return alternative - hits * math.log(share) - (draws - hits) * math.log1p(-share)


def widen(size: float, level: float) -> float:
    """How many standard errors an estimate of a mean may be off, at any time while the sample grows.

    size   the sample so far
    level  the probability, at most, that the estimate is ever further off

    In place of the normal distribution's quantile, which holds for one look, this gives a confidence sequence.
    It is asymptotic: the first look needs a sample for which a confidence interval of the same level would do.
    I. Waudby-Smith et al., Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics
    52 (2024), https://arxiv.org/abs/2103.06476, theorem 2.2 with the parameter for which it is narrowest at a certain
    size.
    """
    ratio = size / _narrow(level)
    return math.sqrt((1 + 1 / ratio) * (math.log1p(ratio) - 2 * math.log(level)))


def find_p_value(deviation: float, size: float, level: float) -> float:
    """The least level at which `widen` would not include an estimate's deviation, which is in standard errors.

    level  the one that is tested at, which the parameters are for
    """
    ratio = size / _narrow(level)
    return min(1.0, math.exp(math.log1p(ratio) / 2 - deviation**2 / 2 * ratio / (1 + ratio)))


def _narrow(level: float) -> float:
    """The mixture's parameter for which a confidence sequence is narrowest, relatively, at a size of _NARROWEST."""
    exponent = -2 * math.log(level)
    return _NARROWEST / (exponent + math.log(exponent) + 1)


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
