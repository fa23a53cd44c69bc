"""Users are assigned uniformly, independently between experiments, and keep their variant while a share grows.

Proven on a million users each, by chi-square tests on fixed users, so the result is the same in every run. Not proven:
that user IDs of other forms are spread equally well, which relies on a property of SHA-256.
"""

from __future__ import annotations

import hashlib
import unicodedata

import numpy as np
import pytest
from scipy import stats

from lifecycle.experiment.assignment import (
    EMPTY,
    INVALID,
    MAX_USER_BYTES,
    MISSING,
    TOO_LONG,
    UserIdError,
    decide,
    find_bucket,
    parse_user_id,
)
from lifecycle.gitops.experiments import BUCKETS

USERS = 1_000_000
SIGNIFICANCE = 0.001  # a correct hash would fail for one in a thousand sets of users; this one passes


def buckets(experiment: str) -> np.ndarray:
    return np.fromiter((find_bucket(experiment, f"user-{number}") for number in range(USERS)), dtype=np.int64)


@pytest.fixture(scope="module")
def two() -> tuple[np.ndarray, np.ndarray]:
    """The buckets of a million users in two experiments whose names differ in one character."""
    return buckets("churn-1"), buckets("churn-2")


@pytest.mark.slow
def test_users_are_spread_uniformly_over_the_buckets(two: tuple[np.ndarray, np.ndarray]) -> None:
    for experiment in two:
        assert stats.chisquare(np.bincount(experiment, minlength=BUCKETS)).pvalue > SIGNIFICANCE


@pytest.mark.slow
def test_by_default_a_tenth_gets_the_challenger(two: tuple[np.ndarray, np.ndarray]) -> None:
    observed = np.bincount(two[0] < 1000, minlength=2)
    assert stats.chisquare(observed, [0.9 * USERS, 0.1 * USERS]).pvalue > SIGNIFICANCE


@pytest.mark.slow
def test_experiments_are_independent(two: tuple[np.ndarray, np.ndarray]) -> None:
    """Tested for variants at 90/10, and for tenths of the buckets."""
    for classes in ([np.digitize(one, [1000]) for one in two], [one // 1000 for one in two]):
        table = np.histogram2d(*classes, bins=(classes[0].max() + 1, classes[1].max() + 1))[0]
        assert stats.chi2_contingency(table).pvalue > SIGNIFICANCE


@pytest.mark.slow
def test_the_tests_above_find_a_hash_that_is_not_independent(two: tuple[np.ndarray, np.ndarray]) -> None:
    """One that ignores the experiment in the second of a hundred users."""
    first, second = two
    mixed = np.where(np.arange(USERS) % 100 == 1, first, second)
    table = np.histogram2d(first // 1000, mixed // 1000, bins=(10, 10))[0]
    assert stats.chi2_contingency(table).pvalue < SIGNIFICANCE


def test_with_a_growing_share_users_keep_the_challenger() -> None:
    users = [f"user-{number}" for number in range(20_000)]
    inside: set[str] = set()
    for share in (0, 1, 100, 1000, 2500, 5000, 9999, BUCKETS):
        now = {user for user in users if decide("churn", user, share).variant == "challenger"}
        assert inside <= now, share
        inside = now
    assert inside == set(users)


def test_the_hash_is_the_documented_one() -> None:
    digits = hashlib.sha256("churn/Zoë".encode()).hexdigest()[:14]
    assert find_bucket("churn", "Zoë") == int(digits, 16) % 10_000 == 8094


def test_a_user_id_is_utf8_in_normal_form_without_white_space_around_it() -> None:
    for form in ("NFC", "NFD"):
        assert parse_user_id(unicodedata.normalize(form, " Zoë 李🙂 ").encode()) == unicodedata.normalize(
            "NFC", "Zoë 李🙂"
        )
    assert parse_user_id(b"x" * MAX_USER_BYTES) == "x" * MAX_USER_BYTES


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, MISSING),
        (b"", EMPTY),
        (b" \t ", EMPTY),
        ("\N{NO-BREAK SPACE}".encode(), EMPTY),
        (b"x" * (MAX_USER_BYTES + 1), TOO_LONG),
        (b"Zo\xeb", INVALID),  # Latin-1
    ],
)
def test_an_invalid_user_id_has_a_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(UserIdError) as error:
        parse_user_id(value)
    assert error.value.reason == reason
