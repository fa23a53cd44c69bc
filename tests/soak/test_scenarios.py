"""Every scenario on every stack: circumstances that change between commands, with the real engine.

Proves that each passes; interruptions are tested on the two production stacks, at 25 points each. They take some hours
in all, and none of them is in `make test`, since even the shortest brings a whole stack up.
"""

from __future__ import annotations

import pytest

from rehearsal import project as projects
from rehearsal.scenario_runs import SCENARIOS
from rehearsal.toolchain import ROOT
from tests.support.project import Project

pytestmark = pytest.mark.soak

STACKS = projects.find(ROOT).stack_names
_TIMEOUT = 4 * 3600.0  # seconds


@pytest.mark.usefixtures("control_plane")
@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_passes_all_scenarios(project: Project, stack: str) -> None:
    run = project.wait(project.start("scenario", stack, "--name", "all"), _TIMEOUT)
    assert run.returncode == 0, run.output
    ends = [line for line in run.output.splitlines() if line.startswith("PASSED: scenario")]
    assert len(set(ends)) == len(SCENARIOS) - (not stack.endswith("-prod"))
