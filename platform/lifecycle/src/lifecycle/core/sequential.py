"""Tests that can be evaluated at any time: whether something happens more often than before, or than a limit allows.

A fixed-sample test that is repeated after each request finds a difference in the end, whether there is one or not.
These are e-processes: if there is no difference, their expectation is at most 1 at any time, so by Ville's inequality
the probability that they ever reach `1 / alpha` is at most `alpha`. A. Ramdas et al., Game-Theoretic Statistics and
Safe Anytime-Valid Inference, Statistical Science 38 (2023), https://arxiv.org/abs/2210.01948

The tests of counts are mixtures of likelihood ratios (H. Robbins, Annals of Mathematical Statistics 41, 1970). All
evidence is in the events: given that an event has happened, in which group did it happen? Two groups are compared as in
M. Lindon and A. Malek, Anytime-Valid Inference for Multinomial Count Data (2022), https://arxiv.org/abs/2011.03567. So
the test need not know the rate that both groups have if there is no difference, and that rate may change from block to
block. Means are compared with a confidence sequence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The alternatives: how many times as often the event happens. tests/core/test_sequential.py shows what they detect.
_RATIOS = (2.0, 3.0, 6.0, 100.0)
_MAX_EXPONENT = 700.0  # e to this power is near the largest float
# How close the alternatives are to the expected share: a standard deviation of 1.6 percentage points at a half.
_SHARE_CONCENTRATION = 1000.0
# The sample size at which confidence sequences are narrowest, relative to an interval for one look. At a tenth of it
# they are 24 % wider, and at ten times of it 7 %. Smaller samples, which are furthest from a normal distribution, get
# the larger margin.
_NARROWEST = 1000.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Trials, and those of them in which the event happened: arrays whose last axis is time, in blocks.

    The numbers need not be whole: Prometheus estimates them.
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

    Read it like the result of `compare_rates`; here an event may happen in each trial. If the limit is 0, a single
    event is conclusive.
    """
    if limit <= 0:
        return np.where(np.cumsum(counts.events, axis=-1) > 0, np.inf, 1.0)
    return _accumulate(counts.events, counts.trials, np.full_like(counts.trials, limit))


def _accumulate(hits: Floats, draws: Floats, probability: Floats) -> Floats:
    """The likelihood ratio of the hits among the draws after each block, as the mean over the alternatives."""
    logarithms = np.stack(
        [np.cumsum(hits * math.log(ratio) - draws * np.log1p(probability * (ratio - 1)), axis=-1) for ratio in _RATIOS]
    )
    mean: Floats = np.logaddexp.reduce(logarithms, axis=0) - math.log(len(_RATIOS))
    return np.exp(np.minimum(mean, _MAX_EXPONENT))


def deviate_from_share(hits: float, draws: float, share: float) -> float:
    """The logarithm of the evidence that the hits are too many or too few for draws that hit with probability `share`.

    At level alpha, they are too many or too few once it has reached `log(1 / alpha)`. The alternatives are a beta
    distribution around the share, as in Lindon and Malek above: the likelihood of the data is compared with its average
    likelihood if the probability is drawn from that distribution.
    """
    if not 0 < share < 1:
        return 0.0 if hits == draws * share else math.inf
    first, second = _SHARE_CONCENTRATION * share, _SHARE_CONCENTRATION * (1 - share)
    alternative = _log_beta(first + hits, second + draws - hits) - _log_beta(first, second)
    return alternative - hits * math.log(share) - (draws - hits) * math.log1p(-share)


def widen(size: float, level: float) -> float:
    """How many standard errors an estimate of a mean may be off, at any time while the sample grows.

    size   the size of the sample so far
    level  the maximum probability that the estimate is ever further off

    Used in place of the normal distribution's quantile, which holds for one look, this gives a confidence sequence.
    It is asymptotic: at the first look, the sample must be large enough for a confidence interval of the same level.
    I. Waudby-Smith et al., Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics
    52 (2024), https://arxiv.org/abs/2103.06476, theorem 2.2 with the parameter for which it is narrowest at a certain
    size.
    """
    ratio = size / _narrow(level)
    return math.sqrt((1 + 1 / ratio) * (math.log1p(ratio) - 2 * math.log(level)))


def find_p_value(deviation: float, size: float, level: float) -> float:
    """The least level at which `widen` would not include an estimate's deviation, which is in standard errors.

    level  the level of the test, for which the parameters are chosen
    """
    ratio = size / _narrow(level)
    return min(1.0, math.exp(math.log1p(ratio) / 2 - deviation**2 / 2 * ratio / (1 + ratio)))


def _narrow(level: float) -> float:
    """The mixture's parameter for which a confidence sequence is narrowest, relatively, at a size of _NARROWEST."""
    exponent = -2 * math.log(level)
    return _NARROWEST / (exponent + math.log(exponent) + 1)


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
