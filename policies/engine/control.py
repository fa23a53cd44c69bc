"""A control: a function over plain properties, with an ID, a severity and a remedy.

Controls do not depend on Pulumi's protocol. `policies.engine.pack` serves them to the engine;
`policies.evaluate_manifest` applies the same functions to manifests that the engine never sees, such as those of
rendered charts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from policies.engine.carriers import expand_lists, find_carried, may_carry
from policies.engine.findings import Finding, Props
from policies.engine.stack import Resource, Stack

Severity: TypeAlias = Literal["critical", "high", "medium", "low"]


@dataclass(frozen=True)
class Setting:
    """A control's setting: its JSON schema in the pack's configuration, and the default.

    `extended_by` is a setting of the stack, `section.name`, whose list is added to the default. Unlike the pack's
    configuration, the program also reads it, so that admission applies it too.
    """

    schema: Mapping[str, Any]
    default: Any
    extended_by: str = ""


Settings: TypeAlias = Mapping[str, Setting]


@dataclass(frozen=True)
class Control:
    """One rule of the pack.

    `function` evaluates one resource's properties or, if `over_stack`, all resources of a stack together. `service`
    is the module that defines it: `aws.eks`. `references` are public rules that require the same.
    """

    id: str
    title: str
    severity: Severity
    types: tuple[str, ...]
    remedy: str
    references: tuple[str, ...]
    service: str
    settings: Settings
    function: Callable[..., Iterator[Any]]
    over_stack: bool

    def evaluate(self, props: Props, configured: Mapping[str, Any] | None = None) -> list[Finding]:
        """The findings of a control over single resources on one of them.

        If the control itself fails, that is a violation too, because it did not find the resource compliant.
        """
        try:
            return list(self._call(props, configured))
        except Exception as error:
            return [_describe_failure(error)]

    def evaluate_resource(
        self, resource_type: str, props: Props, configured: Mapping[str, Any] | None = None
    ) -> list[Finding]:
        """The findings on a resource and on the objects of the control's types that it carries; see `evaluate`."""
        try:
            carried = [each for each in find_carried(resource_type, props) if each.type in self.types]
            return [finding for each in carried for finding in each.locate(self.evaluate(each.props, configured))]
        except Exception as error:
            return [_describe_failure(error)]

    def evaluate_stack(
        self, stack: Stack, configured: Mapping[str, Any] | None = None
    ) -> list[tuple[Resource, Finding]]:
        """The findings of a stack control on all resources together; see `evaluate`."""
        try:
            return list(self._call(expand_lists(stack), configured))
        except Exception as error:
            subjects = [resource for resource in stack if self.applies_to(resource.type)]
            return [(resource, _describe_failure(error)) for resource in subjects]

    @property
    def mandatory(self) -> bool:
        """Whether a violation stops a deployment; otherwise it is only reported."""
        return self.severity != "low"

    def applies_to(self, resource_type: str) -> bool:
        """Whether resources of the type are evaluated, or may carry objects that are."""
        return may_carry(resource_type, self.types)

    def violation_message(self, problem: str) -> str:
        """The message to people. `problem` names properties and never values, because any value may be a secret."""
        return f"[{self.severity}] {self.id}: {problem}. Remedy: {self.remedy}"

    def _call(self, subject: Props | Stack, configured: Mapping[str, Any] | None) -> Iterator[Any]:
        if not self.settings:
            return self.function(subject)
        defaults = {name: setting.default for name, setting in self.settings.items()}
        return self.function(subject, {**defaults, **(configured or {})})


def _describe_failure(error: Exception) -> str:
    """A finding that the control failed, without the error's text, which may contain a secret value."""
    return f"could not be evaluated because of a bug in this control ({type(error).__name__}): please report it"
