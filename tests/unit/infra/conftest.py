"""Fixtures that tests of programs share."""

from __future__ import annotations

import pytest


@pytest.fixture
def preview_warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings of a program in a preview; an update does not repeat them."""
    warnings: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", lambda text, *_: warnings.append(text))
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    return warnings
