"""Markers in place of values of properties that cannot be read."""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final, Literal, TypeAlias


class Marker(Enum):
    """Replaces a value that cannot be read. Compare with `is`: members are true in a condition."""

    ABSENT = "absent"
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return self.name


ABSENT: Final = Marker.ABSENT
"""The property is not set, or is null."""

UNKNOWN: Final = Marker.UNKNOWN
"""The property is set, but a preview does not know its value yet."""

Truth: TypeAlias = bool | Literal[Marker.UNKNOWN]
"""The answer to a question about values, some of which may be unknown."""


def any_holds(answers: Iterable[Truth]) -> Truth:
    """True if an answer is true, UNKNOWN if one may still become true, otherwise False."""
    found = set(answers)
    if True in found:
        return True
    return UNKNOWN if UNKNOWN in found else False


def all_hold(answers: Iterable[Truth]) -> Truth:
    """False if an answer is false, UNKNOWN if one may still become false, otherwise True."""
    found = set(answers)
    if False in found:
        return False
    return UNKNOWN if UNKNOWN in found else True


def is_list(value: object) -> bool:
    """Whether a value is a list or tuple, and not text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def as_list(value: Any) -> list[Any]:
    """The items of a list; a single value as a list of one; an empty list for None and ABSENT.

    For interfaces that accept one value or a list of them, such as the elements of IAM policies. UNKNOWN is a single
    value: `[UNKNOWN]`.
    """
    if value is None or value is ABSENT:
        return []
    return list(value) if is_list(value) else [value]
