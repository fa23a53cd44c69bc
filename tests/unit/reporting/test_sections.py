"""A comment is not longer than GitHub allows, and says what it leaves out.

Proves the limit in bytes, which is stricter than GitHub's limit in characters.
"""

from __future__ import annotations

import re

import pytest

from reporting.sections import LIMIT, Section, render_sections

COMMAND = "make report STACK=azure-dev FORMAT=html"


def section(title: str, count: int, text: str = "x" * 90) -> Section:
    return Section(title, "lead", [f"| {text} {number} |\n" for number in range(count)], "rows", "| |\n|---|\n")


def test_sections_that_fit_are_complete() -> None:
    text = render_sections([section("One", 3), section("Two", 0)], COMMAND)
    assert "left out" not in text
    assert text.count("| x") == 3
    assert "### Two" in text


@pytest.mark.parametrize("counts", [(5000, 5000, 5000), (5000, 2, 0), (10, 5000, 400), (1, 1, 100_000)])
@pytest.mark.parametrize("text", ["x" * 90, "模" * 60])
def test_rows_that_do_not_fit_are_left_out_and_counted(counts: tuple[int, ...], text: str) -> None:
    sections = [section(f"S{index}", count, text) for index, count in enumerate(counts)]
    comment = render_sections(sections, COMMAND)
    assert len(comment.encode()) <= LIMIT
    assert len(comment.encode()) > LIMIT * 0.9
    left = [int(count) for count in re.findall(r"_(\d+) of \d+ rows are left out", comment)]
    shown = comment.count(f"| {text}")
    assert shown + sum(left) == sum(counts)
    assert COMMAND in comment


def test_a_small_section_is_complete_beside_a_large_one() -> None:
    comment = render_sections([section("Large", 50_000), section("Small", 40)], COMMAND)
    assert "left out" not in comment.partition("### Small")[2]


def test_sections_that_are_too_large_share_the_space() -> None:
    one, other = render_sections([section("One", 5000), section("Other", 5000)], COMMAND).split("### Other")
    assert abs(one.count("| x") - other.count("| x")) <= 1


def test_a_row_that_is_too_long_is_left_out_rather_than_cut() -> None:
    comment = render_sections([Section("One", rows=["a" * LIMIT], what="rows")], COMMAND)
    assert "_1 of 1 rows are left out" in comment


def test_a_limit_without_room_for_headings_is_an_error() -> None:
    with pytest.raises(ValueError, match="no room"):
        render_sections([section("One", 1)], COMMAND, limit=20)
