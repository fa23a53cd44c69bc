"""The server of the policy pack: the SDK's, with one message for all that is undecided, and the pack's own version."""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

import grpc
import yaml
from google.protobuf import json_format
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel

from policies.engine import exception_register, exceptions
from policies.engine.carriers import certain_types, possible_types
from policies.engine.exception_register import ExceptionRegister
from policies.engine.pack import NAME, AnalyzerServicer
from policies.engine.registry import REGISTRY
from policies.engine.unjudged import describe_unjudged

# What the SDK puts before the message of an UndecidedError.
_UNDECIDED: Final = "can't run policy "
_POLICIES: Final = "_PolicyAnalyzerServicer__policies"  # the SDK's attribute
_VERSION: Final = yaml.safe_load((Path(__file__).parents[1] / "PulumiPolicy.yaml").read_text())["version"]


_CONTAINERS: Final = b"containers"
_FindTypes: TypeAlias = Callable[[str], tuple[str, ...]]


class _ForType(NamedTuple):
    """What concerns the resources of one type: a server of the policies that apply, and what it answers of the rest."""

    server: PackServicer
    not_applicable: list[Any]


class PackServicer(AnalyzerServicer):
    """Collects what is undecided in a run of the program, and reports it once, with the stack.

    By itself the SDK reports every undecided check in a message of its own, dozens in a first preview, and the engine
    counts each as failed. The engine starts a server for each run.

    configuration  the stack's, as a program gets it, from the time that the engine sends it; the SDK leaves it unread.
                   Of the class, because only the SDK creates a servicer, once in a process.
    exceptions     those that the pack comes with, or those of the file that its configuration names
    """

    configuration: ClassVar[dict[str, str]] = {}
    exceptions: ClassVar[ExceptionRegister] = ExceptionRegister()

    def __init__(self, name: str, version: str, *arguments: Any) -> None:
        # The SDK passes a version of its own, which would contradict the one that the engine reads and shows.
        del version
        super().__init__(name, _VERSION, *arguments)
        self._undecided: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._by_type: dict[tuple[str, _FindTypes], _ForType] = {}

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = super().Configure(request, context)
        self._by_type = {}
        settings = json_format.MessageToDict(request.policyConfig[exception_register.NAME].properties)
        if settings:
            self._read_exceptions(settings, context)
        return response

    def ConfigureStack(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.configuration.update(request.config)
        self._by_type = {}
        return super().ConfigureStack(request, context)

    def Analyze(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        """The SDK's answer, which would decode a resource anew for each policy, whether it applies or not."""
        # Only what has containers is an unknown operator's pod, and most of its policies would find none.
        types = possible_types if _CONTAINERS in request.properties.SerializeToString() else certain_types
        kind = (request.type, types)
        found = self._by_type.get(kind) or self._by_type.setdefault(kind, self._split(*kind))
        response = super(PackServicer, found.server).Analyze(request, context)  # type: ignore[no-untyped-call]
        response.not_applicable.extend(found.not_applicable)
        return self._collect(response)

    def AnalyzeStack(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = self._collect(super().AnalyzeStack(request, context))  # type: ignore[no-untyped-call]
        if self._undecided:
            response.diagnostics.append(self._summarize())
        unjudged = describe_unjudged(resource.type for resource in request.resources)
        if unjudged:
            response.diagnostics.append(_advise("unjudged", unjudged, "Resources that no control looks at"))
        return response

    def _read_exceptions(self, settings: Mapping[str, Any], context: Any) -> None:
        path = Path(settings.get("file", exceptions.FILE))
        term = int(settings.get("longestTermDays", exceptions.LONGEST_TERM))
        try:
            self.exceptions.replace(exceptions.load(REGISTRY.keys(), path.resolve(), term))
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"policy pack {NAME}: {error}")

    def _split(self, type_: str, find_types: _FindTypes) -> _ForType:
        policies = [policy for policy in getattr(self, _POLICIES) if policy.name in REGISTRY]
        types = set(find_types(type_))
        applicable = [policy for policy in policies if types.intersection(REGISTRY[policy.name].types)]
        others = [
            proto.PolicyNotApplicable(policy_name=policy.name)
            for policy in policies
            if policy not in applicable
            and not REGISTRY[policy.name].over_stack
            and self._get_enforcement_level(policy) is not EnforcementLevel.DISABLED
        ]
        server = copy.copy(self)
        setattr(server, _POLICIES, applicable)
        return _ForType(server, others)

    def _collect(self, response: Any) -> Any:
        """The response in which an undecided check is neither passed nor failed, but did not apply."""
        undecided = [found for found in response.diagnostics if found.message.startswith(_UNDECIDED)]
        for found in undecided:
            response.diagnostics.remove(found)
            reason = found.message.partition(" during preview: ")[2]
            response.not_applicable.append(proto.PolicyNotApplicable(policy_name=found.policyName, reason=reason))
        with self._counting:
            self._undecided.update(found.policyName for found in undecided)
        return response

    def _summarize(self) -> Any:
        controls = ", ".join(f"{control} ({count})" for control, count in sorted(self._undecided.items()))
        return _advise(
            "undecided",
            f"{self._undecided.total()} checks depend on values that are not known yet; the next run decides "
            f"them: {controls}",
            "Checks that depend on values that are not known yet",
        )


def _advise(name: str, message: str, description: str) -> Any:
    return proto.AnalyzeDiagnostic(
        policyName=name,
        policyPackName=NAME,
        policyPackVersion=_VERSION,
        message=message,
        description=description,
        enforcementLevel=proto.ADVISORY,
    )
