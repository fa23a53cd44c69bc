"""Evaluates cases through the engine's protocol, without an engine.

Cases are sent as protobuf through the SDK's own servicer, so proxies, floats, unknown values and unwrapped secrets are
as in a real run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY

from policies import Control, get_control
from policies.engine.exception_register import ExceptionRegister
from policies.engine.exceptions import ReviewedException
from policies.engine.pack import NAME, AnalyzerServicer, as_policy
from tests.support.policies.cases import Declared, Outcome, Subject


def secret(value: object) -> dict[str, Any]:
    """A secret as the engine sends it."""
    return {SPECIAL_SIG_KEY: SPECIAL_SECRET_SIG, "value": value}


def servicer(controls: Sequence[Control], exceptions: Sequence[ReviewedException] = ()) -> AnalyzerServicer:
    """A server of these controls, with the exceptions in force."""
    level = EnforcementLevel.ADVISORY
    register = ExceptionRegister(exceptions)
    return AnalyzerServicer(NAME, "0.0.1", [as_policy(control, register) for control in controls], level)


def violations(control_id: str, subject: Subject, exceptions: Sequence[ReviewedException] = ()) -> list[str]:
    """The messages of a case's violations, with the exceptions in force."""
    found = _diagnose(servicer([get_control(control_id)], exceptions), control_id, subject)
    return [each.message for each in found if is_violation(each)]


def diagnostics(control_id: str, subject: Subject, settings: Mapping[str, Any] | None = None) -> list[Any]:
    """The diagnostics that the engine would get for a case, with these settings instead of the defaults."""
    server = servicer([configure(get_control(control_id), settings)]) if settings else _servicer_of(control_id)
    return _diagnose(server, control_id, subject)


def configure(control: Control, settings: Mapping[str, Any]) -> Control:
    """The control with other defaults."""
    changed = {name: replace(control.settings[name], default=value) for name, value in settings.items()}
    return replace(control, settings={**control.settings, **changed})


def is_violation(diagnostic: Any) -> bool:
    """Whether a diagnostic reports a violation; otherwise it reports an undecided check."""
    return "Remedy: " in diagnostic.message


def outcome(found: Sequence[Any]) -> Outcome:
    """The outcome of a case, from its diagnostics."""
    if any(is_violation(each) for each in found):
        return "fails"
    return "undecided" if found else "passes"


def analyze(server: AnalyzerServicer, resource: Declared) -> list[Any]:
    """The diagnostics of all controls that a server has on one resource."""
    return list(server.Analyze(build_request(resource), None).diagnostics)  # type: ignore[no-untyped-call]


def build_request(resource: Declared) -> Any:
    """The engine's request to evaluate a resource."""
    return proto.AnalyzeRequest(
        type=resource.type, urn=urn(resource), name=resource.name, properties=_struct(resource.props)
    )


def urn(resource: Declared) -> str:
    return f"urn:pulumi:test::groundwork::{resource.type}::{resource.name}"


@cache
def _servicer_of(control_id: str) -> AnalyzerServicer:
    return servicer([get_control(control_id)])


def _diagnose(server: AnalyzerServicer, control_id: str, subject: Subject) -> list[Any]:
    if get_control(control_id).over_stack:
        return analyze_stack(server, subject)
    return [each for resource in subject for each in analyze(server, resource)]


def analyze_stack(server: AnalyzerServicer, stack: Subject) -> list[Any]:
    """The diagnostics of all controls that a server has on a stack."""
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


def _struct(props: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(props))
    return struct
