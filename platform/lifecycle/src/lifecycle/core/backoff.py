"""Delays before what failed is tried again."""

from __future__ import annotations

import random

_MAX_DOUBLINGS = 64  # enough for every bound; what is retried for ever would exceed what a float can hold


def choose_delay(first: float, failures: int, longest: float) -> float:
    """Seconds to wait: `first` doubled for each failure, at most `longest`, and at random from half of that on.

    Random, so that what failed together is not retried together.
    """
    return min(longest, first * 2.0 ** min(failures, _MAX_DOUBLINGS)) * random.uniform(0.5, 1)  # noqa: S311
