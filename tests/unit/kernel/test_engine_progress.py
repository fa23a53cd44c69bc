"""The lines that are reported while the engine prints nothing for long.

Proves it on events in the engine's format, with times that the test sets. That the engine omits its dots and writes
such events is shown by a rehearsal.
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


def test_pending_resources_are_reported_after_a_silence_oldest_first() -> None:
    waits = Waits(100.0)
    for name in ("a", "b", "c", "d", "e"):
        waits.add(event("resourcePreEvent", name), 101.0)
    waits.add(event("resOutputsEvent", "a"), 102.0)
    assert waits.describe(131.9) == ""
    assert waits.describe(132.0) == "  32 s: 1 done, waiting for Server b, Server c, Server d and 1 more"
    assert waits.describe(161.9) == "", "not reported again before the next silence"
    waits.add(event("resOpFailedEvent", "c"), 162.0)
    assert waits.describe(192.0) == "  92 s: 2 done, waiting for Server b, Server d, Server e"


def test_events_without_a_printed_line_do_not_end_a_silence() -> None:
    waits = Waits(0.0)
    waits.add(event("resourcePreEvent", "network", custom=False), 20.0)
    waits.add(event("resourcePreEvent", "a", "same"), 20.0)
    waits.add(event("resOutputsEvent", "a", "same"), 21.0)
    waits.add({"diagnosticEvent": {"urn": "", "message": "", "severity": "debug"}}, 22.0)
    assert waits.describe(30.0) == "  30 s: 1 done, waiting for the engine"


def test_an_update_resets_the_counts_of_its_preview() -> None:
    waits = Waits(0.0)
    waits.add(event("resourcePreEvent", "a"), 1.0)
    waits.add({"preludeEvent": {"config": {}}}, 2.0)
    assert waits.describe(40.0) == "  40 s: 0 done, waiting for the engine"


def test_the_log_is_followed_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_progress, "_SILENCE", 0.0)
    monkeypatch.setattr(engine_progress, "_POLL_INTERVAL", 0.01)
    log, messages = tmp_path / "events.jsonl", list[str]()
    complete, partial = json.dumps(event("resourcePreEvent", "a")), json.dumps(event("resourcePreEvent", "b"))
    with report_waits(log, messages.append):
        eventually(lambda: any("the engine" in line for line in messages))
        with log.open("w") as output:
            output.write(f"{complete}\n{partial[:20]}")
            output.flush()
            eventually(lambda: any(line.endswith("waiting for Server a") for line in messages))
            output.write(f"{partial[20:]}\n")
            output.flush()
            eventually(lambda: any(line.endswith("waiting for Server a, Server b") for line in messages))
