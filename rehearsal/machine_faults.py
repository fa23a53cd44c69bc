"""Faults of the machine that a person has to correct: no space, no permission, a file system that is read-only."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

from rehearsal.toolchain import CACHE

_NO_SPACE = {errno.ENOSPC: "there is no space left", errno.EDQUOT: "your quota is exceeded"}
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM})


def describe_os_error(error: OSError) -> str:
    """The cause and the remedy in one sentence each; empty for any other error, which is a defect of the program."""
    path = str(error.filename) if error.filename else ""
    if error.errno in _NO_SPACE:
        return (
            f"{path or 'A file'} could not be written: {_NO_SPACE[error.errno]}. Free some, or move the cache of "
            f"programs elsewhere with XDG_CACHE_HOME (now in {CACHE}). Nothing is lost: the same command goes on."
        )
    if error.errno == errno.EROFS:
        return (
            f"{path or 'A file'} could not be written: the file system is read-only. Rehearse in a clone on one that "
            f"can be written to, with XDG_CACHE_HOME on one, too (now {CACHE})."
        )
    if error.errno in _NO_PERMISSION and path:
        return (
            f"{path} is not accessible to you{_owner(Path(path))}. Use a clone of your own, or correct its permissions."
        )
    return ""


def _owner(path: Path) -> str:
    """Who owns the nearest path that exists, where that is somebody else."""
    for place in (path, *path.parents):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if owner == os.getuid():
            return ""
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"user {owner}"
        return f": {place} belongs to {name}"
    return ""
