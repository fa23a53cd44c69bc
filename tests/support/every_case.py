"""One test over many cases of milliseconds: as tests of their own they would cost more than what they check.

Proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

_T = TypeVar("_T")


def check_every(cases: Iterable[_T], check: Callable[[_T], None], name: Callable[[_T], str] = str) -> None:
    """Check each case. Fails after the last one with the name of each that failed, and why; and where there is none."""
    failures, count = [], 0
    for case in cases:
        count += 1
        try:
            check(case)
        except (Exception, pytest.fail.Exception) as error:
            failures.append(f"{name(case)}: {type(error).__name__}: {error}")
    assert count, "there are no cases"
    assert not failures, f"{len(failures)} of {count} cases:\n" + "\n".join(failures)
