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

from kernel.yaml_document import compose, read_bytes

FILE: Final = Path(__file__).resolve().parents[1] / "exceptions.yaml"
_TEXT: Final = "a text, in quotes where it looks like something else"
# The type of each field, and how to write it. A moment (datetime) is no day, though Python has it for one.
_FIELDS: Final = {
    "control": (str, _TEXT),
    "resource": (str, _TEXT),
    "reason": (str, _TEXT),
    "expires": (date, "a day such as 2027-11-30"),
}


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
    name = f"{path.parent.name}/{path.name}"
    content = read_bytes(path, name)
    compose(content, name)  # says where a file is not YAML, and what to do
    try:
        entries = yaml.safe_load(content) or []
    except (ValueError, yaml.YAMLError) as error:  # a day such as 2027-02-30, or a tag that nothing knows
        raise ValueError(f"{name} has a value that cannot be read: {error}.") from None
    if not isinstance(entries, list):
        raise ValueError(f"{name} has to be a list, each entry with {', '.join(_FIELDS)}: begin each with `- `.")
    problems = [problem for entry in entries for problem in _problems(entry, known_controls)]
    if problems:
        raise ValueError("\n".join(f"{name}: {problem}." for problem in problems))
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
        f"{name} needs '{field}', {form}"
        for field, (kind, form) in _FIELDS.items()
        if type(entry.get(field)) is not kind or not entry[field]
    ]
    problems += [
        f"{name} has an unknown field '{field}' (known: {', '.join(_FIELDS)})"
        for field in sorted(map(str, set(entry) - set(_FIELDS)))
    ]
    if entry.get("control") not in known_controls:
        problems.append(f"{name} does not name a control (docs/controls.md lists them)")
    return problems
