"""Findings of the policies: the same type for a run of the engine, a state and manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import policies

Level: TypeAlias = Literal["error", "warning", "note"]
"""A finding that stops a deployment is an error, an advisory one a warning, and an undecided check a note."""

SEVERITIES: Final = ("critical", "high", "medium", "low")


@dataclass(frozen=True)
class Finding:
    """One message of a policy on one resource.

    severity  the control's severity; empty for a message of the pack itself, such as one on undecided checks
    resource  its URN, or `<kind>/<namespace>/<name>` of a manifest; empty for a message about a whole stack
    file      where it is configured or written, relative to the current folder if it is inside
    line      line in that file, from 1
    """

    policy: str
    severity: str
    level: Level
    message: str
    resource: str
    file: str
    line: int = 1

    @property
    def name(self) -> str:
        """The resource's name for people."""
        return self.resource.rsplit("::", 1)[-1]


def read_findings(events: Iterable[Mapping[str, Any]], file: str) -> list[Finding]:
    """The findings in the engine's events, each once: the engine reports a violation in each of its phases."""
    severities = {control.id: control.severity for control in policies.controls()}
    found = (_read_event(event["policyEvent"], severities, file) for event in events if "policyEvent" in event)
    return list(dict.fromkeys(found))


def count_failing(findings: Sequence[Finding], level: str = "") -> int:
    """How many findings are as severe as `level` or more; without one, how many stop a deployment.

    A finding that stops a deployment but belongs to no control, and so has no severity, counts at each level.
    """
    if not level:
        return sum(finding.level == "error" for finding in findings)
    reached = SEVERITIES[: SEVERITIES.index(level) + 1]
    return sum(_counts(finding, reached) for finding in findings)


def _counts(finding: Finding, reached: Sequence[str]) -> bool:
    if not finding.severity:
        return finding.level == "error"
    return finding.level != "note" and finding.severity in reached


def _read_event(event: Mapping[str, Any], severities: Mapping[str, str], file: str) -> Finding:
    name = event["policyName"]
    message = " ".join(event.get("message", "").split()) or "violated, without a message"
    level: Level = "warning" if name in severities else "note"
    if event.get("enforcementLevel") == "mandatory":
        level = "error"
    return Finding(name, severities.get(name, ""), level, message, event.get("resourceUrn", ""), file)
