"""Runs that are interrupted: when, how, and which faults are found in the state that they leave.

Proves it with a small process in place of `rehearsal up`; tests/soak/test_scenarios.py interrupts real runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from rehearsal.console import UserError
from rehearsal.interruption import interrupt_at, list_created_twice, list_orphans
from rehearsal.project import Project
from rehearsal.session import Rehearsal
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore

pytestmark = pytest.mark.process

TYPE = "aws:s3/bucket:Bucket"
# Creates resources until it is terminated, as `up` does.
UP = """
import signal, sys, time
from rehearsal.simulator.core.state_store import StateStore
signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))
state = StateStore(sys.argv[1])
for number in range({count}):
    state.append_to_journal("create", "aws:s3/bucket:Bucket", f"urn:{{number}}", "done")
    time.sleep(0.01)
"""


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    (tmp_path / "Pulumi.test.yaml").touch()
    found = Rehearsal("test", project=Project(tmp_path, "shop", tmp_path))
    found.folder.mkdir(parents=True)
    return found


def plan(rehearsal: Rehearsal, count: int) -> None:
    step = {"op": "create", "type": TYPE, "new": {"custom": True}}
    others = [{"op": "create", "type": "pulumi:providers:aws", "new": {"custom": True}}, {"op": "same", "type": TYPE}]
    lines = [{"resourcePreEvent": {"metadata": each}} for each in [*[step] * count, *others]]
    text = "".join(f"{json.dumps(line)}\n" for line in [*lines, {"summaryEvent": {}}])
    (rehearsal.folder / "preview-events.jsonl").write_text(text)


def start(rehearsal: Rehearsal, count: int = 10_000, code: int = 130) -> subprocess.Popen[bytes]:
    script = UP.format(count=count, code=code)
    return subprocess.Popen([sys.executable, "-c", script, str(rehearsal.files.state)])


def test_a_run_is_interrupted_at_a_share_of_the_plan(rehearsal: Rehearsal) -> None:
    plan(rehearsal, 40)
    reached = interrupt_at(start(rehearsal), rehearsal, 0, 0.5)
    assert reached >= 20
    assert interrupt_at(start(rehearsal), rehearsal, reached, 0.1) > reached, "each run goes further"


def test_a_run_that_ends_early_or_fails_is_a_failure(rehearsal: Rehearsal) -> None:
    plan(rehearsal, 40)
    with pytest.raises(UserError, match="ended before it was interrupted"):
        interrupt_at(start(rehearsal, count=1), rehearsal, 0, 0.9)
    with pytest.raises(UserError, match="ended with exit code 3, not 130"):
        interrupt_at(start(rehearsal, code=3), rehearsal, 1, 0.1)


def test_resources_created_twice_are_found_unless_they_were_deleted_in_between(rehearsal: Rehearsal) -> None:
    with closing(StateStore(rehearsal.files.state)) as state:
        for operation, name, outcome in (
            ("create", "once", "done"), ("create", "twice", "done"), ("create", "twice", "done"),
            ("create", "again", "done"), ("delete", "again", "done"), ("create", "again", "done"),
            ("create", "refused", "refused: no"), ("create", "refused", "done"),
        ):  # fmt: skip
            state.append_to_journal(operation, TYPE, f"urn:pulumi:test::shop::x${TYPE}::{name}", outcome)
    assert list(list_created_twice(rehearsal)) == [f"{TYPE}::twice was created twice"]


def test_a_resource_that_the_engine_does_not_know_is_orphaned(rehearsal: Rehearsal) -> None:
    with closing(StateStore(rehearsal.files.state)) as state:
        for urn, id_ in (("urn:known", "a"), ("urn:lost", "b"), ("", "made-by-the-service")):
            state.put(ResourceRecord(TYPE, id_, urn, 0, {}, {}))
    file = rehearsal.backend / ".pulumi" / "stacks" / "shop" / "test.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"checkpoint": {"latest": {"resources": [{"urn": "urn:known"}]}}}))
    assert list(list_orphans(rehearsal)) == [f"{TYPE} b is orphaned"]
