"""Waiting for what others do in their own time. Proves nothing.

Controllers take a second, mostly; on a busy machine they take many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from rehearsal.kubernetes.client import ApiError

PATIENCE = 60.0  # seconds

_T = TypeVar("_T")


def wait_for(find: Callable[..., _T], seconds: float = PATIENCE) -> _T:
    """What `find` gives, once it gives anything; a failure with the last of it after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < end, f"still {found!r} after {seconds:g} s"
        time.sleep(0.1)
    return found


def soon(look: Callable[[], _T]) -> _T:
    """What `look` gives, once it neither fails an assertion nor is refused; its last failure after a minute."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return look()
        except (AssertionError, ApiError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
