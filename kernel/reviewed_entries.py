"""YAML lists that people review: each entry says who allows what, why, and until which day."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from kernel.yaml_document import compose, decode, read_bytes

TEXT: Final = (str, "text, in quotes if YAML would read it as another type")
DAY: Final = (date, "a day such as 2027-11-30")

# If PyYAML has its parser in C, that takes a tenth of the time, but its errors do not explain what is wrong.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

FindProblems: TypeAlias = Callable[[Any], Iterable[str]]
Fields = Mapping[str, tuple[type, str]]
"""The type of each field, and how to write it. A datetime is not accepted as a day, though it is a `date`."""


def find_today() -> date:
    """The date in UTC, which decides whether an entry has expired."""
    return datetime.now(UTC).date()


def read_entries(path: Path, fields: Collection[str]) -> list[Any]:
    """The entries in a file, not validated. Raises ValueError if it cannot be read, or is not a list.

    `fields` are the required fields of an entry, for the message.
    """
    name = shorten(path)
    content = read_bytes(path, name)
    text = decode(content, name)
    try:
        entries = yaml.load(text, _LOADER) or []  # noqa: S506 both are safe
    except (ValueError, yaml.YAMLError) as error:
        compose(content, name)  # raises an error with place and remedy if the file is not YAML
        # A day such as 2027-02-30, or an unknown tag.
        raise ValueError(f"{name} has a value that cannot be read: {error}.") from None
    if not isinstance(entries, list):
        raise ValueError(f"{name} must be a list of entries with {', '.join(fields)}: begin each with `- `.")
    return entries


def read_valid_entries(path: Path, fields: Collection[str], find_problems: FindProblems) -> list[Any]:
    """The entries in a file, validated with `find_problems`; see `read_entries`.

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
    """Problems with the fields of an entry; `label` names the entry in messages."""
    for field, (kind, form) in fields.items():
        if (field in entry or field not in optional) and (type(entry.get(field)) is not kind or not entry[field]):
            yield f"{label} needs '{field}', {form}"
    for field in sorted(map(str, set(entry) - set(fields))):
        yield f"{label} has an unknown field '{field}'{suggest(field, fields)} (known: {', '.join(fields)})"


def suggest(name: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """`: did you mean 'x'?` with the most similar name; empty if none is similar."""
    similar = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f": did you mean '{similar[0]}'?" if similar else ""


def shorten(path: Path) -> str:
    """The name of a file in messages: its folder and its name."""
    return f"{path.parent.name}/{path.name}"
