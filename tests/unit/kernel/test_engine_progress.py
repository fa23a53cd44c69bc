"""What is said of a run of the engine that is silent for long.

Proves it on events as the engine writes them, with times that are given. That the engine leaves out its dots and
writes such events, a rehearsal shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernel import engine_progress
from kernel.engine_progress import Waits, report_waits
from tests.support.waiting import eventually


def event(kind: str, name: str, op: str = "create", *, custom: bool = True) -> Any:
    type_ = "azure-native:dbforpostgresql:Server"
    urn = f"urn:pulumi:dev::groundwork::{type_}::{name}"
    return {kind: {"metadata": {"op": op, "urn": urn, "type": type_, "new": {"type": type_, "custom": custom}}}}


def test_a_silence_is_ended_by_what_is_waited_for_the_oldest_first() -> None:
    waits = Waits(100.0)
    for name in ("a", "b", "c", "d", "e"):
        waits.add(event("resourcePreEvent", name), 101.0)
    waits.add(event("resOutputsEvent", "a"), 102.0)
    assert waits.describe(131.9) == ""
    assert waits.describe(132.0) == "  32 s: 1 done, waiting for Server b, Server c, Server d and 1 more"
    assert waits.describe(161.9) == "", "once in a while, not with each look"
    waits.add(event("resOpFailedEvent", "c"), 162.0)
    assert waits.describe(192.0) == "  92 s: 2 done, waiting for Server b, Server d, Server e"


def test_what_the_engine_prints_no_line_for_ends_no_silence() -> None:
    waits = Waits(0.0)
    waits.add(event("resourcePreEvent", "network", custom=False), 20.0)
    waits.add(event("resourcePreEvent", "a", "same"), 20.0)
    waits.add(event("resOutputsEvent", "a", "same"), 21.0)
    waits.add({"diagnosticEvent": {"urn": "", "message": "", "severity": "debug"}}, 22.0)
    assert waits.describe(30.0) == "  30 s: 1 done, waiting for the engine"


def test_an_update_counts_anew_after_its_preview() -> None:
    waits = Waits(0.0)
    waits.add(event("resourcePreEvent", "a"), 1.0)
    waits.add({"preludeEvent": {"config": {}}}, 2.0)
    assert waits.describe(40.0) == "  40 s: 0 done, waiting for the engine"


def test_the_log_is_followed_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_progress, "_SILENCE", 0.0)
    monkeypatch.setattr(engine_progress, "_POLL_INTERVAL", 0.01)
    log, said = tmp_path / "events.jsonl", list[str]()
    whole, begun = json.dumps(event("resourcePreEvent", "a")), json.dumps(event("resourcePreEvent", "b"))
    with report_waits(log, said.append):
        eventually(lambda: any("the engine" in line for line in said))
        with log.open("w") as output:
            output.write(f"{whole}\n{begun[:20]}")
            output.flush()
            eventually(lambda: any(line.endswith("waiting for Server a") for line in said))
            output.write(f"{begun[20:]}\n")
            output.flush()
            eventually(lambda: any(line.endswith("waiting for Server a, Server b") for line in said))
