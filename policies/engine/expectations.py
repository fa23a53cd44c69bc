"""Requirements on properties, and the findings when a property does not meet them.

A property has a value, is absent, or is not known yet (during a preview). Absent and unknown values are the markers of
`kernel.values`, so reading never raises an error.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from kernel.paths import each_value
from kernel.values import ABSENT, UNKNOWN, Truth, all_hold, any_holds
from policies.engine.findings import Finding, Findings, Undecided


@dataclass(frozen=True)
class Requirement:
    """A requirement on a value: `text` continues a sentence that starts with the property, as in "must be true".

    It never names a value that would be rejected, because messages do not repeat actual values, which may be secret.
    """

    text: str
    accepts: Callable[[Any], bool]


IS_TRUE: Final = Requirement("must be true", lambda value: value is True)
IS_FALSE: Final = Requirement("must be false", lambda value: value is False)


def one_of(*allowed: str) -> Requirement:
    """The value is one of these strings, ignoring case as Azure's API does for its enumerations."""
    lowered = {word.lower() for word in allowed}
    return Requirement(
        f"must be {' or '.join(allowed)}", lambda value: isinstance(value, str) and value.lower() in lowered
    )


def none_of(text: str, *rejected: str) -> Requirement:
    """The value is not one of these strings, ignoring case. `text` must not repeat them, which would show the value."""
    lowered = {word.lower() for word in rejected}
    return Requirement(text, lambda value: isinstance(value, str) and value != "" and value.lower() not in lowered)


def at_least(minimum: float) -> Requirement:
    """The value is a number, and at least `minimum`. The engine sends every number as a float."""
    return Requirement(f"must be at least {minimum:g}", lambda value: _is_number(value) and value >= minimum)


def at_most(maximum: float) -> Requirement:
    """The value is a number, and at most `maximum`."""
    return Requirement(f"must be at most {maximum:g}", lambda value: _is_number(value) and value <= maximum)


def expect(props: object, path: str, requirement: Requirement, risk: str, *, absent_passes: bool = False) -> Findings:
    """Require something of every value at `path`; `risk` says what happens otherwise.

    An absent value fails unless the service's own default is the safe one (`absent_passes`).
    """
    for where, value in each_value(props, path):
        if value is UNKNOWN:
            yield Undecided(where)
        elif value is ABSENT:
            if not absent_passes:
                yield f"{where} is not set and {requirement.text}, otherwise {risk}"
        elif not requirement.accepts(value):
            yield f"{where} {requirement.text}, otherwise {risk}"


def expect_set(props: object, path: str, risk: str, shape: type = str) -> Findings:
    """Require a value of type `shape` that is not empty. An unknown value passes, since it will be set to something."""
    for where, value in each_value(props, path):
        if value is not UNKNOWN and not (isinstance(value, shape) and value):
            yield f"{where} must be set, otherwise {risk}"


def pass_if_any(alternatives: Iterable[Iterable[Finding]]) -> Findings:
    """Pass if an alternative has no findings; undecided if one may still have none; else the last one's findings."""
    evaluated = [list(alternative) for alternative in alternatives]
    if not all(evaluated):
        return
    undecided = [findings for findings in evaluated if all(isinstance(finding, Undecided) for finding in findings)]
    yield from (undecided or evaluated[-1:])[0]


def fail_if_all(path: str, conditions: Iterable[Truth], problem: str) -> Findings:
    """Report the problem if all conditions hold. If one is known not to hold, unknown ones do not matter."""
    held = all_hold(conditions)
    if held is UNKNOWN:
        yield Undecided(path)
    elif held:
        yield f"{path} {problem}"


def any_matches(values: Iterable[object], test: Callable[[Any], bool]) -> Truth:
    """Whether one of the values passes a test; UNKNOWN if only an unknown one still could."""
    return any_holds(UNKNOWN if value is UNKNOWN else test(value) for value in values)


def check_each(props: object, path: str, check: Callable[[str, Any], Findings]) -> Findings:
    """Call `check` with the path and value of each value at `path`. Unknown ones are undecided, absent ones pass."""
    for where, value in each_value(props, path):
        if value is UNKNOWN:
            yield Undecided(where)
        elif value is not ABSENT:
            yield from check(where, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
