"""Cases for controls: resources as the engine would send them, with the expected outcome of a control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from kernel.paths import EVERY, parse_path

UNKNOWN_TEXT: Final = UNKNOWN_STRING_VALUE
"""An unknown value as the engine sends it."""

Outcome: TypeAlias = Literal["passes", "fails", "undecided"]


@dataclass(frozen=True)
class Declared:
    """A resource of a case. `refs` maps properties to the names of the resources that they depend on."""

    type: str
    props: Mapping[str, Any] = field(default_factory=dict)
    name: str = "it"
    refs: Mapping[str, str] = field(default_factory=dict)


Subject: TypeAlias = Sequence[Declared]
"""The subject of one evaluation: a stack for stack controls, a single resource for others."""


@dataclass(frozen=True)
class Cases:
    """The cases that every control must have. `also_undecided` has further unknown values that leave it undecided.

    `settings` apply to all cases, for a control that finds nothing with its defaults.
    """

    compliant: Sequence[Subject]
    violating: Sequence[Subject]
    absent: tuple[Outcome, Subject]
    unknown: tuple[Outcome, Subject]
    other_type: Subject
    also_undecided: Sequence[Subject] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def expectations(self) -> list[tuple[str, Outcome, Subject]]:
        """Every case with a name and the expected outcome."""
        return [
            *((f"compliant{index}", "passes", subject) for index, subject in enumerate(self.compliant)),
            *((f"violating{index}", "fails", subject) for index, subject in enumerate(self.violating)),
            ("absent", *self.absent),
            ("unknown", *self.unknown),
            *((f"undecided{index}", "undecided", subject) for index, subject in enumerate(self.also_undecided)),
            ("other-type", "passes", self.other_type),
        ]


def nested(path: str, value: object) -> dict[str, Any]:
    """Nested properties with a value at a path such as `a.b[*].c`, where `[*]` becomes a list of one item."""
    tree: Any = value
    for step in reversed(parse_path(path)):
        tree = [tree] if step == EVERY else {str(step): tree}
    properties: dict[str, Any] = tree
    return properties


def property_cases(
    types: str | tuple[str, ...],
    path: str,
    *,
    good: tuple[object, ...],
    bad: tuple[object, ...],
    absent: Outcome,
    other: str,
    unknown: Outcome = "undecided",
    beside: Mapping[str, Any] | None = None,
) -> Cases:
    """Cases for a control that reads one property. `beside` are further properties of every case."""
    kinds = (types,) if isinstance(types, str) else types

    def subject(value: object, kind: str = kinds[0]) -> Subject:
        return [Declared(kind, {**(beside or {}), **nested(path, value)})]

    return Cases(
        compliant=[subject(value) for value in good],
        violating=[subject(value, kind) for value in bad for kind in kinds],
        absent=(absent, [Declared(kinds[0], beside or {})]),
        unknown=(unknown, subject(UNKNOWN_TEXT)),
        other_type=subject(bad[0], other),
    )


def resource_cases(
    kind: str,
    *,
    good: Sequence[Mapping[str, Any]],
    bad: Sequence[Mapping[str, Any]],
    absent: tuple[Outcome, Mapping[str, Any]],
    unknown: tuple[Outcome, Mapping[str, Any]],
    other: str,
    more_good: Sequence[Subject] = (),
    more_bad: Sequence[Subject] = (),
    also_undecided: Sequence[Subject] = (),
) -> Cases:
    """Cases for a control that reads several properties of one resource."""
    return Cases(
        compliant=[*([Declared(kind, props)] for props in good), *more_good],
        violating=[*([Declared(kind, props)] for props in bad), *more_bad],
        absent=(absent[0], [Declared(kind, absent[1])]),
        unknown=(unknown[0], [Declared(kind, unknown[1])]),
        other_type=[Declared(other, bad[0])],
        also_undecided=also_undecided,
    )


def with_type(subject: Subject, kind: str) -> Subject:
    """The same subject, with another type for its first resource."""
    return [replace(subject[0], type=kind), *subject[1:]]
