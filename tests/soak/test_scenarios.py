"""Every scenario on every stack: circumstances that change from one command to the next, with the real engine.

Proves that each passes; interruptions are for the two stacks of production, at 50 points. Some hours in all: none of
them is in `make test`, since the shortest brings a whole stack up.
"""

from __future__ import annotations

import pytest

from rehearsal import project as projects
from rehearsal.scenario_runs import SCENARIOS
from rehearsal.toolchain import ROOT
from tests.support.project import Project

pytestmark = pytest.mark.soak

STACKS = projects.find(ROOT).stack_names
_INTERRUPTED = "kill-at-any-point"


@pytest.mark.usefixtures("control_plane")
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != _INTERRUPTED])
def test_a_stack_passes_a_scenario(project: Project, name: str, stack: str) -> None:
    run = project.rehearse("scenario", stack, "--name", name)
    assert run.returncode == 0, run.output
    assert f"PASSED: scenario {name} on {stack}." in run.output


@pytest.mark.usefixtures("control_plane")
@pytest.mark.parametrize("stack", [stack for stack in STACKS if stack.endswith("-prod")])
def test_a_stack_comes_up_in_spite_of_interruptions_at_any_point(project: Project, stack: str) -> None:
    run = project.wait(project.start("scenario", stack, "--name", _INTERRUPTED), timeout=4 * 3600)
    assert run.returncode == 0, run.output
