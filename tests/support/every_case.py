"""Runs many cases of a few milliseconds in one test: as separate tests, their overhead would exceed the checks.

Proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

_T = TypeVar("_T")


def check_every(cases: Iterable[_T], check: Callable[[_T], None], name: Callable[[_T], str] = str) -> None:
    """Check each case. Fails after the last one with the names of the failed cases and why; also if there are none."""
    failures, count = [], 0
    for case in cases:
        count += 1
        try:
            check(case)
        except (Exception, pytest.fail.Exception) as error:
            failures.append(f"{name(case)}: {type(error).__name__}: {error}")
    assert count, "there are no cases"
    assert not failures, f"{len(failures)} of {count} cases:\n" + "\n".join(failures)
