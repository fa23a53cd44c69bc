"""The page of the settings agrees with the code, and describes every setting."""

from __future__ import annotations

from pathlib import Path

from lifecycle.reference import render

PAGE = Path(__file__).resolve().parents[3] / "docs" / "lifecycle-settings.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == render(), "run `make docs-lifecycle`"


def test_every_setting_is_explained() -> None:
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert rows
    assert not [row for row in rows if row.split("|")[-2].strip() == ""]
