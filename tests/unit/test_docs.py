"""Documentation agrees with the tree: the ADR index, and every relative link of a page.

Not proven: that what a page says is true, beyond what is generated (tests/unit/infra, tests/unit/policies).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
PAGES = [*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("docs/**/*.md")]


def index_row(adr: Path) -> str:
    title, _, status = adr.read_text().splitlines()[:3]
    found = re.fullmatch(r"Status: (accepted|superseded by .+) · (\d{4}-\d\d-\d\d)", status)
    assert found, f"{adr.name} needs a third line such as 'Status: accepted · 2026-11-28'"
    return f"| [{title.removeprefix('# ')}]({adr.name}) | {found[1]} | {found[2]} |"


def test_the_adr_index_lists_every_adr_with_title_status_and_date() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text().splitlines()
    assert [line for line in index if line.startswith("| [")] == [index_row(adr) for adr in ADRS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
