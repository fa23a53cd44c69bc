"""The JSON of previews in the format of engine 3.255.0, reduced to what a test needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

DATABASE = "aws:rds/instance:Instance"
BUCKET = "aws:s3/bucket:Bucket"
RULE = "aws:ec2/securityGroup:SecurityGroup"
STACK_URN = "urn:pulumi:team::shop::pulumi:pulumi:Stack::shop-team"

Step = Mapping[str, Any]


def urn(type_: str, name: str, stack: str = "team") -> str:
    return f"urn:pulumi:{stack}::shop::shop:core:Store${type_}::{name}"


def step(
    operation: str,
    type_: str = DATABASE,
    name: str = "orders",
    causes: Sequence[str] = (),
    *,
    protect: bool = False,
    retain: bool = False,
) -> Step:
    """A step of `pulumi preview --json`."""
    state = {"type": type_, "urn": urn(type_, name), "custom": True}
    if protect:
        state["protect"] = True
    if retain:
        state["retainOnDelete"] = True
    return {
        "op": operation,
        "urn": urn(type_, name),
        "oldState": None if operation == "create" else state,
        "newState": None if operation.startswith("delete") else state,
        "replaceReasons": [cause.split(".")[0] for cause in causes],
        "detailedDiff": {cause: {"kind": "update-replace", "inputDiff": True} for cause in causes} or None,
    }


def document(*steps: Step, **other: Any) -> str:
    """The output of `pulumi preview --json --show-replacement-steps`."""
    root = {"op": "same", "urn": STACK_URN, "oldState": {}, "newState": {}}
    return json.dumps({"steps": [root, *steps], "duration": 12, "changeSummary": _count(steps), **other})


def events(*steps: Step) -> str:
    """What `--event-log` writes."""
    root = {"op": "same", "urn": STACK_URN, "oldState": {}, "newState": {}}
    lines: list[Mapping[str, Any]] = [{"preludeEvent": {"config": {}}}]
    lines += [{"resourcePreEvent": {"metadata": _to_metadata(each), "planning": True}} for each in (root, *steps)]
    lines += [{"summaryEvent": {"resourceChanges": _count(steps), "isPreview": True}}, {"cancelEvent": {}}]
    return "".join(f"{json.dumps({'sequence': 1, 'timestamp': 1, **line})}\n" for line in lines)


def _to_metadata(each: Step) -> Mapping[str, Any]:
    details = each.get("detailedDiff") or {}
    return {
        "op": each["op"],
        "urn": each["urn"],
        "type": each["urn"].split("::")[2].rpartition("$")[2],
        "old": each["oldState"],
        "new": each["newState"],
        "keys": each.get("replaceReasons"),
        "detailedDiff": {path: {"diffKind": detail["kind"]} for path, detail in details.items()} or None,
    }


def _count(steps: Sequence[Step]) -> Mapping[str, int]:
    """Count the steps, without the non-logical steps of a replacement."""
    return Counter(each["op"] for each in steps if each["op"] not in ("create-replacement", "delete-replaced"))
