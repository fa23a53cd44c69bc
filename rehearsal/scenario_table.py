"""The page with how each scenario ended on each stack, which the runs of scenarios write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from rehearsal.atomic_file import write_if_changed

_TITLE = """# Scenarios

`make scenario NAME=<name> STACK=<stack>` takes a stack, on simulated clouds, through circumstances that change. This
page is written by these runs: how the last one of each ended, and on which day. The soak tests run them nightly, on
copies of the project, which leaves this page as it is.

"""
_NOT_RUN = "not run"


def note(
    page: Path, summaries: Mapping[str, str], stacks: Sequence[str], scenario: str, stack: str, *, has_passed: bool
) -> None:
    """Write down how a run of today ended; what other runs have written of present scenarios and stacks stays.

    summaries  what each scenario shows, by its name
    """
    cells = _read(page.read_text()) if page.exists() else {}
    cells[scenario, stack] = f"{'passed' if has_passed else '**failed**'} {date.today()}"
    page.parent.mkdir(exist_ok=True)
    write_if_changed(page, _render(summaries, stacks, cells))


def _read(text: str) -> dict[tuple[str, str], str]:
    rows = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("|")]
    if not rows:
        return {}
    header = rows[0]
    return {
        (row[0].strip("`"), stack): cell for row in rows[2:] for stack, cell in zip(header[1:], row[1:], strict=False)
    }


def _render(summaries: Mapping[str, str], stacks: Sequence[str], cells: Mapping[tuple[str, str], str]) -> str:
    lines = [f"| scenario | {' | '.join(stacks)} |", f"|---|{'---|' * len(stacks)}"]
    for scenario in summaries:
        row = [cells.get((scenario, stack), _NOT_RUN) for stack in stacks]
        lines.append(f"| `{scenario}` | {' | '.join(row)} |")
    meanings = [f"- `{scenario}`: a stack {summary}." for scenario, summary in summaries.items()]
    return "\n".join([_TITLE + "\n".join(lines), "", "What each shows:", "", *meanings, ""])
