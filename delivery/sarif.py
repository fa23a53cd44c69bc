"""Renders findings of the policies as SARIF 2.1.0, which code scanning services read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html

One result is one message of a policy on one resource: a violation, or a note on an undecided check. Objects that a
Helm chart renders are not included, because the engine does not see them; the summary of a rehearsal covers them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import policies
from delivery.findings import Finding
from policies import Control

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_CATALOGUE = "docs/controls.md"
# GitHub sorts by this number: https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/
# sarif-support-for-code-scanning#reportingdescriptor-object (over 9.0 critical, 7.0 high, 4.0 medium)
_SECURITY_SEVERITY = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}
_LEVELS = {"critical": "error", "high": "error", "medium": "error", "low": "warning"}


def render(subject: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """The SARIF log of one run on a stack or a folder of manifests."""
    known = {control.id: control for control in policies.controls()}
    rules = sorted({finding.policy for finding in findings} & known.keys())
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
                "automationDetails": {"id": f"policies/{subject}/"},
                "columnKind": "unicodeCodePoints",
                "results": [_describe_result(subject, finding, rules) for finding in findings],
            }
        ],
    }


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


def _describe_result(subject: str, finding: Finding, rules: Sequence[str]) -> dict[str, Any]:
    identity = (subject, finding.policy, finding.resource, finding.message)
    result: dict[str, Any] = {
        "ruleId": finding.policy,
        "level": finding.level,
        "message": {"text": finding.message},
        "locations": [
            {
                # The program declares the resource; scanning services need a file and line, so use its configuration.
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(finding.file)},
                    "region": {"startLine": finding.line},
                },
                **({"logicalLocations": [_locate(finding)]} if finding.resource else {}),
            }
        ],
        "partialFingerprints": {"policyOnResource/v1": hashlib.sha256("\0".join(identity).encode()).hexdigest()},
    }
    # Messages of the pack itself, such as those on undecided checks, belong to no control.
    return {**result, "ruleIndex": rules.index(finding.policy)} if finding.policy in rules else result


def _locate(finding: Finding) -> dict[str, str]:
    return {"name": finding.name, "fullyQualifiedName": finding.resource, "kind": "resource"}
