"""Serving the controls to Pulumi's engine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.policy import _PolicyAnalyzerServicer
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError, _is_unknown

from policies.control import Control, Resource
from policies.exceptions import ReviewedException, covered
from policies.props import UNKNOWN, Undecided, Verdict
from policies.services import controls

NAME = "groundwork"

Exceptions: TypeAlias = Sequence[ReviewedException]


class UndecidedError(UnknownValueError):
    """Tells the SDK that something stays open. It answers with an advisory, whatever the control's level."""

    def __init__(self, places: Sequence[str]) -> None:
        super().__init__(UNKNOWN_STRING_VALUE, list(places))
        self.message = f"undecided until known: {', '.join(places)}"


class CheckedServicer(_PolicyAnalyzerServicer):
    """The SDK's server, which by itself accepts a misspelt control in the configuration and does nothing."""

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        given = {name: list(entry.properties) for name, entry in request.policyConfig.items()}
        complaints = configuration_complaints(given)
        if complaints:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"policy pack {NAME}: {'; '.join(complaints)}")
        return super().Configure(request, context)  # type: ignore[no-untyped-call]


def configuration_complaints(given: Mapping[str, Iterable[str]]) -> list[str]:
    """What is wrong with a configuration, told as control name -> names of its settings."""
    known = {control.id: control for control in controls()}
    complaints = []
    for name, settings in sorted(given.items()):
        if name == "all":  # the engine's own word for every control
            continue
        if name not in known:
            complaints.append(f"there is no control '{name}' (docs/controls.md lists them)")
            continue
        complaints += [
            f"control '{name}' has no setting '{setting}'"
            for setting in sorted(settings)
            if setting not in known[name].settings
        ]
    return complaints


def policies(exceptions: Exceptions) -> list[Policy]:
    """Every control as the policy the SDK serves."""
    return [policy(control, exceptions) for control in controls()]


def policy(control: Control, exceptions: Exceptions = ()) -> Policy:
    common: dict[str, Any] = {
        "name": control.id,
        "description": control.title,
        "display_name": control.title,
        "severity": Severity(control.severity),
        "enforcement_level": EnforcementLevel.MANDATORY if control.mandatory else EnforcementLevel.ADVISORY,
        "remediation_steps": control.remedy,
        "tags": [control.service, *control.anchors],
        "config_schema": _schema(control),
    }
    if control.over_stack:
        return StackValidationPolicy(validate=_stack_validation(control, exceptions), **common)
    return ResourceValidationPolicy(validate=_resource_validation(control, exceptions), **common)


def plain(value: Any) -> Any:
    """The SDK's proxies as dicts and lists in which UNKNOWN stands for what would raise on reading."""
    if isinstance(value, Mapping):
        return {key: _read(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_read(value, index) for index in range(len(value))]
    return UNKNOWN if _is_unknown(value) else value


def _read(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def _resource_validation(
    control: Control, exceptions: Exceptions
) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if not control.applies_to(args.resource_type):
            args.not_applicable()
        if covered(exceptions, control.id, args.name):
            args.not_applicable("excepted by review, see policies/exceptions.yaml")
        verdicts = control.judge(plain(args.props), plain(args.get_config()))
        _report(control, [(None, verdict) for verdict in verdicts], report)

    return validate


def _stack_validation(
    control: Control, exceptions: Exceptions
) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = [
            Resource(
                type=resource.resource_type,
                name=resource.name,
                urn=resource.urn,
                props=plain(resource.props),
                property_dependencies={
                    name: [other.urn for other in others] for name, others in resource.property_dependencies.items()
                },
            )
            for resource in args.resources
        ]
        verdicts = control.judge_stack(stack, plain(args.get_config()))
        held = [found for found in verdicts if not covered(exceptions, control.id, found[0].name)]
        _report(control, held, report)

    return validate


def _report(control: Control, verdicts: Sequence[tuple[Resource | None, Verdict]], report: ReportViolation) -> None:
    """Report every violation first: raising for what is undecided ends the check."""
    undecided = []
    for resource, verdict in verdicts:
        if isinstance(verdict, Undecided):
            undecided.append(f"{resource.name}: {verdict.path}" if resource else verdict.path)
        else:
            wrong = f"{resource.name}: {verdict}" if resource else verdict
            report(control.violation(wrong), resource.urn if resource else None)
    if undecided:
        raise UndecidedError(undecided)


def _schema(control: Control) -> PolicyConfigSchema | None:
    if not control.settings:
        return None
    properties = {name: {**item.schema, "default": item.default} for name, item in control.settings.items()}
    return PolicyConfigSchema(properties=properties)
