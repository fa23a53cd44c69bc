"""Wrong input leads to one message, an exit code, no traceback, and no partial change.

Proves this with the commands that people use, for one mistake of each kind. For other settings see
tests/unit/rehearsal/test_commands.py; for the checks of the engine and the program see test_azure. Runs that are killed
or interrupted are tested in test_interruptions.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3

import pytest

from tests.support.project import Project

pytestmark = pytest.mark.engine

STACK = "azure-dev"


def test_the_error_of_an_unknown_stack_lists_the_existing_ones(project: Project) -> None:
    output = project.rehearse("up", "azure-dve").failure()
    assert "There is no stack 'azure-dve'" in output
    assert "aws-dev, aws-prod" in output


def test_a_wrong_setting_stops_the_rehearsal_before_anything_is_started(project: Project) -> None:
    project.set(STACK, cluster={"userPool": {"minimum": 9, "maximum": 3}})
    output = project.rehearse("up", STACK).failure()
    assert "cluster.userPool.minimum = 9" in output
    assert "is above maximum 3" in output
    assert "Remedy: " in output
    assert not project.rehearsal(STACK).exists()


def test_a_port_in_use_is_reported(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        output = project.rehearse("up", STACK, "--port", str(port)).failure()
    assert f"Port {port} on 127.0.0.1 is in use by another process" in output
    assert "PORT=" in output


@pytest.mark.parametrize("damage", ["garbage", "another version"])
def test_the_error_of_an_unusable_state_file_names_the_reset(project: Project, damage: str) -> None:
    file = project.rehearsal(STACK) / "state.db"
    file.parent.mkdir(parents=True)
    if damage == "garbage":
        file.write_bytes(b"this was a database once, " * 400)
    else:
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE from_the_future (x)")
            database.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    output = project.rehearse("up", STACK).failure()
    assert f"make rehearse-reset STACK={STACK}" in output
    assert file.read_bytes() == before
    assert project.rehearse("reset", STACK).returncode == 0
    assert not file.exists()


def test_a_second_rehearsal_of_a_stack_is_rejected_while_the_first_runs(project: Project) -> None:
    with project.shell(STACK):
        output = project.rehearse("up", STACK).failure()
    assert f"The rehearsal of {STACK} is already running" in output
    assert f"make stop STACK={STACK}" in output


def test_clouds_that_were_killed_in_the_background_are_started_anew(project: Project) -> None:
    with project.shell(STACK):
        rehearsal = project.rehearsal(STACK)
        stale = (rehearsal / "environment.sh").read_text()
        os.kill(int((rehearsal / "lock-holder").read_text()), signal.SIGKILL)
        assert "are serving in the background" in project.rehearse("stop", STACK).failure()
        with project.shell(STACK) as pulumi:
            assert pulumi("stack", "ls").returncode == 0
            assert (rehearsal / "environment.sh").read_text() != stale
        assert project.rehearse("env", STACK).returncode == 0  # for the outer shell to stop
