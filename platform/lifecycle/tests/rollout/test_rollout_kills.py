"""A controller killed before any of its steps, and replaced by another each time, ends where one that lived would.

Proves it by a real SIGKILL of a real process before every step that leaves a trace, on the way up and on both ways
back: one commit per stage, and the right aliases and tags. People may be told twice of the same end: a controller that
is killed after telling cannot know that it did. A machine that dies with its disk unsynced is not proven.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from promotion_parts import PROCESSES, Listener, Models, Remote

from .mortal import roll
from .stage import Stage

_WEIGHING = ("mark", "commit", "push")
_ENDING = ("point", "withdraw", "tell", "mark")


def deaths(stage: Stage, folder: Path) -> list[str]:
    """Let one controller after the other roll out, each killed one step further; before which steps they died."""
    died: list[str] = []
    deadly, note = 1, folder / "died-before"
    while True:
        head = stage.remote.git("rev-parse", "main")
        process = PROCESSES.Process(target=roll, args=(stage.name, deadly, note, *stage.parts()))
        process.start()
        process.join(120)
        if process.exitcode == 0:
            return died
        assert process.exitcode == -signal.SIGKILL
        died.append(note.read_text())
        # In a new stage the one before whose first step this one died is the first of those to die.
        deadly = deadly + 1 if stage.remote.git("rev-parse", "main") == head else 2


def stages(remote: Remote) -> list[str]:
    """Those of version 2, of which there are none before."""
    listing = remote.git("log", "--reverse", "--format=%(trailers:key=Groundwork-Rollout,valueonly)", "main")
    return listing.split()[2:]


def test_on_the_way_up(stage: Stage, remote: Remote, models: Models, listener: Listener, tmp_path: Path) -> None:
    expected = [*_WEIGHING * 4, "commit", "push", "point", "mark", "commit", "push", *_ENDING]
    assert deaths(stage, tmp_path) == expected
    assert stages(remote) == ["10", "25", "50", "100", "adopted", "settled"]
    assert ended(stage, models) == ("2", "", "registered", "serving")
    assert {news["outcome"] for news in listener.heard} == {"serving"}


@pytest.mark.parametrize(
    ("so_far", "before"),
    [(["10", "25"], []), (["10", "25", "50", "100", "adopted"], ["point", "mark"])],
    ids=["from 25 %", "after the alias has moved"],
)
def test_on_the_way_back(
    stage: Stage,
    remote: Remote,
    models: Models,
    listener: Listener,
    tmp_path: Path,
    so_far: Sequence[str],
    before: Sequence[str],
) -> None:
    controller = stage.controller()
    for _ in so_far:
        controller.step(stage.name)
    stage.prometheus.errors = 1.0
    stage.services["champion"].version = None  # which is asked once it has adopted
    if "adopted" in so_far:
        stage.changes["patience"] = 0.001
    assert deaths(stage, tmp_path) == [*before, "commit", "push", "point", "mark", *_ENDING[1:]]
    assert stages(remote) == [*so_far, "rolled-back"]
    assert ended(stage, models) == ("1", "", "serving", "rolled-back")
    assert {news["outcome"] for news in listener.heard} == {"rolled-back"}


def ended(stage: Stage, models: Models) -> tuple[str, ...]:
    """The aliases `champion` and `challenger`, and the status of versions 1 and 2."""
    aliases = (models.alias(stage.name, alias) for alias in ("champion", "challenger"))
    return (*aliases, *(models.status(stage.name, version) for version in "12"))
