"""Small Pulumi projects of a few files, which have nothing to do with this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rehearsal.preparation import preparing
from rehearsal.toolchain import ROOT

# Parts of a project that is rehearsed without a control plane, since none of its charts can be had: objects are checked
# offline, which is enough for most questions and takes a third of the time.
OFFLINE_DESCRIPTION = "charts: charts.yaml\n"
OFFLINE_FILES = {
    "charts.yaml": f"none:\n  version: 1.0.0\n  repository: http://127.0.0.1:9/none\n  digest: {'0' * 64}\n",
}

TIMEOUT = 1800  # seconds, on a machine that does other things too


def create_project(root: Path, files: Mapping[str, str]) -> Path:
    """Write a project's files, by their paths in it, into a folder, and build what a rehearsal of it needs first."""
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


def run(folder: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a project's folder, with what it prints and its errors together."""
    return subprocess.run(
        command,
        cwd=folder,
        env=variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


@contextmanager
def standing(folder: Path, stack: str) -> Iterator[str]:
    """Bring a project's stack up; yields what a shell evaluates to work on it."""
    up = run(folder, [sys.executable, "-m", "rehearsal", "up", stack])
    assert up.returncode == 0, up.stdout
    # What it says meanwhile, on the other stream, is no part of the exports.
    served = subprocess.run(
        [sys.executable, "-m", "rehearsal", "env", stack],
        cwd=folder,
        env=variables(),
        capture_output=True,
        text=True,
        check=True,
    )
    try:
        yield served.stdout
    finally:
        run(folder, [sys.executable, "-m", "rehearsal", "stop", stack])
