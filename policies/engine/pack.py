"""The policy pack: controls served to Pulumi's engine over the SDK's analyzer protocol."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

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
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from policies.engine.control import Control, Setting
from policies.engine.decoding import read_stack, to_plain
from policies.engine.exception_register import NAME as EXCEPTIONS
from policies.engine.exception_register import SETTINGS, ExceptionRegister, find_stack
from policies.engine.exceptions import Subject
from policies.engine.findings import Finding, Undecided
from policies.engine.registry import REGISTRY
from policies.engine.stack import Resource
from policies.engine.stack_settings import extend_defaults

NAME: Final = "groundwork"


class UndecidedError(UnknownValueError):
    """Reports properties that are not known yet. The SDK turns it into an advisory for controls of every level."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(UNKNOWN_STRING_VALUE, list(paths))
        self.message = f"undecided until known: {', '.join(paths)}"


class AnalyzerServicer(_PolicyAnalyzerServicer):
    """The SDK's server, which also rejects unknown names in the configuration; the SDK itself ignores them."""

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        configuration = {name: list(entry.properties) for name, entry in request.policyConfig.items()}
        problems = configuration_problems(configuration)
        if problems:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"policy pack {NAME}: {'; '.join(problems)}")
        return super().Configure(request, context)  # type: ignore[no-untyped-call]


def configuration_problems(configuration: Mapping[str, Iterable[str]]) -> list[str]:
    """Problems with a configuration, which maps IDs of controls to the names of their configured settings."""
    problems = []
    for name, settings in sorted(configuration.items()):
        if name == "all":  # the engine's own name for every control
            continue
        if name not in REGISTRY and name != EXCEPTIONS:
            problems.append(f"there is no control '{name}' (docs/controls.md lists them)")
            continue
        known = SETTINGS if name == EXCEPTIONS else REGISTRY[name].settings
        problems += [f"'{name}' has no setting '{setting}'" for setting in sorted(settings) if setting not in known]
    return problems


def as_policy(
    control: Control,
    exceptions: ExceptionRegister | None = None,
    configuration: Mapping[str, str] = MappingProxyType({}),
) -> Policy:
    """A control as a policy of the SDK. `configuration` is the stack's, and may be filled in later."""
    exceptions = exceptions or ExceptionRegister()
    common: dict[str, Any] = {
        "name": control.id,
        "description": control.title,
        "display_name": control.title,
        "severity": Severity(control.severity),
        "enforcement_level": EnforcementLevel.MANDATORY if control.mandatory else EnforcementLevel.ADVISORY,
        "remediation_steps": control.remedy,
        "tags": [control.service, *control.references],
        "config_schema": _schema(control),
    }
    if control.over_stack:
        return StackValidationPolicy(validate=_stack_validation(control, exceptions), **common)
    return ResourceValidationPolicy(validate=_resource_validation(control, exceptions, configuration), **common)


def _resource_validation(
    control: Control, exceptions: ExceptionRegister, configuration: Mapping[str, str]
) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if not control.applies_to(args.resource_type):
            args.not_applicable()
        in_force = extend_defaults(control, configuration)
        findings = in_force.evaluate_resource(args.resource_type, to_plain(args.props), to_plain(args.get_config()))
        if not findings:
            return
        subject = Subject(args.name, args.resource_type, find_stack(args.urn))
        if exceptions.exempts(control.id, subject):
            args.not_applicable("exempt by review")
        expired = exceptions.explain_expired(control.id, subject)
        _report(control, [(None, _add(finding, expired)) for finding in findings], report)

    return validate


def _stack_validation(
    control: Control, exceptions: ExceptionRegister
) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        findings = control.evaluate_stack(read_stack(args), to_plain(args.get_config()))
        violations: list[tuple[Resource | None, Finding]] = []
        for resource, finding in findings:
            subject = Subject(resource.name, resource.type, find_stack(resource.urn))
            if not exceptions.exempts(control.id, subject):
                violations.append((resource, _add(finding, exceptions.explain_expired(control.id, subject))))
        _report(control, violations, report)

    return validate


def _add(finding: Finding, text: str) -> Finding:
    return finding if isinstance(finding, Undecided) else f"{finding}{text}"


def _report(control: Control, findings: Sequence[tuple[Resource | None, Finding]], report: ReportViolation) -> None:
    """Report every violation first, because the error for undecided properties ends the control."""
    undecided = []
    for resource, finding in findings:
        if isinstance(finding, Undecided):
            undecided.append(f"{resource.name}: {finding.path}" if resource else finding.path)
        else:
            problem = f"{resource.name}: {finding}" if resource else finding
            report(control.violation_message(problem), resource.urn if resource else None)
    if undecided:
        raise UndecidedError(undecided)


def _schema(control: Control) -> PolicyConfigSchema | None:
    if not control.settings:
        return None
    return PolicyConfigSchema(properties={name: _property(setting) for name, setting in control.settings.items()})


def _property(setting: Setting) -> dict[str, Any]:
    """The schema of a setting. It has no default if the stack extends it: the engine would send that as configured."""
    return {**setting.schema} if setting.extended_by else {**setting.schema, "default": setting.default}
