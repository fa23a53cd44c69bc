"""Simulated requests, seeded: how often the sequential tests find a difference that exists, and one that does not.

The comparison is with the sample size of the usual test of two proportions, which looks once, at its end. How the
guardrails use the tests in whole rollouts is proven in tests/rollout/test_false_rollbacks.py.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from lifecycle.core.sequential import Counts, compare_rates, deviate_from_share, exceed_rate, find_p_value, widen

ALPHA = 0.01
BLOCK = 50  # requests between two looks


def simulate(seed: int, runs: int, blocks: int, share: float, rate: float, other: float) -> tuple[Counts, Counts]:
    """Requests of both groups; the treatment group gets `share` of them at random."""
    generator = np.random.default_rng(seed)
    trials = generator.binomial(BLOCK, share, (runs, blocks))
    events = generator.binomial(trials, rate), generator.binomial(BLOCK - trials, other)
    treatment = Counts(trials.astype(float), events[0].astype(float))
    return treatment, Counts((BLOCK - trials).astype(float), events[1].astype(float))


def fixed_sample_size(share: float, rate: float, other: float, power: float) -> float:
    """Requests of both groups for a one-sided z-test of two proportions at level ALPHA.

    J. L. Fleiss et al., Statistical Methods for Rates and Proportions, 3rd edition (2003), section 4.3.
    """
    mean = share * rate + (1 - share) * other
    null = mean * (1 - mean) * (1 / share + 1 / (1 - share))
    alternative = rate * (1 - rate) / share + other * (1 - other) / (1 - share)
    quantile = NormalDist().inv_cdf
    return ((quantile(1 - ALPHA) * math.sqrt(null) + quantile(power) * math.sqrt(alternative)) / (rate - other)) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("rate", [0.001, 0.02, 0.3])
def test_a_difference_that_does_not_exist_is_found_in_at_most_1_percent_of_runs(share: float, rate: float) -> None:
    evidence = compare_rates(*simulate(20261129, 4_000, 100, share, rate, rate))
    assert (evidence.max(axis=-1) >= 1 / ALPHA).mean() <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_rise_from_1_to_3_percent_is_found_within_one_and_a_half_fixed_samples(share: float) -> None:
    size = fixed_sample_size(share, 0.03, 0.01, power=0.8)
    blocks = math.ceil(5 * size / BLOCK)
    found = compare_rates(*simulate(20261129, 2_000, blocks, share, 0.03, 0.01)) >= 2 / ALPHA
    requests = np.where(found.any(axis=-1), (found.argmax(axis=-1) + 1) * BLOCK, blocks * BLOCK)
    assert requests.mean() <= 1.5 * size, "on average, at half of the level"
    assert found.any(axis=-1).mean() >= 0.99, "and hardly one is missed in the end"


def test_a_common_rate_that_changes_is_not_a_difference() -> None:
    """As in an outage of something that both groups need, while the shares change, too."""
    generator = np.random.default_rng(7)
    rates = np.concatenate([np.full(40, 0.01), np.full(20, 0.5), np.full(40, 0.01)])
    shares = np.repeat([0.1, 0.25, 0.5, 0.9], 25)
    trials = generator.binomial(BLOCK, shares, (4_000, 100))
    events = generator.binomial(trials, rates), generator.binomial(BLOCK - trials, rates)
    evidence = compare_rates(
        Counts(trials.astype(float), events[0].astype(float)),
        Counts((BLOCK - trials).astype(float), events[1].astype(float)),
    )
    assert (evidence.max(axis=-1) >= 1 / ALPHA).mean() <= ALPHA


@pytest.mark.slow
def test_a_rate_at_its_limit_seems_to_exceed_it_in_at_most_1_percent_of_runs() -> None:
    counts, _ = simulate(20261129, 4_000, 100, 0.5, 0.05, 0.05)
    assert (exceed_rate(counts, 0.05).max(axis=-1) >= 1 / ALPHA).mean() <= ALPHA


def test_a_rate_beyond_its_limit_is_found() -> None:
    counts, _ = simulate(20261129, 1_000, 100, 0.5, 0.1, 0.1)
    assert (exceed_rate(counts, 0.05).max(axis=-1) >= 1 / ALPHA).mean() >= 0.99


def counts(*pairs: tuple[float, float]) -> Counts:
    trials, events = zip(*pairs, strict=True)
    return Counts(np.array(trials, dtype=float), np.array(events, dtype=float))


def test_without_requests_or_events_there_is_no_evidence() -> None:
    nothing = counts((0, 0), (0, 0))
    assert compare_rates(nothing, nothing).tolist() == [1, 1]
    assert exceed_rate(nothing, 0.05).tolist() == [1, 1]
    assert compare_rates(counts((50, 0)), counts((450, 0))).tolist() == [1]
    assert compare_rates(counts((500, 500)), counts((0, 0))).tolist() == pytest.approx([1]), "nothing to compare with"


def test_a_better_treatment_group_is_not_evidence() -> None:
    assert compare_rates(counts((500, 0)), counts((500, 50))).max() < 1
    assert exceed_rate(counts((500, 5)), 0.05).max() < 1


def test_an_event_that_must_not_happen_is_evident_at_once() -> None:
    assert exceed_rate(counts((50, 0), (50, 1)), 0.0).tolist() == [1, math.inf]
    assert exceed_rate(counts((50, 50)), 1.0).tolist() == pytest.approx([1])


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("looks", [50, pytest.param(100, marks=pytest.mark.soak)])
def test_a_correct_share_deviates_in_at_most_1_percent_of_runs(looks: int, share: float) -> None:
    generator = np.random.default_rng(20261129)
    block = 20 * BLOCK
    hits = np.cumsum(generator.binomial(block, share, (1000, looks)), axis=1)
    found = [
        any(deviate_from_share(hits[run, at], block * (at + 1), share) >= -math.log(ALPHA) for at in range(looks))
        for run in range(1000)
    ]
    assert 0 < sum(found) <= 10


def test_48_in_place_of_50_percent_deviates() -> None:
    """The likelihood's mean, at the level of a sample ratio mismatch."""
    assert deviate_from_share(480, 1000, 0.5) < 1
    assert deviate_from_share(9_600, 20_000, 0.5) > -math.log(0.0005)
    assert deviate_from_share(10_400, 20_000, 0.5) > -math.log(0.0005)
    assert deviate_from_share(10_000, 20_000, 0.5) < 0


@pytest.mark.parametrize(("hits", "share"), [(1, 0.0), (9, 1.0)])
def test_an_impossible_result_is_evident_at_once(hits: int, share: float) -> None:
    assert deviate_from_share(hits, 10, share) == math.inf
    assert deviate_from_share(10 * share, 10, share) == 0


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.01, 0.05])
def test_a_mean_is_outside_of_its_confidence_sequence_at_most_as_often_as_the_level(level: float) -> None:
    paths = np.cumsum(np.random.default_rng(20261129).standard_normal((2000, 5000)), axis=1)[:, 99:]
    sizes = np.arange(100, 5001)
    bounds = np.sqrt(sizes) * [widen(size, level) for size in sizes]
    outside = (np.abs(paths) > bounds).any(axis=1).mean()
    assert level / 10 < outside <= level
    fixed = (np.abs(paths) > NormalDist().inv_cdf(1 - level / 2) * np.sqrt(sizes)).any(axis=1).mean()
    assert fixed > 5 * level, "of an interval for one look, by contrast"


def test_a_p_value_is_the_level_at_which_the_confidence_sequence_ends() -> None:
    for size in (50, 1000, 1e6):
        assert find_p_value(widen(size, 0.05), size, 0.05) == pytest.approx(0.05)
    assert find_p_value(0, 1000, 0.05) == 1
