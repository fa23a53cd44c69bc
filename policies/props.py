"""Reading properties without surprises.

A property is there, is not there, or is not known yet (during a preview). Controls see plain dicts and lists in
which the last two are the markers ABSENT and UNKNOWN, so no read ever raises. A control answers with a sentence
(what is wrong), with `Undecided` (what has to be known first), or with nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias


class Marker(Enum):
    """What stands in the place of a value that can't be read."""

    ABSENT = "absent"
    UNKNOWN = "unknown"


ABSENT: Final = Marker.ABSENT
UNKNOWN: Final = Marker.UNKNOWN


@dataclass(frozen=True)
class Undecided:
    """The property at `path` has to be known before this can be judged."""

    path: str


Props: TypeAlias = Mapping[str, Any]
Verdict: TypeAlias = str | Undecided
Verdicts: TypeAlias = Iterator[Verdict]


def each(props: object, path: str) -> Iterator[tuple[str, Any]]:
    """Every value at a path such as `rules[].name`, with the place where it stands.

    A missing or unknown list is reported once, as ABSENT or UNKNOWN; an empty one yields nothing.
    """
    yield from _walk(props, path.split("."), "")


def lookup(props: object, path: str) -> Any:
    """The one value at a path without `[]`: a value, ABSENT or UNKNOWN. Null counts as ABSENT."""
    _, value = next(each(props, path))
    return value


def items(value: object) -> list[Any]:
    """A value that may be single, a list or missing, as a list. JSON policies allow both spellings."""
    if value is None or value is ABSENT:
        return []
    return list(value) if _is_list(value) else [value]  # type: ignore[call-overload]


def expect(
    props: object, path: str, accepts: Callable[[Any], bool], wrong: str, *, absent_passes: bool = False
) -> Verdicts:
    """Ask for a value. What is absent fails unless the service's own default is the safe one."""
    for where, value in each(props, path):
        if value is UNKNOWN:
            yield Undecided(where)
        elif value is ABSENT:
            if not absent_passes:
                yield f"{where} is not set: {wrong}"
        elif not accepts(value):
            yield f"{where}: {wrong}"


def expect_set(props: object, path: str, wrong: str) -> Verdicts:
    """Ask that something is set. An unknown value will be set to something, so it counts."""
    for where, value in each(props, path):
        if value is ABSENT or value in ("", [], {}):
            yield f"{where} is not set: {wrong}"


def is_true(value: object) -> bool:
    return value is True


def is_false(value: object) -> bool:
    return value is False


def one_of(*allowed: str) -> Callable[[Any], bool]:
    """Accepts these strings in any case: Azure's API compares its enumerations so."""
    lowered = {word.lower() for word in allowed}
    return lambda value: isinstance(value, str) and value.lower() in lowered


def at_least(minimum: float) -> Callable[[Any], bool]:
    """Accepts numbers from `minimum` on. Numbers arrive as floats, so only the comparison is reliable."""
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value >= minimum


def any_of(alternatives: Iterable[Iterable[Verdict]]) -> Verdicts:
    """Pass if one alternative does; undecided if one still may; else the last alternative's complaints."""
    judged = [list(alternative) for alternative in alternatives]
    if not all(judged):
        return
    open_ones = [verdicts for verdicts in judged if all(isinstance(verdict, Undecided) for verdict in verdicts)]
    yield from (open_ones or judged[-1:])[0]


def some(values: Iterable[object], test: Callable[[Any], bool]) -> bool | Marker:
    """Whether one of the values passes a test; UNKNOWN if only an unknown one still could."""
    seen = list(values)
    if any(value is not UNKNOWN and test(value) for value in seen):
        return True
    return UNKNOWN if UNKNOWN in seen else False


def conclude(where: str, facts: Iterable[bool | Marker], wrong: str) -> Verdicts:
    """Find fault where all facts hold together. One that is known not to hold acquits, whatever is unknown."""
    known = list(facts)
    if False in known:
        return
    yield Undecided(where) if UNKNOWN in known else f"{where}: {wrong}"


def _walk(value: object, steps: Sequence[str], where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Marker) or not steps:
        yield where, value
        return
    step, rest = steps[0], steps[1:]
    name = step.removesuffix("[]")
    here = f"{where}.{name}" if where else name
    child = value.get(name) if isinstance(value, Mapping) else None
    if child is None:
        yield ".".join([here, *rest]), ABSENT
    elif step == name or child is UNKNOWN:
        yield from _walk(child, rest, here)
    else:
        # A provider may flatten a list that can hold one element only, hence items().
        for index, item in enumerate(items(child)):
            yield from _walk(item, rest, f"{here}[{index}]")


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
