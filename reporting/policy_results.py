"""Reads the results of the policies in a preview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kernel.engine_events import strip_style
from rehearsal import summary


@dataclass(frozen=True)
class Violation:
    """
    control       ID of the control
    resource      logical name; empty for a control of the whole stack
    message       severity, control, what is wrong and how to fix it
    is_mandatory  whether a deployment is refused
    """

    control: str
    resource: str
    message: str
    is_mandatory: bool


@dataclass(frozen=True)
class PolicyResults:
    passed: int
    undecided: int
    violations: tuple[Violation, ...]


def read_results(events: Iterable[Mapping[str, Any]]) -> PolicyResults:
    """The results in the event log of one preview."""
    listed = list(events)
    counts = summary.policy_results(listed)
    found = [_read_violation(event["policyEvent"]) for event in listed if "policyEvent" in event]
    violations = [each for each in found if each is not None]
    violations.sort(key=lambda each: (not each.is_mandatory, each.control, each.resource))
    return PolicyResults(counts.passed, counts.undecided, tuple(violations))


def _read_violation(event: Mapping[str, Any]) -> Violation | None:
    message = strip_style(str(event.get("message", ""))).strip()
    if summary.UNDECIDED.search(message):
        return None
    return Violation(
        str(event.get("policyName", "")),
        str(event.get("resourceUrn", "")).rsplit("::", 1)[-1],
        message,
        event.get("enforcementLevel") != "warning",
    )
