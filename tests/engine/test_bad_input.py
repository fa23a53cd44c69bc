"""What people get wrong, and what they get for it: one message, an exit code, nothing half-changed, no traceback.

Proves it from the command that they type to the rehearsal that was not begun. The rules of the settings
themselves are proven one by one in tests/unit/infra/test_settings.py; that the engine and the program hold to them too,
in test_azure. What becomes of a run that is killed or interrupted is proven in test_aws.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
from typing import Any

import pytest

from tests.support.project import Project

pytestmark = pytest.mark.engine

STACK = "azure-dev"


def untouched(project: Project) -> bool:
    """Whether nothing was begun: neither clouds nor a control plane, nor the engine."""
    return not project.rehearsal(STACK).exists()


def test_an_unknown_stack(project: Project) -> None:
    said = project.rehearse("up", "azure-dve").complaint
    assert "There is no stack 'azure-dve'" in said
    assert "aws-dev, aws-prod" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"colud": "azure"}, "groundwork:colud is not a setting"),
        ({"cluster": {"userPool": {"minimum": "few"}}}, "groundwork:cluster.userPool.minimum = 'few'"),
        ({"network": {"cidr": "10.0.0.0/33"}}, "groundwork:network.cidr = '10.0.0.0/33'"),
        ({"network": {"cidr": "10.0.0.0/24"}}, "must be between /16 and /20"),
        ({"network": {"cidr": "10.244.0.0/16"}}, "cidr 10.244.0.0/16 overlaps podCidr"),
        ({"cluster": {"userPool": {"minimum": 9, "maximum": 3}}}, "minimum 9 is above maximum 3"),
        ({"cluster": {"kubernetesVersion": "1.20"}}, "kubernetesVersion '1.20' is not supported"),
        ({"environment": "prod"}, "are the settings of a stack named 'azure-prod'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_stops_the_rehearsal_before_anything_is_started(
    project: Project, settings: dict[str, Any], said: str
) -> None:
    project.set(STACK, **settings)
    complaint = project.rehearse("up", STACK).complaint
    assert said in complaint
    assert "Remedy: " in complaint
    assert untouched(project)


def test_a_missing_setting_is_named(project: Project) -> None:
    project.edit(f"stacks/Pulumi.{STACK}.yaml", "groundwork:owner", "groundwork:costCenter")
    assert "groundwork:owner is not set" in project.rehearse("up", STACK).complaint
    assert untouched(project)


def test_a_stack_file_that_is_no_yaml(project: Project) -> None:
    (project.folder / "stacks" / f"Pulumi.{STACK}.yaml").write_text("config: [unclosed")
    assert f"stacks/Pulumi.{STACK}.yaml is not YAML" in project.rehearse("up", STACK).complaint
    assert untouched(project)


def test_a_port_that_is_taken(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = project.rehearse("up", STACK, "--port", str(port)).complaint
    assert f"Port {port} on 127.0.0.1 is in use by another process" in said
    assert "PORT=" in said


@pytest.mark.parametrize("damage", ["garbage", "another version"])
def test_a_file_that_cannot_be_used_and_the_way_out(project: Project, damage: str) -> None:
    file = project.rehearsal(STACK) / "state.db"
    file.parent.mkdir(parents=True)
    if damage == "garbage":
        file.write_bytes(b"this was a database once, " * 400)
    else:
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE from_the_future (x)")
            database.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    said = project.rehearse("up", STACK).complaint
    assert f"make rehearse-reset STACK={STACK}" in said
    assert file.read_bytes() == before
    assert project.rehearse("reset", STACK).code == 0
    assert not file.exists()


def test_two_rehearsals_of_one_stack_at_once(project: Project) -> None:
    with project.shell(STACK):
        said = project.rehearse("up", STACK).complaint
    assert f"The rehearsal of {STACK} is already running" in said
    assert f"make stop STACK={STACK}" in said


def test_clouds_that_were_killed_in_the_background_are_started_anew(project: Project) -> None:
    with project.shell(STACK):
        rehearsal = project.rehearsal(STACK)
        stale = (rehearsal / "environment").read_text()
        os.kill(int((rehearsal / "lock").read_text()), signal.SIGKILL)
        assert "are serving in the background" in project.rehearse("stop", STACK).complaint
        with project.shell(STACK) as pulumi:
            assert pulumi("stack", "ls").code == 0
            assert (rehearsal / "environment").read_text() != stale
        assert project.rehearse("env", STACK).code == 0  # for the outer shell to stop
