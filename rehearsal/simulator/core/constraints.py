"""Constraints of a cloud's API on a single input: whether it is required, its length, range, pattern and values.

Constraints are read from files that `make constraints` generates from the clouds' own API descriptions; nobody writes
them by hand. Checks that involve several inputs, or resources that exist, are rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path as File
from typing import Any

from kernel.paths import EVERY, Path, format_path, overlaps, parse_path
from kernel.values import ABSENT, UNKNOWN

KEYS = "{keys}"
"""The end of a path in a file that denotes the keys of the preceding map."""


class Kind(StrEnum):
    """What a constraint limits; its value is the field's name in a file."""

    REQUIRED = "required"
    PATTERN = "pattern"
    SHORTEST = "shortest"
    LONGEST = "longest"
    LOWEST = "lowest"
    HIGHEST = "highest"
    VALUES = "values"


@dataclass(frozen=True)
class Constraint:
    """
    path            of the input; `[*]` is every item of a list, or every value of a map
    limit           a pattern, a number of characters, items or units, the accepted values, or True
    member          the input's name in the API: `CreateTable.TableName`
    of_keys         whether it limits the keys of the map at the path
    ignores_case    whether the API accepts values in another case
    is_sent_empty   whether the provider sends an empty text, list or map; otherwise it counts as not set
    """

    path: str
    kind: Kind
    limit: Any
    member: str
    of_keys: bool = False
    ignores_case: bool = False
    is_sent_empty: bool = True

    def find_violations(self, inputs: Mapping[str, Any]) -> Iterator[Violation]:
        """Each value that the API refuses; values that a preview does not know pass."""
        for path, value in _walk(inputs, parse_path(self.path), ()):
            if value is UNKNOWN or (not self.is_sent_empty and value in ("", [], {})):
                continue
            if self.of_keys:
                keys = value if isinstance(value, Mapping) else {}
                yield from (Violation(self, path, key) for key in keys if not self.accepts(key))
            elif not self.accepts(value):
                yield Violation(self, path, value)

    def accepts(self, value: Any) -> bool:
        """Whether a value, or ABSENT, satisfies it. A value of a type that it does not limit always does."""
        if value is ABSENT or self.kind is Kind.REQUIRED:
            return self.kind is not Kind.REQUIRED or value is not ABSENT
        return _CHECKS[self.kind](self, value)


@dataclass(frozen=True)
class Violation:
    """A value that a constraint refuses, and its path."""

    constraint: Constraint
    path: Path
    value: Any


@dataclass(frozen=True)
class InputConstraints:
    """The constraints of one resource type.

    describe  the cloud's message about one violation
    """

    constraints: Collection[Constraint]
    describe: Callable[[Violation], str]

    def find_problems(self, inputs: Mapping[str, Any], secrets: Iterable[Path] = ()) -> list[str]:
        """The cloud's messages about the inputs. They never contain the value of a secret."""
        hidden = list(secrets)
        found = (violation for each in self.constraints for violation in each.find_violations(inputs))
        return [self.describe(_shorten(violation, hidden)) for violation in found]


NO_CONSTRAINTS = InputConstraints((), lambda _: "")


def read_constraints(file: File, *, ignores_case: bool) -> Mapping[str, list[Constraint]]:
    """The constraints in a generated file, keyed by resource type.

    ignores_case  whether the cloud accepts the values of enumerations in another case
    """
    content = json.loads(file.read_text(encoding="utf-8"))
    return {
        type_: [
            replace(each, ignores_case=ignores_case)
            for path, entry in paths.items()
            for each in _read_entry(path, entry)
        ]
        for type_, paths in content["types"].items()
    }


def _read_entry(path: str, entry: Mapping[str, Any]) -> Iterator[Constraint]:
    is_sent_empty = not entry.get("unset_if_empty", False)
    for kind in Kind:
        if kind in entry:
            yield Constraint(
                path.removesuffix(KEYS),
                kind,
                entry[kind],
                entry["member"],
                of_keys=path.endswith(KEYS),
                is_sent_empty=is_sent_empty,
            )


def _matches(constraint: Constraint, value: Any) -> bool:
    # Match the whole text even if the pattern does not end with `$`, such as `^[0-9A-Za-z][A-Za-z0-9-_]*` of EKS.
    return not isinstance(value, str) or bool(compile_pattern(constraint.limit).fullmatch(value))


def _is_listed(constraint: Constraint, value: Any) -> bool:
    if not isinstance(value, str):
        return True
    if constraint.ignores_case:
        return value.lower() in (str(each).lower() for each in constraint.limit)
    return value in constraint.limit


def _is_sized(value: Any) -> bool:
    return isinstance(value, str | list | Mapping)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: Mapping[Kind, Callable[[Constraint, Any], bool]] = {
    Kind.PATTERN: _matches,
    Kind.VALUES: _is_listed,
    Kind.SHORTEST: lambda constraint, value: not _is_sized(value) or len(value) >= constraint.limit,
    Kind.LONGEST: lambda constraint, value: not _is_sized(value) or len(value) <= constraint.limit,
    Kind.LOWEST: lambda constraint, value: not _is_number(value) or value >= constraint.limit,
    Kind.HIGHEST: lambda constraint, value: not _is_number(value) or value <= constraint.limit,
}

# Unicode classes that Java's regular expressions have and Python's do not, written as the inside of a set. Some accept
# more than the original: Python's `\w`, used for letters, also matches digits and the underscore.
_CLASSES = {"L": r"\w", "N": r"\d", "Z": r"\s", "M": "\u0300-\u036f", "P": r"!-/:-@\[-`{-~", "S": r"$+<=>^`|~"}
_CLASS = re.compile(r"\\p\{(Is)?(\w)\w*\}")


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    r"""Compile an API's pattern, which has the syntax of Java or ECMAScript. Raises re.error if Python cannot.

    `$` matches only at the end of the text; in Python it would also match before a line break at the end.
    """
    translated = _CLASS.sub(lambda match: _CLASSES.get(match[2], match[0]), pattern)
    return re.compile(re.sub(r"(?<!\\)\$(?=$|[)|])", r"\\Z", translated))


def _walk(value: Any, steps: Path, here: Path) -> Iterator[tuple[Path, Any]]:
    """Every value at a path, with its own path; ABSENT if its parent exists and the value does not."""
    if value is UNKNOWN or not steps:
        yield here, ABSENT if value is None else value
    elif steps[0] == EVERY:
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield from _walk(item, steps[1:], (*here, key))
    elif isinstance(value, Mapping):
        yield from _walk(value.get(str(steps[0])), steps[1:], (*here, steps[0]))


def _shorten(violation: Violation, hidden: Collection[Path]) -> Violation:
    """The violation with its value shortened for people, and masked if it is a secret."""
    if any(overlaps(format_path(violation.path), format_path(path)) for path in hidden):
        return replace(violation, value="***")
    text = str(violation.value)
    return replace(violation, value=f"{text[:57]}...") if len(text) > 60 else violation
