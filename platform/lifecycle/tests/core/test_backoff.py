"""Delays before retries: they grow to a bound, and stay there for as long as a failure lasts."""

from __future__ import annotations

import pytest

from lifecycle.core.backoff import choose_delay


@pytest.mark.parametrize(("failures", "expected"), [(0, 1), (1, 2), (3, 8), (10, 60), (5_000, 60)])
def test_a_delay_doubles_up_to_its_bound(failures: int, expected: float) -> None:
    delays = [choose_delay(1.0, failures, 60.0) for _ in range(100)]
    assert expected / 2 <= min(delays) <= max(delays) <= expected
    assert len(set(delays)) > 1, "operations that failed together would be retried together"
