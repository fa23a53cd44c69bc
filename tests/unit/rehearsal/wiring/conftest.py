"""The stacks in which connections are cut: one per cloud, with all optional components."""

from __future__ import annotations

from functools import cache

import pytest

from rehearsal.helm import charts
from tests.support.declared_stack import DeclaredStack, declare_stack


# Overrides the fixture of all unit tests, since rendered charts are a part of the wiring.
@pytest.fixture(scope="module", autouse=True)
def _no_rendering() -> None:
    if reason := charts.explain_none_available():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def stacks(_no_rendering: None) -> dict[str, DeclaredStack]:
    """Keyed by cloud. Read-only: the modules of one process share them."""
    return {cloud: _declare(cloud) for cloud in ("azure", "aws")}


@cache
def _declare(cloud: str) -> DeclaredStack:
    return declare_stack(f"{cloud}-full")
