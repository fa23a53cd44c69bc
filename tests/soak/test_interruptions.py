"""A rehearsal that is killed, interrupted and loses its API server passes in the end.

Proves that each such run leaves no process and no lock behind and reports what happened, and that successive runs bring
the same stack up, of which the last one passes. tests/engine has a shorter test of the same kind.
"""

from __future__ import annotations

import signal

import pytest

from rehearsal.kubernetes.control_plane import programs
from tests.support.interruptions import interrupt_after, kill_api_server, kill_in_preview
from tests.support.project import Project

pytestmark = pytest.mark.soak


@pytest.mark.usefixtures("control_plane")
@pytest.mark.parametrize("stack", ["aws-dev", "azure-dev"])
def test_a_stack_is_deployed_despite_interruptions(project: Project, stack: str) -> None:
    killed = kill_in_preview(project, stack)
    assert killed.run.returncode == -signal.SIGKILL
    assert {tool.command for tool in programs.PROCESSES} <= set(killed.processes)
    assert killed.leftover == {}

    created = 0
    for count in (20, 60, 100):
        interrupted = interrupt_after(project, stack, count)
        assert interrupted.run.returncode == 130
        assert interrupted.leftover == {}
        assert interrupted.created > created
        assert set(interrupted.changed.values()) <= {"create"}
        created = interrupted.created

    failed = kill_api_server(project, stack)
    assert "kube-apiserver ended unexpectedly (signal 9)" in failed.run.failure()
    assert failed.leftover == {}
    assert failed.created > created

    run = project.rehearse("up", stack)
    assert run.returncode == 0, run.output
    assert [outcome for _, _, outcome in project.journal(stack) if "already exists" in outcome] == []
