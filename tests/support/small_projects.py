"""Small Pulumi projects of a few files, which have nothing to do with this one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rehearsal.preparation import preparing


def create_project(root: Path, files: Mapping[str, str]) -> Path:
    """Write a project's files, by their paths in it, into a folder, and build what a rehearsal of it needs first."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    with preparing() as preparation:
        preparation.controllers()
    return root
