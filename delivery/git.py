"""Queries git about the project's repository."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from delivery.errors import DeliveryError


def list_changed_files(root: Path, base: str) -> Sequence[str]:
    """Paths that differ between the merge base of `base` and the work tree, including deleted ones.

    Raises DeliveryError if there is no such commit, or no common one.
    """
    start = _ask(root, "merge-base", "--", base, "HEAD")
    listed = _ask(root, "diff", "--name-only", "--no-renames", "-z", start, "--")
    return [path for path in listed.split("\0") if path]


def _ask(root: Path, *arguments: str) -> str:
    reply = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if reply.returncode:
        reason = (reply.stderr.strip().splitlines() or ["they have no commit in common"])[-1]
        raise DeliveryError(
            f"git cannot compare this tree with its base ({reason}). Fetch the base with its history: in a workflow, "
            "use `fetch-depth: 0` of actions/checkout."
        )
    return reply.stdout.strip("\n")
