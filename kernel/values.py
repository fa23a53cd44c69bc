"""Markers that stand where a property has no readable value."""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final, Literal, TypeAlias


class Marker(Enum):
    """Stands in the place of a value that cannot be read. Compare with `is`: members are true in a condition."""

    ABSENT = "absent"
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return self.name


ABSENT: Final = Marker.ABSENT
"""The property is not set, or is null."""

UNKNOWN: Final = Marker.UNKNOWN
"""The property is set, and a preview does not know yet to what."""

Truth: TypeAlias = bool | Literal[Marker.UNKNOWN]
"""The answer to a question about values of which some may be unknown."""


def any_holds(answers: Iterable[Truth]) -> Truth:
    """True if one answer is, UNKNOWN if one still may become true, else False."""
    found = set(answers)
    if True in found:
        return True
    return UNKNOWN if UNKNOWN in found else False


def all_hold(answers: Iterable[Truth]) -> Truth:
    """False if one answer is, UNKNOWN if one still may become false, else True."""
    found = set(answers)
    if False in found:
        return False
    return UNKNOWN if UNKNOWN in found else True


def is_list(value: object) -> bool:
    """Whether a value is a list or tuple, and not text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def as_list(value: Any) -> list[Any]:
    """The items of a list; a single value as a list of one; nothing for None and ABSENT.

    For interfaces that take one value or a list of them, such as the elements of IAM policies. UNKNOWN is a single
    value: `[UNKNOWN]`.
    """
    if value is None or value is ABSENT:
        return []
    return list(value) if is_list(value) else [value]
