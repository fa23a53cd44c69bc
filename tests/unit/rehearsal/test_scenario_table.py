"""The page of scenarios, which each run updates.

Proves what a run writes, and which results of other runs it retains; also that the project's page has a row for each
scenario and a column for each stack.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from rehearsal import project
from rehearsal.scenario_runs import SCENARIOS
from rehearsal.scenario_table import Page
from rehearsal.toolchain import ROOT

SUMMARIES = {"rain": "gets wet", "snow": "gets cold"}
TODAY = date.today()


def test_a_run_writes_its_cell_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "scenarios.md"
    Page(page, SUMMARIES, ["a", "b"]).note("rain", "b", has_passed=True)
    Page(page, SUMMARIES, ["a", "b"]).note("snow", "a", has_passed=False)
    assert [line for line in page.read_text().splitlines() if line.startswith("|")] == [
        "| scenario | a | b |",
        "|---|---|---|",
        f"| `rain` | not run | passed {TODAY} |",
        f"| `snow` | **failed** {TODAY} | not run |",
    ]
    assert "- `rain`: a stack gets wet." in page.read_text()


def test_results_of_removed_stacks_are_deleted_and_new_stacks_are_not_run(tmp_path: Path) -> None:
    page = tmp_path / "scenarios.md"
    Page(page, {"wind": "is shaken", **SUMMARIES}, ["a", "old"]).note("rain", "a", has_passed=True)
    Page(page, SUMMARIES, ["a", "new"]).note("snow", "new", has_passed=True)
    assert [line for line in page.read_text().splitlines() if line.startswith("|")][2:] == [
        f"| `rain` | passed {TODAY} | not run |",
        f"| `snow` | not run | passed {TODAY} |",
    ]


def test_a_scenario_that_does_not_apply_to_a_stack_is_not_a_missing_run(tmp_path: Path) -> None:
    page = Page(tmp_path / "scenarios.md", SUMMARIES, ["a", "b"], {("snow", "a"), ("snow", "b")})
    page.note("snow", "b", has_passed=True)
    assert [line for line in page.path.read_text().splitlines() if line.startswith("|")][2:] == [
        "| `rain` | not run | not run |",
        f"| `snow` | - | passed {TODAY} |",
    ]


def test_the_projects_page_has_every_scenario_and_stack() -> None:
    lines = (ROOT / "docs" / "scenarios.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert rows[0][1:] == project.find(ROOT).stack_names
    assert [row[0].strip("`") for row in rows[2:]] == list(SCENARIOS)
