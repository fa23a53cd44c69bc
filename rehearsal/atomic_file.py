"""Files that appear with all of their content at once, because others may be reading or running them."""

from __future__ import annotations

import os
from pathlib import Path


def write_if_changed(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file unless it has this content already."""
    if path.exists() and path.read_text() == text:
        return
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.chmod(mode)
    unfinished.rename(path)


def write_script(path: Path, line: str) -> None:
    """Write a shell script of one line."""
    write_if_changed(path, f"#!/bin/sh\n{line}\n", 0o755)


def link(path: Path, target: Path) -> None:
    """Make `path` a symbolic link to `target`, replacing what is there."""
    if path.is_symlink() and path.readlink() == target:
        return
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.symlink_to(target)
    unfinished.rename(path)
