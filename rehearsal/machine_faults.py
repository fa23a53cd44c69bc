"""Faults of the machine that a person has to correct: no space, no permission, a read-only file system."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

from rehearsal.toolchain import CACHE

_NO_SPACE = {errno.ENOSPC: "there is no space left", errno.EDQUOT: "your quota is exceeded"}
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM})


def describe_os_error(error: OSError) -> str:
    """The cause and the remedy, one sentence each; empty for any other error, which is a defect of the program."""
    path = str(error.filename) if error.filename else ""
    if error.errno in _NO_SPACE:
        return (
            f"{path or 'A file'} could not be written: {_NO_SPACE[error.errno]}. Free some space, or move the cache of "
            f"programs with XDG_CACHE_HOME (now in {CACHE}). Nothing is lost: run the same command again to continue."
        )
    if error.errno == errno.EROFS:
        return (
            f"{path or 'A file'} could not be written: the file system is read-only. Rehearse in a clone on a writable "
            f"file system, and set XDG_CACHE_HOME to a folder on one, too (now {CACHE})."
        )
    if error.errno in _NO_PERMISSION and path:
        return (
            f"{path} is not accessible to you{_owner(Path(path))}. Use a clone of your own, or correct its permissions."
        )
    return ""


def _owner(path: Path) -> str:
    """The owner of the nearest existing path, if that is another user; otherwise empty."""
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
