"""The line about what a preview would create.

Proves it for events and a plan in the engine's format. tests/engine proves that a preview writes both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.creation_time import describe_creation

STACK = "urn:pulumi:team::groundwork::"
CLUSTER, DATABASE = f"{STACK}aws:eks/cluster:Cluster::cluster", f"{STACK}aws:rds/instance:Instance::database"
NODES = f"{STACK}aws:eks/nodeGroup:NodeGroup::cluster-user"


def event(urn: str, op: str) -> Mapping[str, Any]:
    type_ = urn.split("::")[2]
    state = {"urn": urn, "type": type_, "custom": True, "parent": "", "inputs": {}, "provider": ""}
    return {"resourcePreEvent": {"metadata": {"op": op, "urn": urn, "type": type_, "new": state}}}


def write(folder: Path, *events: Mapping[str, Any]) -> tuple[Path, Path]:
    log, plan = folder / "events.jsonl", folder / "plan.json"
    log.write_text("".join(f"{json.dumps(each)}\n" for each in events))
    goal = {"goal": {"dependencies": [CLUSTER]}, "steps": ["create"]}
    plan.write_text(json.dumps({"resourcePlans": {NODES: goal, CLUSTER: {"goal": {}}}}))
    return log, plan


def test_the_critical_path_consists_of_new_resources(tmp_path: Path) -> None:
    files = write(tmp_path, event(CLUSTER, "create"), event(NODES, "create"), event(DATABASE, "create"))
    line = describe_creation(*files)
    assert line.startswith(
        "Creating these resources takes about 12 min, most of them for cluster 10, cluster-user 2 min"
    )


def test_existing_resources_take_no_time(tmp_path: Path) -> None:
    files = write(tmp_path, event(CLUSTER, "same"), event(NODES, "create"), event(DATABASE, "update"))
    assert describe_creation(*files).startswith("Creating these resources takes about 2 min")


def test_no_line_is_printed_if_nothing_is_created_or_there_is_no_plan(tmp_path: Path) -> None:
    log, plan = write(tmp_path, event(CLUSTER, "same"))
    assert describe_creation(log, plan) == ""
    assert describe_creation(log, tmp_path / "none") == ""
