"""aws-dev comes up in spite of what happens meanwhile.

Proves that a rehearsal which is interrupted, or loses its API server, leaves no process behind, says what happened, and
goes on where it was. tests/soak goes through more such accidents, up to the run that passes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.kubernetes.control_plane import programs
from tests.support.interruptions import InterruptedRun, interrupt_after, kill_api_server
from tests.support.project import Project

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("control_plane")]

AWS = "aws-dev"


@pytest.fixture(scope="module")
def project(control_plane: None, engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:  # noqa: ARG001
    """A copy of the project for all tests of this file."""
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def interrupted(project: Project) -> InterruptedRun:
    """The first run, with Ctrl-C pressed once twenty resources are there."""
    return interrupt_after(project, AWS, 20)


@pytest.fixture(scope="module")
def deprived(project: Project, interrupted: InterruptedRun) -> InterruptedRun:  # noqa: ARG001 comes first
    """The second, whose API server is killed."""
    return kill_api_server(project, AWS)


def test_ctrl_c_in_the_middle_leaves_no_process_and_says_how_to_go_on(interrupted: InterruptedRun) -> None:
    assert {tool.command for tool in programs.PROCESSES} <= set(interrupted.processes)
    assert interrupted.run.returncode == 130
    assert interrupted.leftover == {}
    assert "Traceback" not in interrupted.run.output
    assert "the same command goes on from here" in interrupted.run.output
    assert 20 <= interrupted.created < 150, "it was over before it was interrupted"


def test_the_next_run_continues_where_the_interrupted_one_stopped(
    project: Project, interrupted: InterruptedRun, deprived: InterruptedRun
) -> None:
    assert deprived.created > interrupted.created
    assert set(deprived.changed.values()) == {"create"}
    assert [outcome for _, _, outcome in project.journal(AWS) if "already exists" in outcome] == []


def test_an_api_server_that_is_killed_during_a_run_ends_the_run(deprived: InterruptedRun) -> None:
    assert "kube-apiserver ended unexpectedly (signal 9)" in deprived.run.failure()
    assert f"The rehearsal of {AWS} failed at its up" in deprived.run.output
    assert deprived.leftover == {}
