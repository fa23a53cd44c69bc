"""The exceptions of one run: which are in force, which a resource needed, and messages about the others."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)

from kernel.reviewed_entries import find_today
from policies.engine.decoding import read_stack
from policies.engine.exceptions import ReviewedException, Subject
from policies.engine.registry import REGISTRY

NAME: Final = "exceptions"
"""The pack's entry about exceptions in its configuration and in the engine's messages; no control has this ID."""

SETTINGS: Final[Mapping[str, Any]] = {
    "file": {"type": "string", "minLength": 1},
    "longestTermDays": {"type": "integer", "minimum": 1},
}

_NOTICE: Final = timedelta(days=30)


class ExceptionRegister:
    """Exceptions, and a record of those that a resource needed."""

    def __init__(self, exceptions: Iterable[ReviewedException] = ()) -> None:
        self._exceptions = list(exceptions)
        self._needed: set[ReviewedException] = set()

    def replace(self, exceptions: Iterable[ReviewedException]) -> None:
        """Replace the exceptions with others, none of which is needed yet."""
        self._exceptions, self._needed = list(exceptions), set()

    def exempts(self, control: str, subject: Subject) -> bool:
        """Whether an exception in force covers a resource that violates a control. Records that it is needed."""
        concerned = self._concerned(control, subject)
        self._needed.update(concerned)
        return any(exception.expires >= find_today() for exception in concerned)

    def explain_expired(self, control: str, subject: Subject) -> str:
        """The text to add to a violation's message if its exception has expired; empty if it had none."""
        for exception in self._concerned(control, subject):
            return f", and its exception expired on {exception.expires} (owner: {exception.owner or 'not named'})"
        return ""

    def describe(self, resources: Iterable[Subject]) -> Iterator[str]:
        """Messages to the owners of exceptions after a run over all resources of a stack.

        Exceptions for objects that charts render are omitted, because the engine does not see them.
        """
        resources = list(resources)
        stacks = {resource.stack for resource in resources}
        for exception in self._exceptions:
            if "/" in exception.resource:
                continue
            owner = f"owner: {exception.owner or 'not named'}"
            if exception in self._needed:
                if find_today() <= exception.expires <= find_today() + _NOTICE:
                    remedy = "fix the resource before then, or renew the exception"
                    yield f"{exception} expires on {exception.expires}: {remedy} ({owner})"
            elif any(exception.selects(resource) and _is_evaluated(exception, resource) for resource in resources):
                yield f"{exception} is not used because the resource meets the control: remove it ({owner})"
            elif exception.stack in stacks:
                yield f"{exception} is not used because {exception.stack} has no such resource: remove it ({owner})"

    def _concerned(self, control: str, subject: Subject) -> list[ReviewedException]:
        return [exception for exception in self._exceptions if exception.concerns(control, subject)]


def _is_evaluated(exception: ReviewedException, resource: Subject) -> bool:
    """Whether the exception's control evaluates the resource: a resource of another cloud may have the same name."""
    control = REGISTRY.get(exception.control)
    return control is not None and control.applies_to(resource.type)


def find_stack(urn: str) -> str:
    """The stack in a URN, `urn:pulumi:<stack>::<project>::...`."""
    return urn.split("::", 1)[0].rpartition(":")[2]


def as_policy(register: ExceptionRegister) -> StackValidationPolicy:
    """The policy that reports on exceptions, and whose settings name their file. It has to be the pack's last."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        subjects = [Subject(each.name, each.type, find_stack(each.urn)) for each in read_stack(args)]
        messages = list(register.describe(subjects))
        if not messages:
            args.not_applicable("every exception is in use and expires later")
        for message in messages:
            report(message, None)

    return StackValidationPolicy(
        name=NAME,
        description="Exceptions from controls are in use and do not expire soon",
        validate=validate,
        enforcement_level=EnforcementLevel.ADVISORY,
        config_schema=PolicyConfigSchema(properties={name: dict(schema) for name, schema in SETTINGS.items()}),
    )
