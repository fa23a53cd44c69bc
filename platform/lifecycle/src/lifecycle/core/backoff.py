"""Delays before a failed operation is retried."""

from __future__ import annotations

import random

_MAX_DOUBLINGS = 64  # enough for any limit; without a cap, endless retries would overflow a float


def choose_delay(first: float, failures: int, longest: float) -> float:
    """Seconds to wait: `first` doubled for each failure, at most `longest`, times a random factor of 0.5 to 1.

    The random factor keeps operations that failed together from being retried together.
    """
    return min(longest, first * 2.0 ** min(failures, _MAX_DOUBLINGS)) * random.uniform(0.5, 1)  # noqa: S311
