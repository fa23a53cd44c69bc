"""The processes of this machine, as /proc lists them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def list_processes() -> Iterator[tuple[int, list[str]]]:
    """The ID and command-line arguments of each process, without those that end meanwhile."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        command = ""
        with contextlib.suppress(OSError):
            command = path.read_text(errors="replace")
        if command:
            yield int(path.parent.name), command.split("\0")
