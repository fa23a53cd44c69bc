"""What the policies found in a run of the engine, as SARIF 2.1.0, which code scanning services read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html

One result is one message of a policy on one resource: a violation, or a note of what could not be decided yet. What a
Helm chart renders is not in it, because the engine does not see that; the summary of a rehearsal has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import policies
from policies import Control

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_CATALOGUE = "docs/controls.md"
# GitHub sorts by this number: https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/
# sarif-support-for-code-scanning#reportingdescriptor-object (over 9.0 critical, 7.0 high, 4.0 medium)
_SECURITY_SEVERITY = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}
_LEVELS = {"critical": "error", "high": "error", "medium": "error", "low": "warning"}


def render(stack: str, events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The log of one run.

    events  the engine's, of a preview or an update under the policy pack
    """
    known = {control.id: control for control in policies.controls()}
    found = [event["policyEvent"] for event in events if "policyEvent" in event]
    rules = sorted({event["policyName"] for event in found} & known.keys())
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Groundwork policies",
                        "informationUri": "https://www.pulumi.com/docs/insights/policy/",
                        "rules": [_describe_rule(known[name]) for name in rules],
                    }
                },
                "automationDetails": {"id": f"policies/{stack}/"},
                "columnKind": "unicodeCodePoints",
                "results": _list_results(stack, found, rules),
            }
        ],
    }


def count_violations(log: Mapping[str, Any]) -> int:
    """The results of a log that stop a deployment."""
    return sum(result["level"] == "error" for run in log["runs"] for result in run["results"])


def _describe_rule(control: Control) -> dict[str, Any]:
    return {
        "id": control.id,
        "shortDescription": {"text": control.title},
        "fullDescription": {"text": f"{control.title}. Required by {', '.join(control.references) or 'this project'}."},
        "help": {"text": f"Remedy: {control.remedy}. All controls are listed in {_CATALOGUE}."},
        "defaultConfiguration": {"level": _LEVELS[control.severity]},
        "properties": {
            "tags": ["security", control.service],
            "security-severity": _SECURITY_SEVERITY[control.severity],
        },
    }


def _list_results(stack: str, found: Sequence[Mapping[str, Any]], rules: Sequence[str]) -> list[dict[str, Any]]:
    results: dict[str, dict[str, Any]] = {}
    for event in found:
        result = _describe_result(stack, event, rules)
        # The engine reports a violation in each of its phases.
        results.setdefault(result["partialFingerprints"]["policyOnResource/v1"], result)
    return list(results.values())


def _describe_result(stack: str, event: Mapping[str, Any], rules: Sequence[str]) -> dict[str, Any]:
    name, urn = event["policyName"], event.get("resourceUrn", "")
    message = " ".join(event.get("message", "").split()) or "violated, without a message"
    fingerprint = hashlib.sha256("\0".join((stack, name, urn, message)).encode()).hexdigest()
    result: dict[str, Any] = {
        "ruleId": name,
        "level": _find_level(event, rules),
        "message": {"text": message},
        "locations": [
            {
                # A resource is declared by the program and configured here; a scanning service wants a file and a line.
                "physicalLocation": {
                    "artifactLocation": {"uri": f"stacks/Pulumi.{stack}.yaml"},
                    "region": {"startLine": 1},
                },
                **({"logicalLocations": [_locate(urn)]} if urn else {}),
            }
        ],
        "partialFingerprints": {"policyOnResource/v1": fingerprint},
    }
    # Messages of the engine itself, such as of what is undecided, are of no control.
    return {**result, "ruleIndex": rules.index(name)} if name in rules else result


def _find_level(event: Mapping[str, Any], rules: Sequence[str]) -> str:
    """What stops a deployment is an error, a control's advice a warning, and what is undecided a note."""
    if event.get("enforcementLevel") == "mandatory":
        return "error"
    return "warning" if event["policyName"] in rules else "note"


def _locate(urn: str) -> dict[str, str]:
    return {"name": urn.rsplit("::", 1)[-1], "fullyQualifiedName": urn, "kind": "resource"}
