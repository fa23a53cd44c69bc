"""A controller that is killed before any of its steps, and replaced each time, reaches the same end as one that is not.

Proven by SIGKILL of a process before every step with an effect, for a rollout and for two rollbacks: one commit per
stage, and the right aliases and tags. The last notification may be sent twice: a controller that is killed after it
cannot know. Not proven: a machine that fails with unsynced data.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.git_remote import GitRemote
from support.network import JsonReceiver
from support.processes import PROCESSES
from support.registered_models import RegisteredModels
from support.rollout_environment import RolloutEnvironment
from support.rollout_kill_points import run_rollout
from support.waiting import TIMEOUT

_WEIGHT_STEP = ("status", "commit", "push")
_CONCLUSION = ("set alias", "remove alias", "notification", "status")


def kill_repeatedly(environment: RolloutEnvironment, folder: Path) -> list[str]:
    """Run one controller after the other, each killed one step later; returns the steps they were killed before."""
    steps: list[str] = []
    kill_at, note = 1, folder / "step"
    while True:
        head = environment.remote.git("rev-parse", "main")
        process = PROCESSES.Process(
            target=run_rollout, args=(environment.model, kill_at, note, *environment.controller_parts())
        )
        process.start()
        process.join(TIMEOUT)
        if process.exitcode == 0:
            return steps
        assert process.exitcode == -signal.SIGKILL
        steps.append(note.read_text())
        # In a new stage, the kill before its first step has happened already.
        kill_at = kill_at + 1 if environment.remote.git("rev-parse", "main") == head else 2


def stages(remote: GitRemote) -> list[str]:
    """The stages of version 2; the stages of version 1 come first."""
    listing = remote.git("log", "--reverse", "--format=%(trailers:key=Groundwork-Rollout,valueonly)", "main")
    return listing.split()[2:]


@pytest.mark.soak
def test_a_rollout_that_is_killed_before_every_step(
    environment: RolloutEnvironment,
    remote: GitRemote,
    models: RegisteredModels,
    notifications: JsonReceiver,
    tmp_path: Path,
) -> None:
    expected = [*_WEIGHT_STEP * 4, "commit", "push", "set alias", "status", "commit", "push", *_CONCLUSION]
    assert kill_repeatedly(environment, tmp_path) == expected
    assert stages(remote) == ["10", "25", "50", "100", "adopted", "settled"]
    assert final_state(environment, models) == ("2", "", "registered", "serving")
    assert {notification["outcome"] for notification in notifications.received} == {"serving"}


@pytest.mark.parametrize(
    ("completed", "before"),
    [
        pytest.param(["10", "25"], [], id="at 25 %"),
        pytest.param(
            ["10", "25", "50", "100", "adopted"],
            ["set alias", "status"],
            id="after the alias has moved",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_a_rollback_that_is_killed_before_every_step(
    environment: RolloutEnvironment,
    remote: GitRemote,
    models: RegisteredModels,
    notifications: JsonReceiver,
    tmp_path: Path,
    completed: Sequence[str],
    before: Sequence[str],
) -> None:
    controller = environment.controller()
    for _ in completed:
        controller.step(environment.model)
    environment.prometheus.errors = 1.0
    environment.services["champion"].version = None  # probed after the version has been adopted
    if "adopted" in completed:
        environment.settings["progress_deadline"] = 0.001
    assert kill_repeatedly(environment, tmp_path) == [
        *before,
        *("commit", "push", "set alias", "status"),
        *_CONCLUSION[1:],
    ]
    assert stages(remote) == [*completed, "rolled-back"]
    assert final_state(environment, models) == ("1", "", "serving", "rolled-back")
    assert {notification["outcome"] for notification in notifications.received} == {"rolled-back"}


def final_state(environment: RolloutEnvironment, models: RegisteredModels) -> tuple[str, ...]:
    """The aliases `champion` and `challenger`, and the status of versions 1 and 2."""
    aliases = (models.alias(environment.model, alias) for alias in ("champion", "challenger"))
    return (*aliases, *(models.status(environment.model, version) for version in "12"))
