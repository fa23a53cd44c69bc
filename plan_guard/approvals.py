"""Approvals of losses of data: a reviewed YAML list, each entry with reason, approver and its last valid day."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from kernel.reviewed_entries import DAY, TEXT, find_today, list_field_problems, read_valid_entries, suggest
from plan_guard.holdings import HOLDINGS, find_holding, normalize_type
from plan_guard.plan import Operation, PlannedChange

LONGEST_TERM: Final = timedelta(days=31)
"""An approval is for one deployment, not for a year of them: a loss in a later one is another decision."""

_FIELDS: Final = {
    "stack": TEXT,
    "type": TEXT,
    "name": TEXT,
    "urn": TEXT,
    "operation": TEXT,
    "reason": TEXT,
    "approver": TEXT,
    "expires": DAY,
}
_REQUIRED: Final = ("stack", "operation", "reason", "approver", "expires")
_OPTIONAL: Final = ("type", "name", "urn")


class ApprovalError(ValueError):
    """A file of approvals that cannot be used; the message has every problem in it, one per line."""


@dataclass(frozen=True)
class Approval:
    """Allows one loss of a resource, named by `urn` or by `type` and `name`, up to and including the day `expires`."""

    stack: str
    operation: str
    reason: str
    approver: str
    expires: date
    type: str = ""
    name: str = ""
    urn: str = ""

    def names(self, change: PlannedChange) -> bool:
        """Whether it is for this resource and this operation, expired or not."""
        if self.operation != change.operation:
            return False
        if self.urn:
            return self.urn == change.urn
        return (normalize_type(self.type), self.name) == (normalize_type(change.type), change.name)

    @property
    def subject(self) -> str:
        return self.urn or f"{self.type} {self.name}"

    def __str__(self) -> str:
        return f"the approval of {self.approver} to {self.operation} {self.subject} in {self.stack}"


def load_approvals(path: Path, known_stacks: Collection[str] = ()) -> list[Approval]:
    """The approvals in a file; none if it does not exist. Raises ApprovalError with all problems.

    `known_stacks` are the stacks of the project, if they are known, so that a misspelt one is found.
    """
    if not path.exists():
        return []
    last = find_today() + LONGEST_TERM
    try:
        entries = read_valid_entries(path, _REQUIRED, lambda entry: _find_problems(entry, known_stacks, last))
    except ValueError as error:
        raise ApprovalError(str(error)) from None
    return [Approval(**entry) for entry in entries]


def _find_problems(entry: Any, known_stacks: Collection[str], last: date) -> Sequence[str]:
    if not isinstance(entry, Mapping):
        return [f"{entry!r} is not an entry with {', '.join(_REQUIRED)}, and `urn`, or `type` and `name`"]
    subject = entry.get("urn") or f"{entry.get('type')} {entry.get('name')}"
    label = f"the approval for {subject} in {entry.get('stack')}"
    if problems := list(list_field_problems(entry, label, _FIELDS, _OPTIONAL)):
        return problems
    return [f"{label} {problem}" for problem in _find_contradictions(entry, known_stacks, last)]


def _find_contradictions(entry: Mapping[str, Any], known_stacks: Collection[str], last: date) -> Iterator[str]:
    """Problems with an entry whose fields are all present and of the right type."""
    if entry["operation"] not in set(Operation):
        yield _describe_unknown("operation", entry["operation"], list(Operation))
    if known_stacks and entry["stack"] not in known_stacks:
        yield _describe_unknown("stack", entry["stack"], known_stacks)
    if ("urn" in entry) == ("type" in entry or "name" in entry) or ("type" in entry) != ("name" in entry):
        yield "must name its resource either by `urn`, or by `type` and `name`"
        return
    if "urn" in entry and not entry["urn"].startswith(f"urn:pulumi:{entry['stack']}::"):
        yield f"has a URN of another stack: URNs of {entry['stack']} begin with 'urn:pulumi:{entry['stack']}::'"
        return
    type_ = entry["type"] if "type" in entry else entry["urn"].split("::")[2].rpartition("$")[2]
    if not find_holding(type_):
        yield f"names the type '{type_}', which holds no data that the guard knows of{suggest(type_, HOLDINGS)}"
    if entry["expires"] > last:
        yield f"expires on {entry['expires']}, which is too late: an approval may expire on {last} at the latest"


def _describe_unknown(field: str, value: str, known: Collection[str]) -> str:
    return f"has an unknown {field} '{value}'{suggest(value, known)} (known: {', '.join(known)})"
