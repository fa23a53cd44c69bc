"""The tests of a difference, against SciPy's and published examples; NaN never becomes an interval.

Not proven here: how often they are wrong. That is in tests/core/test_sequential.py, and for whole experiments in
test_error_rates.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lifecycle.core.sequential import widen
from lifecycle.experiment.statistics import (
    Difference,
    Sample,
    compare_means,
    compare_proportions,
    look_any_time,
    look_once,
    pool,
)

GENERATOR = np.random.default_rng(7)


def sample(values: object, *, is_share: bool = False) -> Sample:
    return Sample.of(np.asarray(values, dtype=float), is_share=is_share)


def difference(*strata: tuple[Sample, Sample]) -> Difference:
    found = pool(strata)
    assert found is not None
    return found


def test_the_fixed_test_of_one_stratum_is_welchs() -> None:
    first, second = GENERATOR.normal(1, 3, 150), GENERATOR.normal(0, 1, 900)
    strata = [(sample(first), sample(second))]
    interval = look_once(strata, difference(*strata), 0.05)
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert interval.test == "welch"
    assert interval.p_value == pytest.approx(expected.pvalue)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_the_fixed_test_of_zeros_and_ones_is_the_test_of_two_proportions() -> None:
    """The interval is example (a) of table II in Newcombe (1998), method 10."""
    strata = [
        (sample([1] * 56 + [0] * 14, is_share=True), sample([1] * 48 + [0] * 32, is_share=True)),
    ]
    interval = look_once(strata, difference(*strata), 0.05)
    assert interval.test == "two proportions"
    assert (interval.low, interval.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert interval.p_value == pytest.approx(2 * stats.norm.sf(0.2 / np.sqrt(104 / 150 * 46 / 150 * (1 / 70 + 1 / 80))))


def test_the_test_of_two_proportions_is_pearsons() -> None:
    for first, second in (((3, 100), (50, 900)), ((70, 80), (600, 700))):
        table = [[hits, size - hits] for hits, size in (first, second)]
        found = compare_proportions(first, second, 0.05)
        assert found.p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)


@pytest.mark.parametrize("hits", [0, 50])
def test_proportions_without_any_difference_are_not_an_error(hits: int) -> None:
    interval = compare_proportions((hits, 50), (hits, 50), 0.05)
    assert interval.p_value == 1
    assert interval.low == pytest.approx(-interval.high)


def test_shares_that_are_not_0_or_1_have_welchs_test() -> None:
    strata = [(sample([0, 0.5, 1] * 10, is_share=True), sample([0, 1, 1] * 10, is_share=True))]
    assert look_once(strata, difference(*strata), 0.05).test == "welch"


def test_strata_are_compared_within() -> None:
    """As in Simpson's paradox, the challenger is better by 1 in each stratum, but worse over all users."""
    early = (sample(GENERATOR.normal(11, 1, 1000)), sample(GENERATOR.normal(10, 1, 9000)))
    late = (sample(GENERATOR.normal(1, 1, 5000)), sample(GENERATOR.normal(0, 1, 5000)))
    found = difference(early, late)
    assert found.estimate == pytest.approx(1, abs=0.05)
    assert found.size == pytest.approx(900 + 2500)
    assert found.standard_error == pytest.approx(1 / np.sqrt(3400), rel=0.03)
    assert compare_means(found, 0.05).p_value < 1e-9


def test_a_confidence_sequence_is_wider_than_an_interval_for_one_look_around_the_same() -> None:
    found = difference((sample(GENERATOR.normal(0, 1, 500)), sample(GENERATOR.normal(0, 1, 500))))
    once, any_time = compare_means(found, 0.05), look_any_time(found, 0.05)
    assert any_time.low < once.low < found.estimate < once.high < any_time.high
    assert any_time.high - found.estimate == pytest.approx(widen(250, 0.05) * found.cautious_error)
    assert any_time.p_value > once.p_value


def test_a_small_sample_that_varies_less_than_the_large_one_is_not_trusted() -> None:
    large = GENERATOR.normal(0, 3, 900)
    small = GENERATOR.normal(0, 1, 100)
    found = difference((sample(small), sample(large)))
    common = (99 * small.var(ddof=1) + 899 * large.var(ddof=1)) / 998
    assert found.cautious_error == pytest.approx(np.sqrt(common / 100 + large.var(ddof=1) / 900))
    assert found.standard_error < found.cautious_error
    more = difference((sample(3 * small), sample(large / 3)))
    assert more.cautious_error == more.standard_error


def test_a_share_of_only_zeros_still_has_an_error() -> None:
    found = difference((sample([0.0] * 100, is_share=True), sample([0.0] * 900, is_share=True)))
    assert look_any_time(found, 0.05).high > 0.01


@pytest.mark.parametrize("values", [[3.0] * 200, [1e300, -1e300] * 100, [1e308] * 200])
def test_values_that_are_equal_or_too_large_have_no_difference(values: list[float]) -> None:
    assert pool([(sample(values), sample(values))]) is None


def test_without_strata_there_is_no_difference() -> None:
    assert pool([]) is None
