"""Stacks that are deployed from nothing once in a test run; each test gets a copy.

The first worker that needs a stack brings it up, under a lock that the others wait for. If the machine allows it, this
happens in a separate network namespace that counts attempts to leave the machine.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from rehearsal.folder import RehearsalFolder
from rehearsal.helm.charts import FOLDER_VARIABLE
from tests.support.loopback_only import find_obstacle, guard
from tests.support.project import Project, Run, Stack


class RehearsedStacks:
    """The stacks of one test run; `folder` is shared by its workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copy(self, name: str, folder: Path) -> Stack:
        """A stack that has been brought up, in a copy of the project in `folder`.

        Raises AssertionError with the command's output if the stack could not be brought up.
        """
        original, run = self._bring_up(name)
        assert run.returncode == 0, run.output
        project = Project(folder, original)
        rehearsal = Path(".groundwork") / "rehearsals" / name
        with self._lock(name):
            RehearsalFolder(original / rehearsal).copy_to(folder / rehearsal)
        return Stack(project, name, run.output, self._read_attempts(name))

    def _bring_up(self, name: str) -> tuple[Path, Run]:
        folder = self._folder / name
        project, result = folder / "project", folder / "run.json"
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock(name):
            if not result.exists():
                shutil.rmtree(project, ignore_errors=True)  # of a run that did not finish
                fresh = Project(project)
                guarded = [] if find_obstacle_to_guard() else guard([], self._attempts_file(name))
                run = fresh.wait(fresh.start("up", name, prefix=guarded))
                result.write_text(json.dumps(asdict(run)))
        return project, Run(**json.loads(result.read_text()))

    def _lock(self, name: str) -> FileLock:
        """Waits for other workers, in place of an error."""
        return FileLock(self._folder / name / "lock")

    def _attempts_file(self, name: str) -> Path:
        return self._folder / name / "attempts"

    def _read_attempts(self, name: str) -> int | None:
        file = self._attempts_file(name)
        return int(file.read_text()) if file.exists() else None


def find_obstacle_to_guard() -> str:
    """Why stacks cannot be brought up with only a loopback device; empty if they can."""
    if FOLDER_VARIABLE not in os.environ:
        return f"charts are downloaded, unless {FOLDER_VARIABLE} names a folder with them"
    return find_obstacle()
