"""Reviewed exceptions from controls, each with a reason and an expiry date.

They name resources as the program does, and objects that charts render as `<chart>/<Kind>/<name>`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import yaml

FILE: Final = Path(__file__).resolve().parents[1] / "exceptions.yaml"
_FIELDS: Final = {"control": str, "resource": str, "reason": str, "expires": date}


@dataclass(frozen=True)
class ReviewedException:
    """Takes resources out of a control up to and including the day `expires`; `resource` is a shell pattern."""

    control: str
    resource: str
    reason: str
    expires: date

    def covers(self, control: str, resource: str, today: date) -> bool:
        return self.control == control and self.matches(resource) and today <= self.expires

    def matches(self, resource: str) -> bool:
        """Whether the pattern matches a name, compared part by part: a star does not match a slash."""
        patterns, parts = self.resource.split("/"), resource.split("/")
        return len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns))


def load(known_controls: Collection[str], path: Path = FILE) -> list[ReviewedException]:
    """The exceptions in a file. Raises ValueError with every malformed entry and what is wrong with it."""
    entries = yaml.safe_load(path.read_text()) or []
    problems = [problem for entry in entries for problem in _problems(entry, known_controls)]
    if problems:
        raise ValueError(f"{path.name}: {'; '.join(problems)}")
    return [ReviewedException(**entry) for entry in entries]


def is_covered(exceptions: Iterable[ReviewedException], control: str, resource: str) -> bool:
    """Whether an exception that has not expired (today is the date in UTC) takes the resource out of the control."""
    today = datetime.now(UTC).date()
    return any(exception.covers(control, resource, today) for exception in exceptions)


def _problems(entry: Any, known_controls: Collection[str]) -> list[str]:
    if not isinstance(entry, Mapping):
        return [f"{entry!r} is not an entry with {', '.join(_FIELDS)}"]
    name = f"the exception from '{entry.get('control')}' for '{entry.get('resource')}'"
    problems = [
        f"{name} needs '{field}', a {kind.__name__}"
        for field, kind in _FIELDS.items()
        if not isinstance(entry.get(field), kind) or not entry[field]
    ]
    problems += [
        f"{name} has an unknown field '{field}' (known: {', '.join(_FIELDS)})"
        for field in sorted(set(entry) - set(_FIELDS))
    ]
    if entry.get("control") not in known_controls:
        problems.append(f"{name} does not name a control (docs/controls.md lists them)")
    return problems
