"""Runs of the model lifecycle scenario in a separate process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from rehearsal.helm import charts
from rehearsal.scenarios.model_lifecycle import Stage
from rehearsal.scenarios.processes import python
from rehearsal.toolchain import ROOT
from tests.support.processes import list_processes
from tests.support.project import Stack

_TIMEOUT = 2700  # seconds; the whole scenario takes six minutes on two idle cores

needs_models = pytest.mark.skipif(
    not python().exists() or charts.FOLDER_VARIABLE not in os.environ,
    reason=f"platform/lifecycle has no environment, or {charts.FOLDER_VARIABLE} does not name a folder with the charts",
)

# The common beginning of both forms of the scenario: a first version, and one that an experiment finds better.
FIRST_COMMITS = (
    "Promote breast-cancer version 1 to challenger",
    "Let breast-cancer version 1 serve alone",
    "Compare challengers: second-camera",
    "Promote breast-cancer version 2 to challenger",
    "Give breast-cancer version 2 10 % of the requests",
    "Give breast-cancer version 2 25 % of the requests",
    "Give breast-cancer version 2 50 % of the requests",
    "Give breast-cancer version 2 100 % of the requests",
    "Make breast-cancer version 2 the champion",
    "Let breast-cancer version 2 serve alone",
)


def run_command(stack: str) -> subprocess.CompletedProcess[str]:
    """Run the scenario as `make lifecycle` does."""
    return _run(ROOT, "-m", "rehearsal", "lifecycle", stack)


def run_scenario(stack: Stack, stages: Sequence[Stage]) -> subprocess.CompletedProcess[str]:
    """Run the scenario with these stages on a stack that is up."""
    code = (
        "import sys\n"
        "from rehearsal.scenarios.model_lifecycle import *\n"
        "from rehearsal.session import Rehearsal\n"
        f"sys.exit(run_on(Rehearsal({stack.name!r}), stages={tuple(stages)!r}))"
    )
    return _run(stack.project.folder, "-c", code)


def assert_in_order(subjects: Sequence[str], output: str) -> None:
    """Assert that the git log in a scenario's summary contains commits with these subjects, in this order."""
    commits = re.findall(r"^  [0-9a-f]{7,} [^:]+: (.*)$", output, re.MULTILINE)
    remaining = iter(commits)
    assert all(subject in remaining for subject in subjects), commits


def list_leftover_processes(folder: Path) -> list[str]:
    """The command lines of processes of the rehearsal in `folder`."""
    commands = (" ".join(arguments) for _, arguments in list_processes())
    return [command for command in commands if str(folder) in command]


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=_TIMEOUT
    )
