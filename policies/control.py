"""What a control is: a function over plain properties, with a name, a severity and a remedy.

Controls know nothing of Pulumi's protocol: `policies.pack` serves them to the engine, and
`policies.services.judge_manifest` lets the same functions judge manifests that no engine ever sees, such as those of
rendered charts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from policies.props import Marker, Props, Undecided, Verdict, Verdicts, any_of, each, some

Severity: TypeAlias = Literal["critical", "high", "medium", "low"]


@dataclass(frozen=True)
class Setting:
    """A control's setting: its JSON schema in the pack's configuration, and the default."""

    schema: Mapping[str, Any]
    default: Any


Settings: TypeAlias = Mapping[str, Setting]


@dataclass(frozen=True)
class Resource:
    """One resource of a stack, as stack controls see it."""

    type: str
    name: str
    urn: str
    props: Props
    property_dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def refers_to(self, other: "Resource", path: str) -> bool | Undecided:
        """Whether the property at `path` names the other resource.

        The engine's record of dependencies answers that even while the value is unknown; literal names have no
        such record and are compared.
        """
        recorded = self.property_dependencies.get(re.split(r"[.\[]", path)[0])
        if recorded:
            return other.urn in recorded
        names = [other.props.get(key) for key in ("id", "arn", "bucket", "accountName")]
        named = some((value for _, value in each(self.props, path)), lambda value: value in names)
        return Undecided(f"{self.name}.{path}") if isinstance(named, Marker) else named


Stack: TypeAlias = Sequence[Resource]
StackVerdicts: TypeAlias = Iterator[tuple[Resource, Verdict]]


@dataclass(frozen=True)
class Control:
    """One rule of the pack. `function` judges one resource's properties, or for stack controls all resources."""

    id: str
    title: str
    severity: Severity
    types: tuple[str, ...]
    remedy: str
    anchors: tuple[str, ...]
    service: str
    settings: Settings
    function: Callable[..., Iterator[Any]]
    over_stack: bool

    def judge(self, props: Props, configured: Mapping[str, Any] | None = None) -> list[Verdict]:
        """What a control over single resources says of one."""
        return list(self._call(props, configured))

    def judge_stack(self, stack: Stack, configured: Mapping[str, Any] | None = None) -> list[tuple[Resource, Verdict]]:
        """What a stack control says of all resources together."""
        return list(self._call(stack, configured))

    @property
    def mandatory(self) -> bool:
        """Whether a violation stops a deployment, or is advice."""
        return self.severity != "low"

    def applies_to(self, resource_type: str) -> bool:
        return canonical(resource_type) in self.types

    def violation(self, wrong: str) -> str:
        """The sentence a reader gets. It names places and never values: any value may be a secret."""
        return f"[{self.severity}] {self.id}: {wrong}. Remedy: {self.remedy}"

    def _call(self, subject: Props | Stack, configured: Mapping[str, Any] | None) -> Iterator[Any]:
        if not self.settings:
            return self.function(subject)
        defaults = {name: setting.default for name, setting in self.settings.items()}
        return self.function(subject, {**defaults, **(configured or {})})


REGISTRY: dict[str, Control] = {}


def control(
    control_id: str,
    *,
    title: str,
    severity: Severity,
    types: Sequence[str],
    remedy: str,
    anchors: Sequence[str] = (),
    settings: Settings | None = None,
) -> Callable[[Callable[..., Verdicts]], Callable[..., Verdicts]]:
    """Register a function that judges one resource."""
    return _registrar(control_id, title, severity, types, remedy, anchors, settings, over_stack=False)


def stack_control(
    control_id: str,
    *,
    title: str,
    severity: Severity,
    types: Sequence[str],
    remedy: str,
    anchors: Sequence[str] = (),
) -> Callable[[Callable[[Stack], StackVerdicts]], Callable[[Stack], StackVerdicts]]:
    """Register a function that judges a whole stack; `types` are those it finds fault with."""
    return _registrar(control_id, title, severity, types, remedy, anchors, None, over_stack=True)


def canonical(resource_type: str) -> str:
    """One spelling per type: without Azure's API version, without the V2 of the S3 resources."""
    if resource_type.startswith("azure-native"):
        unversioned = re.sub(r"^azure-native_\w+?_v\d{8}\w*:", "azure-native:", resource_type)
        return re.sub(r"/v\d{8}\w*:", ":", unversioned)
    return re.sub(r"^aws:s3/(\w+)V2:(\w+)V2$", r"aws:s3/\1:\2", resource_type)


def of_type(stack: Stack, *types: str) -> list[Resource]:
    return [resource for resource in stack if canonical(resource.type) in types]


def each_has(
    owners: Iterable[Resource],
    companions: Iterable[Resource],
    path: str,
    missing: str,
    judge: Callable[[Resource], Verdicts] = lambda _: iter(()),
) -> StackVerdicts:
    """Ask that every owner has a companion which names it at `path` and which `judge` finds no fault with."""
    candidates = list(companions)
    for owner in owners:
        answers = [(companion, companion.refers_to(owner, path)) for companion in candidates]
        possible = [[answer] for _, answer in answers if isinstance(answer, Undecided)]
        own = [judge(companion) for companion, answer in answers if answer is True]
        for verdict in any_of([*possible, *(own or [iter([missing])])]):
            yield owner, verdict


def _registrar(
    control_id: str,
    title: str,
    severity: Severity,
    types: Sequence[str],
    remedy: str,
    anchors: Sequence[str],
    settings: Settings | None,
    *,
    over_stack: bool,
) -> Callable[[Callable[..., Iterator[Any]]], Callable[..., Iterator[Any]]]:
    def register(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        if control_id in REGISTRY:
            raise ValueError(f"two controls are called {control_id}")
        service = function.__module__.rpartition(".")[2]
        REGISTRY[control_id] = Control(
            id=control_id,
            title=title,
            severity=severity,
            types=tuple(types),
            remedy=remedy,
            anchors=tuple(anchors),
            service=service,
            settings=settings or {},
            function=function,
            over_stack=over_stack,
        )
        return function

    return register
