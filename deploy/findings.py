"""The findings of a check: what is present, what is missing with its remedy, and what could not be determined."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_WIDTH = 120


class Status(StrEnum):
    OK = "ok"
    MISSING = "missing"  # stops every command that needs it
    NOTE = "note"  # worth knowing, or could not be determined: stops nothing


@dataclass(frozen=True)
class Finding:
    """One line of a preflight.

    subject  what was checked: `credentials`
    text     what was found, or what is wrong with it
    remedy   what to do about it, as an imperative; empty if the text says it
    """

    subject: str
    status: Status
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding(subject, Status.OK, text)


def missing(subject: str, text: str, remedy: str = "") -> Finding:
    return Finding(subject, Status.MISSING, text, remedy)


def note(subject: str, text: str, remedy: str = "") -> Finding:
    return Finding(subject, Status.NOTE, text, remedy)


def list_missing(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.status is Status.MISSING]


def render(findings: Sequence[Finding]) -> str:
    """A table of findings: status, subject, text and remedy; further lines of a text are indented below it."""
    width = max((len(finding.subject) for finding in findings), default=0)
    return "\n".join(_render_finding(finding, width) for finding in findings)


def _render_finding(finding: Finding, width: int) -> str:
    start = f"  {finding.status:<7}  {finding.subject:<{width}}  "
    texts = [*finding.text.splitlines(), *([f"Remedy: {finding.remedy}."] if finding.remedy else [])]
    indent = " " * len(start)
    lines = [
        line
        for text in texts
        for line in textwrap.wrap(text, _WIDTH - len(start), break_long_words=False, break_on_hyphens=False) or [""]
    ]
    return f"\n{indent}".join([start + lines[0], *lines[1:]])
