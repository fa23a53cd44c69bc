"""What tests of programs share."""

from __future__ import annotations

import pytest


@pytest.fixture
def preview_warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a program warns of in a preview; an update has nothing to say that its preview has not said."""
    warnings: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", lambda text, *_: warnings.append(text))
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    return warnings
