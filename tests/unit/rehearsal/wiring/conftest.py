"""The stacks that connections are cut in: one of each cloud, with all that is optional."""

from __future__ import annotations

from functools import cache

import pytest

from rehearsal.helm import charts
from tests.support.declared_stack import DeclaredStack, declare_stack


# In place of that of all unit tests: what charts render is a part of the wiring.
@pytest.fixture(scope="module", autouse=True)
def _no_rendering() -> None:
    if reason := charts.explain_none_available():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def stacks(_no_rendering: None) -> dict[str, DeclaredStack]:
    """By the name of the cloud. They are for reading: the modules of one process share them."""
    return {cloud: _declare(cloud) for cloud in ("azure", "aws")}


@cache
def _declare(cloud: str) -> DeclaredStack:
    return declare_stack(f"{cloud}-full")
