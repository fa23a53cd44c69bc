"""Waiting for what a control plane does in its own time. Proves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def wait_for(find: Callable[..., _T], seconds: float = 20) -> _T:
    """What `find` gives, once it gives anything; a failure with the last of it after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < end, f"still {found!r} after {seconds} s"
        time.sleep(0.1)
    return found
