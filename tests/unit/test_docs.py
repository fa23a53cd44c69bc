"""Documentation agrees with the tree: the ADR index, every relative link of a page, the helpers that a recipe names.

No page states how long commands take, except for docs/benchmarks.md, which a command writes.

Not proven: that the content of a page is true, except for generated content (tests/unit/infra, tests/unit/policies).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.every_case import check_every

ROOT = Path(__file__).resolve().parents[2]
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
PAGES = [*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("docs/**/*.md")]


def index_row(adr: Path) -> str:
    title, _, status = adr.read_text().splitlines()[:3]
    match = re.fullmatch(r"Status: (accepted|superseded by .+) · (\d{4}-\d\d-\d\d)", status)
    assert match, f"{adr.name} needs a third line such as 'Status: accepted · 2026-11-28'"
    return f"| [{title.removeprefix('# ')}]({adr.name}) | {match[1]} | {match[2]} |"


def test_the_adr_index_lists_every_adr_with_title_status_and_date() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text().splitlines()
    assert [line for line in index if line.startswith("| [")] == [index_row(adr) for adr in ADRS]


def test_relative_links_lead_to_a_file() -> None:
    def check(page: Path) -> None:
        targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
        assert [target for target in targets if not (page.parent / target).exists()] == []

    check_every(PAGES, check)


@pytest.mark.parametrize("cloud", ["azure", "aws"])
def test_the_helpers_for_cloud_resources_exist(cloud: str) -> None:
    recipe = (ROOT / "CONTRIBUTING.md").read_text().partition("### Add a cloud resource")[2].partition("###")[0]
    rows = [row.split("|")[1:-1] for row in recipe.splitlines() if row.startswith("   | ")]
    column = [cell.strip() for cell in rows[0]].index({"azure": "on Azure", "aws": "on AWS"}[cloud])
    cells = [row[column] for row in rows[2:]]
    code = {path.name: path.read_text() for path in (ROOT / "infra" / cloud).glob("*.py")}
    named = [name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)]
    assert len(named) > 8
    missing = [
        name
        for name in named
        if name not in code and not re.search(rf"\b(def|class) {name.rpartition('.')[2]}\b", "\n".join(code.values()))
    ]
    assert missing == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/deploying.md", "docs/architecture.md"])
def test_a_page_does_not_say_how_long_a_command_takes(page: str) -> None:
    durations = (
        r"^\s+\d[\d.]* s  |(PASSED|FAILED) in \d|make [a-z-]+.*(about|than|least) (\d+|a|some|several) (minute|second)"
    )
    assert re.findall(durations, (ROOT / page).read_text(), re.MULTILINE) == []
