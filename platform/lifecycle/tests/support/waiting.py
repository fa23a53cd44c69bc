"""The one way in which tests wait: for a condition, with a generous bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMEOUT = 120.0  # seconds; a server that takes 5 on an idle machine takes 15 on a busy one


def eventually(check: Callable[[], T], expectation: str = "the condition holds", timeout: float = TIMEOUT) -> T:
    """Call `check` until it returns something true; returns that. Fails the test with the expectation on a timeout."""
    deadline = time.monotonic() + timeout
    while not (result := check()):
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {expectation}"
        time.sleep(0.05)
    return result
