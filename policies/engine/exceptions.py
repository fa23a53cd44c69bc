"""Reviewed exceptions from controls, each with an owner, a reason and an expiry date.

They name resources by their name in the program, and objects that charts render as `<chart>/<Kind>/<name>`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from kernel.reviewed_entries import DAY, TEXT, find_today, list_field_problems, read_valid_entries
from policies.engine.type_names import canonical_type

FILE: Final = Path(__file__).resolve().parents[1] / "exceptions.yaml"
LONGEST_TERM: Final = 366
"""Days from today to the latest day on which an exception may expire. The pack's configuration can change it."""

_FIELDS: Final = {
    "control": TEXT,
    "resource": TEXT,
    "owner": TEXT,
    "reason": TEXT,
    "expires": DAY,
    "type": TEXT,
    "stack": TEXT,
}
_OPTIONAL: Final = ("type", "stack")
_REQUIRED: Final = [field for field in _FIELDS if field not in _OPTIONAL]


@dataclass(frozen=True)
class Subject:
    """The resource for which an exception is looked up; `type` and `stack` are empty if they are not known."""

    name: str
    type: str = ""
    stack: str = ""


@dataclass(frozen=True)
class ReviewedException:
    """Exempts resources from a control up to and including the day `expires`.

    `resource`, `type` and `stack` are shell patterns. Only a star matches a type or stack that is not known.
    """

    control: str
    resource: str
    reason: str
    expires: date
    owner: str = ""
    type: str = "*"
    stack: str = "*"

    def covers(self, control: str, resource: str | Subject, today: date) -> bool:
        return self.concerns(control, resource) and today <= self.expires

    def concerns(self, control: str, resource: str | Subject) -> bool:
        """Whether the exception is from this control for this resource, expired or not."""
        subject = Subject(resource) if isinstance(resource, str) else resource
        return self.control == control and self.selects(subject)

    def selects(self, subject: Subject) -> bool:
        """Whether the exception is for this resource, from any control."""
        is_type = fnmatchcase(canonical_type(subject.type), self.type) or fnmatchcase(subject.type, self.type)
        return is_type and fnmatchcase(subject.stack, self.stack) and self.matches(subject.name)

    def matches(self, resource: str) -> bool:
        """Whether the pattern matches a name, compared part by part: a star does not match a slash."""
        patterns, parts = self.resource.split("/"), resource.split("/")
        return len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns))

    def __str__(self) -> str:
        return f"the exception from '{self.control}' for '{self.resource}'"


def load(
    known_controls: Collection[str], path: Path = FILE, longest_term: int = LONGEST_TERM
) -> list[ReviewedException]:
    """The exceptions in a file. Raises ValueError with the problems of every malformed entry.

    `longest_term` is in days from today.
    """
    last = find_today() + timedelta(days=longest_term)
    entries = read_valid_entries(path, _REQUIRED, lambda entry: _problems(entry, known_controls, last))
    return [ReviewedException(**entry) for entry in entries]


def _problems(entry: Any, known_controls: Collection[str], last: date) -> list[str]:
    if not isinstance(entry, Mapping):
        return [f"{entry!r} is not an entry with {', '.join(_REQUIRED)}"]
    name = f"the exception from '{entry.get('control')}' for '{entry.get('resource')}'"
    problems = list(list_field_problems(entry, name, _FIELDS, _OPTIONAL))
    if entry.get("control") not in known_controls:
        problems.append(f"{name} does not name a control (docs/controls.md lists them)")
    expires = entry.get("expires")
    if type(expires) is date and expires > last:
        problems.append(f"{name} expires on {expires}, which is too late: it may expire on {last} at the latest")
    return problems
