"""How far apart two distributions of counts are, and how surprising that is.

Counts are in bins, so every number below is computed from a few hundred integers, regardless of the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Counts = NDArray[np.float64]

# Ten groups of equal numbers of reference rows, as the rules of thumb for PSI (0.1 moderate, 0.25 large) assume.
# N. Siddiqi, Credit Risk Scorecards, 2006, chapter 9.
PSI_GROUPS = 10
# Cochran's rule is 5; far out in the tail, where false alarms are rare, the approximation needs more.
# W. G. Cochran, Some methods for strengthening the common chi-square tests, Biometrics 10, 1954.
_MIN_EXPECTED = 10.0


@dataclass(frozen=True)
class Sample:
    """Rows by bin, and rows without a value.

    rows  may be fewer than the counts add up to: the effective size of a weighted sample
    """

    counts: Counts
    missing: float
    rows: float

    @classmethod
    def of(cls, counts: Sequence[float], missing: float) -> Sample:
        array = np.asarray(counts, dtype=float)
        return cls(array, missing, float(array.sum()) + missing)

    @property
    def missing_share(self) -> float:
        return self.missing / (float(self.counts.sum()) + self.missing)

    @property
    def valued_rows(self) -> float:
        """The effective size of the part with values."""
        return self.rows * (1 - self.missing_share)

    @property
    def shares(self) -> Counts:
        """The share of the rows with values in each bin."""
        return np.asarray(self.counts / self.counts.sum())


def weigh_seasons(counts: Counts, missing: Counts, window: Counts) -> Sample:
    """The reference, weighted as if its seasons were as frequent as the window's.

    counts   the reference's, by season and bin
    missing  the reference's, by season
    window   the window's rows by season

    The effective size m follows from the variance of a stratified mean, which is at most p(1-p)/m for
    1/m = sum of w^2/n over the seasons, with weight w and n reference rows (W. G. Cochran, Sampling Techniques, 1977,
    section 5.3). With one season it is the number of the reference's rows.
    """
    rows = counts.sum(axis=1) + missing
    weights = window / window.sum()
    size = 1 / float((weights**2 / rows).sum())
    by_season = weights / rows * size
    return Sample(by_season @ counts, float(by_season @ missing), size)


def psi(reference: Sample, window: Sample, groups: NDArray[np.int64]) -> float:
    """The population stability index over groups of bins, with missing values as one more group.

    Each group counts half a row more, so that the index is finite even with an empty group.
    """
    first, second = (_add_half(_group_with_missing(sample, groups)) for sample in (reference, window))
    return float(((second - first) * np.log(second / first)).sum())


def group_bins(reference: Sample) -> NDArray[np.int64]:
    """The group of each bin of a number: ten, with about equal numbers of reference rows."""
    shares = reference.shares
    middle = np.cumsum(shares) - shares / 2
    found = np.minimum((middle * PSI_GROUPS).astype(np.int64), PSI_GROUPS - 1)
    return np.unique(found, return_inverse=True)[1]


def kolmogorov_smirnov(reference: Sample, window: Sample) -> tuple[float, float]:
    """The largest distance of the two cumulative distributions at the bins' edges, and its p-value.

    Between edges they may be further apart, and values may be tied; both make the test conservative. The p-value is
    from scipy.stats.ks_2samp.
    """
    distance = float(np.abs(np.cumsum(reference.shares) - np.cumsum(window.shares)).max())
    size = reference.valued_rows * window.valued_rows / (reference.valued_rows + window.valued_rows)
    return distance, float(stats.kstwo.sf(distance, max(1, round(size))))


def wasserstein(reference: Sample, window: Sample, means: Counts, window_means: Counts) -> float:
    """The Wasserstein distance, in the column's unit, with each bin's rows at the mean of their values.

    Its error is at most the mean distance of values from their bin's mean.
    """
    return float(stats.wasserstein_distance(means, window_means, reference.counts, window.counts))


def chi_square(reference: Counts, window: Counts, reference_rows: float) -> float:
    """The p-value of the chi-square test of homogeneity; 1 if nothing is left to compare.

    reference_rows  the effective number of the reference's rows

    The rarest categories are pooled until ten rows of each are expected; if two are left, Yates's correction applies.
    """
    table = np.vstack([reference * (reference_rows / reference.sum()), window])
    table = table[:, np.argsort(table.sum(axis=0))]
    expected = np.cumsum(table.sum(axis=0)) * (table.sum(axis=1).min() / table.sum())
    pooled = int(np.searchsorted(expected, _MIN_EXPECTED)) + 1
    table = np.column_stack([table[:, :pooled].sum(axis=1), table[:, pooled:]])
    if table.shape[1] < 2:
        return 1.0
    return float(stats.chi2_contingency(table).pvalue)


def lower_share(reference: tuple[int, int], window: tuple[int, int]) -> float:
    """The p-value of Fisher's exact test that the window's share is lower; each is (hits, rows)."""
    table = [[hits, rows - hits] for hits, rows in (window, reference)]
    return float(stats.fisher_exact(table, alternative="less").pvalue)


def adjust(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: the probability that any below a level is false is at most that level.

    S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    return [float(value) for value in adjusted]


def _group_with_missing(sample: Sample, groups: NDArray[np.int64]) -> Counts:
    counts = np.bincount(groups, weights=sample.counts)
    with_missing = np.append(counts, sample.missing)
    return np.asarray(with_missing * (sample.rows / with_missing.sum()))


def _add_half(counts: Counts) -> Counts:
    smoothed = counts + 0.5
    return np.asarray(smoothed / smoothed.sum())
