"""Credentials that expire in the middle of a run: the message says what was done, what is left, and how to continue.

Proves how events of engine 3.255.0 are read, with the messages of each cloud. Not proven: that the clouds have no other
messages than these, which are quoted from their documentation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.expired_credentials import explain

AWS = "operation error EC2: CreateSubnet, api error ExpiredToken: The security token included in the request is expired"


def write(log: Path, *events: dict[str, Any]) -> Path:
    log.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return log


def step(kind: str, name: str, operation: str = "create", *, planning: bool = False) -> dict[str, Any]:
    urn = f"urn:pulumi:team::groundwork::aws:ec2/subnet:Subnet::{name}"
    return {kind: {"metadata": {"op": operation, "urn": urn, "new": {"custom": True}}, "planning": planning}}


def error(message: str) -> dict[str, Any]:
    return {"diagnosticEvent": {"severity": "error", "message": message, "urn": "urn"}}


def test_the_message_says_what_was_done_what_is_in_progress_and_how_to_continue(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log",
        *(step(kind, "a", planning=True) for kind in ("resourcePreEvent", "resOutputsEvent")),
        *(step(kind, "a") for kind in ("resourcePreEvent", "resOutputsEvent")),
        *(step(kind, "b", "update") for kind in ("resourcePreEvent", "resOutputsEvent")),
        *(step(kind, "c", "same") for kind in ("resourcePreEvent", "resOutputsEvent")),
        step("resourcePreEvent", "d"),
        *(step(kind, "e") for kind in ("resourcePreEvent", "resOpFailedEvent")),
        error(AWS),
    )
    lines = explain("up", "team", log).splitlines()
    assert lines[0] == "The credentials expired while team was changed."
    assert lines[1] == "  done       1 created, 1 updated; the state in the backend records it"
    assert lines[2] == "  under way  d"
    assert lines[3] == "  continue   sign in again, then `make up STACK=team`, which does what is left"
    assert "`pulumi refresh --stack team`" in "\n".join(lines)
    assert "`pulumi cancel --stack team`" in "\n".join(lines)


@pytest.mark.parametrize(
    "message",
    [
        AWS,
        "AADSTS700024: Client assertion is not within its valid time range.",
        "ExpiredAuthenticationToken: The access token expiry UTC time '11/30/2026 3:00:00 AM' is earlier than now",
        "error: You must be logged in to the server (Unauthorized)",
    ],
)
def test_each_clouds_messages_are_recognized(tmp_path: Path, message: str) -> None:
    assert "nothing was changed" in explain("up", "team", write(tmp_path / "log", error(message)))


@pytest.mark.parametrize("action", ["preview", "drift"])
def test_a_run_that_changes_nothing_can_be_repeated(tmp_path: Path, action: str) -> None:
    assert explain(action, "team", write(tmp_path / "log", error(AWS))).endswith(f"`make {action} STACK=team`.")


def test_another_failure_is_not_explained(tmp_path: Path) -> None:
    assert explain("up", "team", write(tmp_path / "log", error("VpcLimitExceeded"))) == ""
    assert explain("up", "team", tmp_path / "absent") == ""
