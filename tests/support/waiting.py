"""Waiting for a condition that others bring about in their own time. Proves nothing."""

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
    """Call `check` until it returns something true, and return that.

    A failed assertion and an answer of the API server's that refuses count as "not yet". After `timeout` seconds the
    last of them is raised, or an AssertionError with what `check` returned. Any other exception is raised at once.
    """

    def give_up(state: RetryCallState) -> _T:
        assert state.outcome is not None
        found = state.outcome.result()  # raises the check's own failure, where it failed
        raise AssertionError(f"still {found!r} after {timeout:g} s")

    retrying = Retrying(
        stop=stop_after_delay(timeout),
        wait=wait_fixed(_INTERVAL),
        retry=retry_if_exception_type((AssertionError, ApiError)) | retry_if_result(lambda found: not found),
        retry_error_callback=give_up,
    )
    return retrying(check)
