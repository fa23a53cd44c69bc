"""Reviewed exceptions from controls, each with a reason and an expiry.

They concern resources as the program names them, and objects that charts render, as `<chart>/<Kind>/<name>`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("exceptions.yaml")
_FIELDS = {"control": str, "resource": str, "reason": str, "expires": date}


@dataclass(frozen=True)
class ReviewedException:
    """`control` does not hold for what is called `resource`, a shell pattern, up to and including `expires`."""

    control: str
    resource: str
    reason: str
    expires: date

    def covers(self, control: str, resource: str, today: date) -> bool:
        return self.control == control and self.names(resource) and today <= self.expires

    def names(self, resource: str) -> bool:
        """Part by part: a star must not reach over the slash from a chart's name into its objects'."""
        patterns, parts = self.resource.split("/"), resource.split("/")
        return len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns))


def load(known_controls: Collection[str], path: Path = FILE) -> list[ReviewedException]:
    """The exceptions in the file. Raises ValueError that names every entry that is not well formed."""
    entries = yaml.safe_load(path.read_text()) or []
    complaints = [complaint for entry in entries for complaint in _complaints(entry, known_controls)]
    if complaints:
        raise ValueError(f"{path.name}: {'; '.join(complaints)}")
    return [ReviewedException(**entry) for entry in entries]


def covered(exceptions: Iterable[ReviewedException], control: str, resource: str) -> bool:
    """Whether an exception that has not expired (by UTC's date) takes this resource out of this control."""
    today = datetime.now(UTC).date()
    return any(exception.covers(control, resource, today) for exception in exceptions)


def _complaints(entry: Any, known_controls: Collection[str]) -> list[str]:
    if not isinstance(entry, Mapping):
        return [f"{entry!r} is not an entry with {', '.join(_FIELDS)}"]
    name = f"the exception from '{entry.get('control')}' for '{entry.get('resource')}'"
    complaints = [
        f"{name} needs '{field}', a {kind.__name__}"
        for field, kind in _FIELDS.items()
        if not isinstance(entry.get(field), kind) or not entry[field]
    ]
    complaints += [f"{name} has '{field}', which means nothing" for field in sorted(set(entry) - set(_FIELDS))]
    if entry.get("control") not in known_controls:
        complaints.append(f"{name} names no control (docs/controls.md lists them)")
    return complaints
