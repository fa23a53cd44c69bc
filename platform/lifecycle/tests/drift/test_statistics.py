"""The statistics of binned counts, against SciPy's on the values themselves and against figures computed by hand.

Not proven here: that alarms are as rare as promised. That is test_error_rates.py, and the benchmark with more windows.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lifecycle.core.reference_profile import profile_column
from lifecycle.drift import comparison, statistics
from lifecycle.drift.comparison import WindowCounts
from lifecycle.drift.statistics import Sample
from support.drift_simulation import count

MANY = 1000  # rows per hour


@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential"])
@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_distances_agree_with_distances_of_the_values(draw: str, factor: float) -> None:
    generator = np.random.default_rng(1)
    reference, window = getattr(generator, draw)(size=3000), factor * getattr(generator, draw)(size=2000) + 0.1
    profile = profile_column(pd.Series(reference))
    result = comparison.compare("x", "input", profile, count(profile, window))
    exact = stats.ks_2samp(reference, window, method="asymp")
    assert result.distance is not None
    assert exact.statistic - 0.01 <= result.distance <= exact.statistic
    assert result.p_value >= exact.pvalue * 0.999
    assert result.wasserstein == pytest.approx(
        stats.wasserstein_distance(reference, window) / reference.std(), rel=0.02, abs=1e-3
    )


def test_psi_of_a_shift_in_a_normal_distribution_is_its_square() -> None:
    generator = np.random.default_rng(2)
    profile = profile_column(pd.Series(generator.normal(size=200_000)))
    result = comparison.compare("x", "input", profile, count(profile, generator.normal(0.5, 1, 200_000)))
    assert result.psi == pytest.approx(0.5**2, rel=0.1), "ten groups see a little less than all values"
    assert len(result.labels) == 10
    assert result.reference_shares == pytest.approx([0.1] * 10, abs=0.02)


def test_psi_by_hand() -> None:
    samples = (Sample.of([49.5, 49.5], 0), Sample.of([24.5, 74.5], 0))
    shares = [(count + 0.5) / (sum(counts) + 1.5) for counts in ((49.5, 49.5), (24.5, 74.5)) for count in (*counts, 0)]
    expected = sum((w - r) * math.log(w / r) for r, w in zip(shares[:3], shares[3:], strict=True))
    assert statistics.psi(*samples, np.arange(2)) == pytest.approx(expected)


def test_chi_square_equals_scipys_without_rare_categories() -> None:
    table = np.array([[300.0, 500.0, 200.0], [250.0, 600.0, 150.0]])
    expected = stats.chi2_contingency(table).pvalue
    assert statistics.chi_square(table[0], table[1], table[0].sum()) == pytest.approx(expected)


def test_rare_categories_are_pooled() -> None:
    reference, window = np.array([990.0, 5, 3, 2, 0]), np.array([990.0, 3, 2, 4, 1])
    pooled = stats.chi2_contingency([[990, 10], [990, 10]]).pvalue
    assert statistics.chi_square(reference, window, 1000) == pytest.approx(pooled)
    assert statistics.chi_square(np.array([1000.0, 0]), np.array([998.0, 2]), 1000) == 1, "nothing is left to compare"


def test_holms_adjustment_by_hand() -> None:
    assert statistics.adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.adjust([0.6, 0.9]) == [1, 1]


def test_seasons_are_weighted_as_in_the_window() -> None:
    counts, missing = np.array([[100.0, 0], [0, 100]]), np.zeros(2)
    only_first = statistics.weigh_seasons(counts, missing, np.array([50.0, 0]))
    assert (only_first.shares.tolist(), only_first.rows) == ([1, 0], 100)
    mixed = statistics.weigh_seasons(counts, missing, np.array([150.0, 50.0]))
    assert mixed.shares.tolist() == [0.75, 0.25]
    assert mixed.rows == pytest.approx(1 / (0.75**2 / 100 + 0.25**2 / 100))


def test_the_same_hours_do_not_drift_and_other_hours_would_without_seasons() -> None:
    generator, hours = np.random.default_rng(3), np.arange(24).repeat(MANY)
    times = pd.Series(pd.Timestamp("2026-11-02", tz="UTC") + pd.to_timedelta(hours, unit="h"))
    reference = pd.Series(generator.normal(hours, 1.0))
    night = generator.normal(3, 1, 2000)
    with_times, without = profile_column(reference, times), profile_column(reference)
    rows = count(with_times, night)
    seasonal = WindowCounts(np.zeros((24, with_times.bins)), np.zeros(24), rows.totals)
    seasonal.counts[3] = rows.counts[0]
    assert comparison.compare("x", "input", with_times, seasonal).psi < 0.1
    assert comparison.compare("x", "input", without, count(without, night)).psi > 1
