"""Lists that people review, in YAML: entries that say who allows what, why, and until which day."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from kernel.yaml_document import compose, decode, read_bytes

TEXT: Final = (str, "a text, in quotes where it looks like something else")
DAY: Final = (date, "a day such as 2027-11-30")

# The parser in C, where PyYAML has it, takes a tenth of the time, but has no words of its own for what is wrong.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

FindProblems: TypeAlias = Callable[[Any], Iterable[str]]
Fields = Mapping[str, tuple[type, str]]
"""The type of each field, and how to write it. A moment (datetime) is no day, though Python has it for one."""


def find_today() -> date:
    """The date in UTC, which decides whether an entry has expired."""
    return datetime.now(UTC).date()


def read_entries(path: Path, fields: Collection[str]) -> list[Any]:
    """The entries in a file, whatever they are. Raises ValueError where it cannot be read, or is no list.

    `fields` are those that an entry needs, for the message.
    """
    name = shorten(path)
    content = read_bytes(path, name)
    text = decode(content, name)
    try:
        entries = yaml.load(text, _LOADER) or []  # noqa: S506 both are safe
    except (ValueError, yaml.YAMLError) as error:
        compose(content, name)  # says where a file is not YAML, and what to do
        # A day such as 2027-02-30, or a tag that nothing knows.
        raise ValueError(f"{name} has a value that cannot be read: {error}.") from None
    if not isinstance(entries, list):
        raise ValueError(f"{name} has to be a list, each entry with {', '.join(fields)}: begin each with `- `.")
    return entries


def read_valid_entries(path: Path, fields: Collection[str], find_problems: FindProblems) -> list[Any]:
    """The entries in a file of which `find_problems` finds nothing wrong with any; see `read_entries`.

    Raises ValueError with every problem of every entry.
    """
    entries = read_entries(path, fields)
    problems = [problem for entry in entries for problem in find_problems(entry)]
    if problems:
        raise ValueError("\n".join(f"{shorten(path)}: {problem}." for problem in problems))
    return entries


def list_field_problems(
    entry: Mapping[Any, Any], label: str, fields: Fields, optional: Collection[str] = ()
) -> Iterator[str]:
    """What is wrong with the fields of an entry, which messages call `label`."""
    for field, (kind, form) in fields.items():
        if (field in entry or field not in optional) and (type(entry.get(field)) is not kind or not entry[field]):
            yield f"{label} needs '{field}', {form}"
    for field in sorted(map(str, set(entry) - set(fields))):
        yield f"{label} has an unknown field '{field}'{suggest(field, fields)} (known: {', '.join(fields)})"


def suggest(name: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """`: did you mean 'x'?` of the nearest name; empty where none is near."""
    similar = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f": did you mean '{similar[0]}'?" if similar else ""


def shorten(path: Path) -> str:
    """What messages call a file: its folder and its name."""
    return f"{path.parent.name}/{path.name}"
