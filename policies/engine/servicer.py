"""The server of the policy pack: the SDK's, with one message for all undecided checks, and the pack's own version.

It decodes a resource, or a whole stack, once for all policies, whereas the SDK decodes it for each policy. Results that
are the same for all resources of a type are computed once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import grpc
import yaml
from google.protobuf import json_format
from pulumi.runtime import proto
from pulumi_policy import (
    EnforcementLevel,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.policy import _NotApplicableError

from policies.engine import exception_register, exceptions
from policies.engine.carriers import certain_types, find_types, may_carry_any, possible_types
from policies.engine.decoding import DecodedStack, read_properties, read_resources
from policies.engine.exception_register import ExceptionRegister
from policies.engine.pack import NAME, AnalyzerServicer, UndecidedError
from policies.engine.registry import REGISTRY
from policies.engine.unevaluated import describe_unevaluated

_POLICIES: Final = "_PolicyAnalyzerServicer__policies"  # the SDK's attribute
_VERSION: Final = yaml.safe_load((Path(__file__).parents[1] / "PulumiPolicy.yaml").read_text())["version"]
_CONTAINERS: Final = b"containers"
# No control reads a resource's options.
_NO_OPTIONS: Final[Any] = None


class _ForTypes(NamedTuple):
    """The policies that apply to resources evaluated as some types, and the response about the other policies."""

    policies: list[Any]
    response: Any


class PackServicer(AnalyzerServicer):
    """Collects the undecided checks of a run, and reports them once, with the stack.

    The SDK would report every undecided check in a separate message, dozens in a first preview, and the engine counts
    each as failed. The engine starts a server for each run.

    configuration  the stack's configuration as a program gets it, empty until the engine sends it; the SDK ignores it.
                   An attribute of the class, because only the SDK creates a servicer, once in a process.
    exceptions     the exceptions of the pack, or those in the file that its configuration names
    """

    configuration: ClassVar[dict[str, str]] = {}
    exceptions: ClassVar[ExceptionRegister] = ExceptionRegister()

    def __init__(self, name: str, version: str, *arguments: Any) -> None:
        # The SDK passes its own version, which would contradict the one that the engine reads and shows.
        del version
        super().__init__(name, _VERSION, *arguments)
        self._undecided: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._prepare()

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = super().Configure(request, context)
        self._prepare()
        settings = json_format.MessageToDict(request.policyConfig[exception_register.NAME].properties)
        if settings:
            self._read_exceptions(settings, context)
        return response

    def ConfigureStack(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.configuration.update(request.config)
        return super().ConfigureStack(request, context)

    def Remediate(self, request: Any, context: Any) -> Any:  # noqa: N802
        """No policy of this pack changes resources. The SDK would decode each resource before it finds that out."""
        del request, context
        return self._no_remediation

    def Analyze(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        del context
        types = _find_types(request)
        found = self._by_types.get(types) or self._by_types.setdefault(types, self._split(types))
        if not found.policies:
            return found.response
        response = proto.AnalyzeResponse()
        response.CopyFrom(found.response)
        properties = read_properties(request.properties)
        for policy in found.policies:
            settings = self._get_policy_config(policy.name)
            args = ResourceValidationArgs(
                request.type, properties, request.urn, request.name, _NO_OPTIONS, None, settings
            )
            self._validate(policy, args, response)
        return response

    def AnalyzeStack(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        response = proto.AnalyzeResponse()
        resources = read_resources(request.resources)
        for policy in self._list_enabled():
            if isinstance(policy, StackValidationPolicy):
                settings = self._get_policy_config(policy.name)
                self._validate(policy, DecodedStack(resources, settings), response)
        if self._undecided:
            response.diagnostics.append(self._summarize())
        unevaluated = describe_unevaluated(resource.type for resource in request.resources)
        if unevaluated:
            response.diagnostics.append(_advise("unevaluated", unevaluated, "Resources that no control evaluates"))
        return response

    def _validate(self, policy: Any, args: ResourceValidationArgs | StackValidationArgs, response: Any) -> None:
        """Add a policy's findings to the response. An undecided check neither passes nor fails, but does not apply."""
        level = self._get_enforcement_level(policy)
        if level is EnforcementLevel.REMEDIATE:  # no policy of this pack does
            level = EnforcementLevel.MANDATORY
        report = self._create_report_violation(response, policy.name, policy.description, level, policy.severity)
        try:
            policy.validate(args, report)
        except UndecidedError as error:
            with self._counting:
                self._undecided[policy.name] += 1
            response.not_applicable.append(proto.PolicyNotApplicable(policy_name=policy.name, reason=error.message))
        except _NotApplicableError as error:
            reason = error.reason or ""
            response.not_applicable.append(proto.PolicyNotApplicable(policy_name=policy.name, reason=reason))

    def _read_exceptions(self, settings: Mapping[str, Any], context: Any) -> None:
        path = Path(settings.get("file", exceptions.FILE))
        term = int(settings.get("longestTermDays", exceptions.LONGEST_TERM))
        try:
            self.exceptions.replace(exceptions.load(REGISTRY.keys(), path.resolve(), term))
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"policy pack {NAME}: {error}")

    def _prepare(self) -> None:
        """Compute everything that depends only on which policies are enabled, not on a resource."""
        self._single = [
            (policy, frozenset(REGISTRY[policy.name].types), proto.PolicyNotApplicable(policy_name=policy.name))
            for policy in self._list_enabled()
            if isinstance(policy, ResourceValidationPolicy)
        ]
        self._no_remediation = proto.RemediateResponse(
            not_applicable=[
                proto.PolicyNotApplicable(policy_name=policy.name, reason="Policy does not implement remediate")
                for policy in getattr(self, _POLICIES)
                if isinstance(policy, ResourceValidationPolicy)
                and self._get_enforcement_level(policy) is EnforcementLevel.REMEDIATE
            ]
        )
        self._by_types: dict[tuple[str, ...], _ForTypes] = {}

    def _list_enabled(self) -> list[Any]:
        policies = getattr(self, _POLICIES)
        return [each for each in policies if self._get_enforcement_level(each) is not EnforcementLevel.DISABLED]

    def _split(self, types: tuple[str, ...]) -> _ForTypes:
        applicable: list[Any] = []
        response = proto.AnalyzeResponse()
        for policy, own_types, not_applicable in self._single:
            if own_types.isdisjoint(types):
                response.not_applicable.append(not_applicable)
            else:
                applicable.append(policy)
        return _ForTypes(applicable, response)

    def _summarize(self) -> Any:
        controls = ", ".join(f"{control} ({count})" for control, count in sorted(self._undecided.items()))
        return _advise(
            "undecided",
            f"{self._undecided.total()} checks depend on values that are not known yet; a run that knows them "
            f"decides: {controls}",
            "Checks that depend on values that are not known yet",
        )


def _find_types(request: Any) -> tuple[str, ...]:
    """The types as which a resource is evaluated.

    A custom resource without containers has no pods, so the policies of pods are skipped for it.
    """
    if may_carry_any(request.type):
        return find_types(request.type, read_properties(request.properties))
    certain, possible = certain_types(request.type), possible_types(request.type)
    if possible == certain or _CONTAINERS in request.properties.SerializeToString():
        return possible
    return certain


def _advise(name: str, message: str, description: str) -> Any:
    return proto.AnalyzeDiagnostic(
        policyName=name,
        policyPackName=NAME,
        policyPackVersion=_VERSION,
        message=message,
        description=description,
        enforcementLevel=proto.ADVISORY,
    )
