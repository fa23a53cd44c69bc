"""Waiting for a condition: what ends a wait, and how."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from rehearsal.polling import WaitCancelledError, WaitTimeoutError, wait_until

TIMEOUT = 60.0  # seconds; generous, since no test that passes waits for it


def sequence(*outcomes: Any) -> Callable[[], Any]:
    """A check with these outcomes, one per call; exceptions are raised."""
    remaining = iter(outcomes)

    def check() -> Any:
        outcome = next(remaining)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return check


def test_the_first_true_result_is_returned() -> None:
    assert wait_until(sequence(None, [], 0, "there", "later"), timeout=TIMEOUT, interval=0.001) == "there"


def test_a_timeout_carries_the_last_result() -> None:
    with pytest.raises(WaitTimeoutError, match=r"within 0.01 s") as caught:
        wait_until(list, timeout=0.01, interval=0.001)
    assert caught.value.last_result == []


def test_a_timeout_of_zero_checks_once() -> None:
    with pytest.raises(WaitTimeoutError):
        wait_until(sequence(False, True), timeout=0)


def test_the_last_check_is_made_when_the_time_has_passed() -> None:
    started = time.monotonic()
    assert wait_until(lambda: time.monotonic() >= started + 0.05, timeout=0.05, interval=TIMEOUT)


def test_listed_exceptions_mean_not_yet() -> None:
    check = sequence(KeyError(), False, KeyError(), True)
    assert wait_until(check, timeout=TIMEOUT, interval=0.001, retry_on=KeyError)
    with pytest.raises(WaitTimeoutError) as caught:
        wait_until(sequence(KeyError("x")), timeout=0, retry_on=(KeyError, ValueError))
    assert isinstance(caught.value.__cause__, KeyError)


def test_other_exceptions_are_raised() -> None:
    with pytest.raises(ValueError, match="broken"):
        wait_until(sequence(ValueError("broken"), True), timeout=TIMEOUT, retry_on=KeyError)


def test_a_wait_can_be_cancelled_while_it_sleeps() -> None:
    cancel = threading.Event()
    threading.Timer(0.01, cancel.set).start()
    with pytest.raises(WaitCancelledError):
        wait_until(lambda: False, timeout=TIMEOUT, interval=TIMEOUT, cancel=cancel)
