"""Waiting for a condition that another process fulfils. Proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from rehearsal.kubernetes.client import ApiError

# Controllers take a second or two on an idle machine, twenty on a busy one; this allows for one three times slower.
TIMEOUT = 180.0  # seconds
_INTERVAL = 0.1  # seconds

_T = TypeVar("_T")


def eventually(check: Callable[[], _T], timeout: float = TIMEOUT) -> _T:
    """Call `check` until it returns a true value, and return that value.

    A failed assertion or an error of the API server counts as "not yet". After `timeout` seconds the last one is
    raised, or an AssertionError with the value that `check` returned. Any other exception is raised at once.
    """

    def give_up(state: RetryCallState) -> _T:
        assert state.outcome is not None
        found = state.outcome.result()  # raises the check's own failure, if it failed
        raise AssertionError(f"still {found!r} after {timeout:g} s")

    retrying = Retrying(
        stop=stop_after_delay(timeout),
        wait=wait_fixed(_INTERVAL),
        retry=retry_if_exception_type((AssertionError, ApiError)) | retry_if_result(lambda found: not found),
        retry_error_callback=give_up,
    )
    return retrying(check)
