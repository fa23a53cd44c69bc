"""Asking the pack through the protocol the engine speaks, without an engine.

A case is a list of resources. They travel as protobuf through the SDK's own servicer, so proxies, floats, unknowns
and unwrapped secrets are those of a real run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal, TypeAlias

from google.protobuf import struct_pb2
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from policies.control import REGISTRY, Control
from policies.pack import NAME, CheckedServicer, Exceptions, policy
from policies.services import controls

U = UNKNOWN_STRING_VALUE
Outcome: TypeAlias = Literal["passes", "fails", "undecided"]


@dataclass(frozen=True)
class Res:
    """A resource of a case. `refs` records which properties came from which other resources, by name."""

    type: str
    props: Mapping[str, Any] = field(default_factory=dict)
    name: str = "it"
    refs: Mapping[str, str] = field(default_factory=dict)


Subject: TypeAlias = Sequence[Res]


@dataclass(frozen=True)
class Cases:
    """The five questions every control has to answer. `also_undecided` holds further unknowns that leave it open."""

    compliant: Sequence[Subject]
    violating: Sequence[Subject]
    absent: tuple[Outcome, Subject]
    unknown: tuple[Outcome, Subject]
    other_type: Subject
    also_undecided: Sequence[Subject] = ()

    def expectations(self) -> list[tuple[str, Outcome, Subject]]:
        return [
            *((f"compliant{index}", "passes", subject) for index, subject in enumerate(self.compliant)),
            *((f"violating{index}", "fails", subject) for index, subject in enumerate(self.violating)),
            ("absent", *self.absent),
            ("unknown", *self.unknown),
            *((f"undecided{index}", "undecided", subject) for index, subject in enumerate(self.also_undecided)),
            ("other-type", "passes", self.other_type),
        ]


def at(path: str, value: object) -> dict[str, Any]:
    """A value at a path such as `a.b[].c`, as nested properties."""
    head, _, rest = path.partition(".")
    inner = at(rest, value) if rest else value
    return {head.removesuffix("[]"): [inner] if head.endswith("[]") else inner}


def on(
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
    """Cases for a control that reads one property. `beside` stands in every case next to it."""
    kinds = (types,) if isinstance(types, str) else types

    def subject(value: object, kind: str = kinds[0]) -> Subject:
        return [Res(kind, {**(beside or {}), **at(path, value)})]

    return Cases(
        compliant=[subject(value) for value in good],
        violating=[subject(value, kind) for value in bad for kind in kinds],
        absent=(absent, [Res(kinds[0], beside or {})]),
        unknown=(unknown, subject(U)),
        other_type=subject(bad[0], other),
    )


def several(
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
    """Cases for a control that weighs several properties of one resource."""
    return Cases(
        compliant=[*([Res(kind, props)] for props in good), *more_good],
        violating=[*([Res(kind, props)] for props in bad), *more_bad],
        absent=(absent[0], [Res(kind, absent[1])]),
        unknown=(unknown[0], [Res(kind, unknown[1])]),
        other_type=[Res(other, bad[0])],
        also_undecided=also_undecided,
    )


def retyped(subject: Subject, kind: str) -> Subject:
    """The same subject with its first resource under another type."""
    return [replace(subject[0], type=kind), *subject[1:]]


def secret(value: object) -> dict[str, Any]:
    """A secret as the engine sends it."""
    return {SPECIAL_SIG_KEY: SPECIAL_SECRET_SIG, "value": value}


def servicer(rules: Sequence[Control], exceptions: Exceptions = ()) -> CheckedServicer:
    level = EnforcementLevel.ADVISORY
    return CheckedServicer(NAME, "0.0.1", [policy(rule, exceptions) for rule in rules], level)


@cache
def servicer_of(control_id: str) -> CheckedServicer:
    assert controls()
    return servicer([REGISTRY[control_id]])


def violations(control_id: str, subject: Subject, exceptions: Exceptions = ()) -> list[str]:
    """The messages of a case's violations, with these exceptions in force."""
    told = _ask(servicer([REGISTRY[control_id]], exceptions), control_id, subject)
    return [each.message for each in told if "Remedy: " in each.message]


def diagnostics(control_id: str, subject: Subject) -> list[Any]:
    """What the engine would be told about a case."""
    return _ask(servicer_of(control_id), control_id, subject)


def _ask(server: CheckedServicer, control_id: str, subject: Subject) -> list[Any]:
    if REGISTRY[control_id].over_stack:
        return analyze_stack(server, subject)
    return [each for resource in subject for each in analyze(server, resource)]


def analyze(server: CheckedServicer, resource: Res) -> list[Any]:
    request = proto.AnalyzeRequest(
        type=resource.type, urn=urn(resource), name=resource.name, properties=_struct(resource.props)
    )
    return list(server.Analyze(request, None).diagnostics)  # type: ignore[no-untyped-call]


def analyze_stack(server: CheckedServicer, stack: Subject) -> list[Any]:
    urns = {resource.name: urn(resource) for resource in stack}
    request = proto.AnalyzeStackRequest(
        resources=[
            proto.AnalyzerResource(
                type=resource.type,
                urn=urn(resource),
                name=resource.name,
                properties=_struct(resource.props),
                propertyDependencies={
                    prop: proto.AnalyzerPropertyDependencies(urns=[urns[name]]) for prop, name in resource.refs.items()
                },
            )
            for resource in stack
        ]
    )
    return list(server.AnalyzeStack(request, None).diagnostics)  # type: ignore[no-untyped-call]


def outcome(control_id: str, subject: Subject) -> Outcome:
    told = diagnostics(control_id, subject)
    if any("Remedy: " in each.message for each in told):
        return "fails"
    return "undecided" if told else "passes"


def urn(resource: Res) -> str:
    return f"urn:pulumi:test::groundwork::{resource.type}::{resource.name}"


def _struct(props: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(props))
    return struct
