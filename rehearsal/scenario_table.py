"""The page with the last result of each scenario on each stack, written by the runs of scenarios."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rehearsal.atomic_file import write_if_changed

_TITLE = """# Scenarios

`make scenario NAME=<name> STACK=<stack>` takes a stack, on simulated clouds, through changing circumstances;
`NAME=all` runs all scenarios, and those that start with the stack in a fresh account share one deployment.
The runs write this page: the result of the last run of each, and its date. The soak tests run them nightly on
copies of the project, so this page does not change.

"""
_NOT_RUN, _LEFT_OUT = "not run", "-"


@dataclass(frozen=True)
class Page:
    """
    path       the page, which need not exist
    summaries  what each scenario shows, keyed by name
    stacks     names of the stacks
    left_out   pairs of a scenario and a stack that it does not apply to
    """

    path: Path
    summaries: Mapping[str, str]
    stacks: Sequence[str]
    left_out: Collection[tuple[str, str]] = ()

    def note(self, scenario: str, stack: str, *, has_passed: bool) -> None:
        """Record today's result of a run; results of other runs are kept if their scenario and stack still exist."""
        cells = _read(self.path.read_text()) if self.path.exists() else {}
        cells[scenario, stack] = f"{'passed' if has_passed else '**failed**'} {date.today()}"
        self.path.parent.mkdir(exist_ok=True)
        write_if_changed(self.path, self._render(cells))

    def _render(self, cells: Mapping[tuple[str, str], str]) -> str:
        lines = [f"| scenario | {' | '.join(self.stacks)} |", f"|---|{'---|' * len(self.stacks)}"]
        for scenario in self.summaries:
            row = [self._describe(cells, scenario, stack) for stack in self.stacks]
            lines.append(f"| `{scenario}` | {' | '.join(row)} |")
        meanings = [f"- `{scenario}`: a stack {summary}." for scenario, summary in self.summaries.items()]
        return "\n".join([_TITLE + "\n".join(lines), "", "What each shows:", "", *meanings, ""])

    def _describe(self, cells: Mapping[tuple[str, str], str], scenario: str, stack: str) -> str:
        found = cells.get((scenario, stack), _NOT_RUN)
        return _LEFT_OUT if found == _NOT_RUN and (scenario, stack) in self.left_out else found


def _read(text: str) -> dict[tuple[str, str], str]:
    rows = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("|")]
    if not rows:
        return {}
    header = rows[0]
    return {
        (row[0].strip("`"), stack): cell for row in rows[2:] for stack, cell in zip(header[1:], row[1:], strict=False)
    }
