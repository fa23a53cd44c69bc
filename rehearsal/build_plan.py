"""The programs that have to be built or downloaded before a rehearsal can run, and roughly how long building takes."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rehearsal.console import info

if TYPE_CHECKING:
    from rehearsal.toolchain import Tool


class BuildPlan:
    """The builds and downloads of a process, so that each can report its position, such as `2 of 4`."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._started = 0
        self._lock = threading.Lock()

    def announce(self, missing: Iterable[Tool]) -> None:
        """Print what has to be built or downloaded; programs that share an executable count once.

        Which vendors' hosts are reachable is not known yet, so the time is that of building everything.
        """
        with self._lock:
            tools = {tool.name: tool for tool in missing if tool.name not in self._names}
            self._names |= set(tools)
        if tools:
            minutes = sum(tool.build_minutes for tool in tools.values())
            titles = ", ".join(tool.title for tool in tools.values())
            info(f"To be built or downloaded, once for this user: {titles} (about {minutes} minutes on two cores).")

    def start(self, tool: Tool) -> str:
        """The position of this build or download, such as `2 of 4`; empty if it was not announced."""
        with self._lock:
            if tool.name not in self._names:
                return ""
            self._started += 1
            return f"{self._started} of {len(self._names)}"


PLAN = BuildPlan()
"""The plan of this process."""
