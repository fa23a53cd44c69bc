"""Ctrl-C, or the signal with which CI ends a command, during an update, on a project with a few resources.

Proves that an interrupted rehearsal leaves no process behind, explains how to continue, and continues where it was. The
engine, the language host and the control plane are the same as for a large stack; tests/soak interrupts and kills the
runs of large stacks, and their API servers, at several points.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.engine_events import read_events
from rehearsal.kubernetes.control_plane import programs
from tests.support.processes import list_processes
from tests.support.project import changes
from tests.support.small_projects import create_project, rehearsal_command, variables
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("engine", "control_plane")]

TIMEOUT = 600.0  # seconds, on a busy machine

FILES = {
    "Pulumi.yaml": "name: letters\nruntime: python\nstackConfigDir: stacks\n",
    "rehearsal.yaml": "stacks: stacks\n",
    "stacks/Pulumi.test.yaml": "config:\n  aws:region: eu-west-1\n",
    # As long as the file `held` exists, an update waits after it has created the first of two log groups.
    "__main__.py": (
        "import time\n"
        "from pathlib import Path\n"
        "\n"
        "import pulumi\n"
        "import pulumi_aws as aws\n"
        "\n"
        "\n"
        "def follow(name):\n"
        "    while not pulumi.runtime.is_dry_run() and Path('held').exists():\n"
        "        time.sleep(0.05)\n"
        "    return f'{name}-too'\n"
        "\n"
        "\n"
        "first = aws.cloudwatch.LogGroup('first', name='/letters/first', retention_in_days=30)\n"
        "aws.cloudwatch.LogGroup('second', name=first.name.apply(follow), retention_in_days=30)\n"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return create_project(tmp_path / "letters", FILES)


def press_ctrl_c(run: subprocess.Popen[str]) -> None:
    os.killpg(run.pid, signal.SIGINT)


def terminate(run: subprocess.Popen[str]) -> None:
    run.terminate()


@pytest.mark.parametrize("end", [press_ctrl_c, terminate])
def test_an_ended_run_leaves_no_process_and_the_next_one_continues(
    folder: Path, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    (folder / "held").touch()
    run = start_up(folder)
    eventually(lambda: created(folder) == ["first"], TIMEOUT)
    running = list_programs(folder)
    end(run)
    output, _ = run.communicate(timeout=TIMEOUT)

    assert {tool.command for tool in programs.PROCESSES} <= running
    assert run.returncode == 130, output
    assert "run the same command again to continue from here" in output
    assert "Traceback" not in output
    eventually(lambda: list_programs(folder) == set())

    (folder / "held").unlink()
    run = start_up(folder)
    output, _ = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 0, output
    assert {name: operation for name, operation in changes(events(folder)).items() if name != "letters-test"} == {
        "second": "create"
    }


def start_up(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        rehearsal_command("up", "test"),
        cwd=folder,
        env=variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that Ctrl-C can be sent to the whole process group
    )


def created(folder: Path) -> list[str]:
    """The names of the log groups that the latest update has created so far."""
    if not events(folder).exists():
        return []
    urns = [each.get("resOutputsEvent", {}).get("metadata", {}).get("urn", "") for each in read_events(events(folder))]
    return [urn.rpartition("::")[2] for urn in urns if "LogGroup" in urn]


def events(folder: Path) -> Path:
    return folder / ".groundwork" / "rehearsals" / "test" / "up-events.jsonl"


def list_programs(folder: Path) -> set[str]:
    """The programs of the processes that use the rehearsal's folder."""
    rehearsal = str(folder / ".groundwork" / "rehearsals")
    return {Path(command[0]).name for _, command in list_processes() if any(rehearsal in each for each in command[1:])}
