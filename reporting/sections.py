"""Sections of a comment, cut to the length that GitHub allows: each says what it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LIMIT = 65_536
"""Characters that GitHub allows in a comment. Bytes are counted instead: every character has at least one.

Source: https://github.com/orgs/community/discussions/27190
"""

_NOTICE = "\n_{left} of {total} {what} are left out for lack of space; `{command}` shows all._\n"
_NOTICE_ROOM = 250  # bytes, with a command of at most 150


@dataclass(frozen=True)
class Section:
    """A part of a comment.

    title      heading; empty for none
    lead       short Markdown that is always kept
    rows       lines, each with its line break; if there is no room, the last ones are left out
    what       what the rows are, in the plural
    row_start  text before the first row, if there is one: a table's head
    row_end    text after the last row
    """

    title: str
    lead: str = ""
    rows: Sequence[str] = ()
    what: str = "lines"
    row_start: str = ""
    row_end: str = ""

    @property
    def fixed_size(self) -> int:
        return _measure(self._render_fixed()) + (_NOTICE_ROOM if self.rows else 0)

    @property
    def row_size(self) -> int:
        return sum(map(_measure, self.rows))

    def render(self, room: int, command: str) -> str:
        """The section with as many rows as fit into `room` bytes. `command` shows all of them."""
        kept: list[str] = []
        for row in self.rows:
            room -= _measure(row)
            if room < 0:
                break
            kept.append(row)
        left = len(self.rows) - len(kept)
        notice = _NOTICE.format(left=left, total=len(self.rows), what=self.what, command=command) if left else ""
        rows = f"{self.row_start}{''.join(kept)}{self.row_end}" if kept else ""
        return self._render_head() + rows + notice

    def _render_head(self) -> str:
        title = f"\n### {self.title}\n\n" if self.title else ""
        return title + (f"{self.lead}\n\n" if self.lead else "")

    def _render_fixed(self) -> str:
        return self._render_head() + self.row_start + self.row_end


def render_sections(sections: Sequence[Section], command: str, limit: int = LIMIT) -> str:
    """All sections, at most `limit` bytes; sections that need less than an equal share leave the rest to others.

    Raises ValueError if there is no room even without rows.
    """
    remaining = limit - sum(section.fixed_size for section in sections)
    if remaining < 0:
        raise ValueError(f"{limit} bytes have no room for the sections' headings")
    rooms: dict[int, int] = {}
    by_need = sorted(range(len(sections)), key=lambda index: sections[index].row_size)
    for position, index in enumerate(by_need):
        rooms[index] = min(sections[index].row_size, remaining // (len(sections) - position))
        remaining -= rooms[index]
    return "".join(section.render(rooms[index], command) for index, section in enumerate(sections))


def _measure(text: str) -> int:
    return len(text.encode())
