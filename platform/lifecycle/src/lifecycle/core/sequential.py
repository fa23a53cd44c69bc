"""Tests that may be looked at any time: whether something happens more often than before, or than it may.

A fixed-sample test that is repeated after each request finds a difference in the end, whether there is one or not.
These are e-processes: if there is none, their expectation is at most 1 whenever one looks, so by Ville's inequality
they ever reach `1 / alpha` with probability `alpha` at most. A. Ramdas et al., Game-Theoretic Statistics and Safe
Anytime-Valid Inference, Statistical Science 38 (2023), https://arxiv.org/abs/2210.01948

Both are mixtures of likelihood ratios (H. Robbins, Annals of Mathematical Statistics 41, 1970), and all evidence is in
the events: given that one has happened, where did it? The comparison of two groups is that of M. Lindon and A. Malek,
Anytime-Valid Inference for Multinomial Count Data (2022), https://arxiv.org/abs/2011.03567. So it need not know the
rate that both have if there is no difference, and that may change from block to block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The alternatives: how many times as often the event happens. What they find is in tests/core/test_sequential.py.
_RATIOS = (2.0, 3.0, 6.0, 100.0)
_MAX_EXPONENT = 700.0  # e to it is near the largest float

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
