"""Waiting for the steps of a scenario, with an error for people when the time is up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rehearsal.console import UserError
from rehearsal.polling import WaitTimeoutError, wait_until

TIMEOUT = 360.0  # seconds; the slowest step, a model server's start, takes half a minute, and longer on a busy machine
_INTERVAL = 0.4  # seconds


def wait_for_step(
    check: Callable[[], Any], failure: str, describe: Callable[[], str] = str, timeout: float | None = None
) -> None:
    """Wait until `check` returns a true value.

    `failure` states what has not happened, `describe` returns details. Raises UserError with both after `timeout`
    seconds, TIMEOUT by default.
    """
    timeout = TIMEOUT if timeout is None else timeout
    try:
        wait_until(check, timeout=timeout, interval=_INTERVAL)
    except WaitTimeoutError:
        raise UserError(f"{failure} after {timeout:g} s. {describe()}".rstrip()) from None
