"""Small Pulumi projects of a few files, which have nothing to do with this one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rehearsal.preparation import preparing
from rehearsal.toolchain import ROOT
from tests.support.project import Run, run_command, serve_clouds

# Parts of a project that is rehearsed without a control plane, since none of its charts are available: objects are
# checked offline, which is enough for most tests and takes a third of the time.
OFFLINE_DESCRIPTION = "charts: charts.yaml\n"
OFFLINE_FILES = {
    "charts.yaml": f"none:\n  version: 1.0.0\n  repository: http://127.0.0.1:9/none\n  digest: {'0' * 64}\n",
}


def create_project(root: Path, files: Mapping[str, str]) -> Path:
    """Write a project's files, keyed by path, into a folder, and build the programs that a rehearsal of it needs."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    with preparing() as preparation:
        preparation.controllers()
    return root


def variables() -> dict[str, str]:
    """The environment in which a project of a few files finds the rehearsal."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def run(folder: Path, command: Sequence[str]) -> Run:
    """Run a command in a project's folder."""
    return run_command(command, folder, variables())


def rehearse(folder: Path, command: str, stack: str, *options: str) -> Run:
    """Run one of the rehearsal's commands to its end."""
    return run(folder, rehearsal_command(command, stack, *options))


def rehearsal_command(command: str, stack: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "rehearsal", command, stack, *options]


@contextmanager
def serving(folder: Path, stack: str) -> Iterator[str]:
    """Serve the clouds of a stack that is up; yields the exports that a shell evaluates to work on it."""
    exports = serve_clouds(stack, folder, variables())
    try:
        yield exports
    finally:
        rehearse(folder, "stop", stack)


def run_in_shell(folder: Path, exports: str, *command: str) -> Run:
    """Run a command in a shell with the rehearsal's environment."""
    return run(folder, ["sh", "-c", f'{exports}\nexec "$@"', "sh", *command])


@contextmanager
def deployed(folder: Path, stack: str) -> Iterator[str]:
    """Bring a project's stack up; yields the exports that a shell evaluates to work on it."""
    up = rehearse(folder, "up", stack)
    assert up.returncode == 0, up.output
    with serving(folder, stack) as exports:
        yield exports
