"""The registry of controls, and the decorators that register them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from policies.engine.control import Control, Settings, Severity
from policies.engine.findings import Findings
from policies.engine.stack import StackFindings

REGISTRY: Final[dict[str, Control]] = {}


def control(
    control_id: str,
    *,
    title: str,
    severity: Severity,
    types: Sequence[str],
    remedy: str,
    references: Sequence[str] = (),
    settings: Settings | None = None,
) -> Callable[[Callable[..., Findings]], Callable[..., Findings]]:
    """Register a function that evaluates one resource."""
    return _registrar(control_id, title, severity, types, remedy, references, settings, over_stack=False)


def stack_control(
    control_id: str,
    *,
    title: str,
    severity: Severity,
    types: Sequence[str],
    remedy: str,
    references: Sequence[str] = (),
    settings: Settings | None = None,
) -> Callable[[Callable[..., StackFindings]], Callable[..., StackFindings]]:
    """Register a function that evaluates a whole stack; `types` are the types on which it reports findings."""
    return _registrar(control_id, title, severity, types, remedy, references, settings, over_stack=True)


def _registrar(
    control_id: str,
    title: str,
    severity: Severity,
    types: Sequence[str],
    remedy: str,
    references: Sequence[str],
    settings: Settings | None,
    *,
    over_stack: bool,
) -> Callable[[Callable[..., Iterator[Any]]], Callable[..., Iterator[Any]]]:
    def register(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        if control_id in REGISTRY:
            raise ValueError(f"the control ID '{control_id}' is used twice: change the ID of one of the controls")
        cloud, service = function.__module__.split(".")[-2:]
        REGISTRY[control_id] = Control(
            id=control_id,
            title=title,
            severity=severity,
            types=tuple(types),
            remedy=remedy,
            references=tuple(references),
            service=f"{cloud}.{service}",
            settings=settings or {},
            function=function,
            over_stack=over_stack,
        )
        return function

    return register
