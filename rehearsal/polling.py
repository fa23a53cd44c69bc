"""Waiting for a condition: the rehearsal's one helper for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_not_result,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_exponential,
)

_GROWTH = 1.5  # factor by which the interval grows from one check to the next, up to `max_interval`

_T = TypeVar("_T")


class WaitTimeoutError(Exception):
    """The condition did not hold in time. `last_result` is what the last check returned, None if it raised."""

    def __init__(self, timeout: float, last_result: Any) -> None:
        super().__init__(f"the condition did not hold within {timeout:g} s")
        self.last_result = last_result


class WaitCancelledError(Exception):
    """The wait was cancelled."""


def wait_until(
    check: Callable[[], _T],
    *,
    timeout: float,
    interval: float = 0.1,
    max_interval: float | None = None,
    retry_on: type[Exception] | tuple[type[Exception], ...] = (),
    cancel: threading.Event | None = None,
) -> _T:
    """Call `check` until it returns a true value, and return that.

    timeout       seconds; the last check runs when they have passed, so there are at least two checks unless it is 0
    interval      seconds between two checks; with `max_interval` they grow up to that
    retry_on      exceptions of `check` that mean "not yet"; any other is raised at once
    cancel        ends the wait when it is set

    Raises WaitTimeoutError, whose cause is the last check's exception if it raised one, and WaitCancelledError.
    """
    cancel = cancel or threading.Event()
    backoff = wait_exponential(multiplier=interval, exp_base=_GROWTH, max=max_interval or interval)

    def next_interval(state: RetryCallState) -> float:
        return min(backoff(state), max(0.0, timeout - (state.seconds_since_start or 0.0)))

    def give_up(state: RetryCallState) -> NoReturn:
        if cancel.is_set():
            raise WaitCancelledError("the wait was cancelled")
        error = state.outcome.exception() if state.outcome else None
        result = state.outcome.result() if state.outcome and error is None else None
        raise WaitTimeoutError(timeout, result) from error

    retrying = Retrying(
        retry=retry_if_not_result(bool) | retry_if_exception_type(retry_on),
        stop=stop_after_delay(timeout) | stop_when_event_set(cancel),
        wait=next_interval,
        sleep=sleep_using_event(cancel),
        retry_error_callback=give_up,
    )
    return retrying(check)
