"""The programs that have to be built before a rehearsal can run: how many, and roughly how long that takes."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rehearsal.console import info

if TYPE_CHECKING:
    from rehearsal.toolchain import Tool


class BuildPlan:
    """The builds of a process, so that each can report its position, such as `2 of 4`."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._started = 0
        self._lock = threading.Lock()

    def announce(self, missing: Iterable[Tool]) -> None:
        """Print what has to be built; programs that share an executable are built once."""
        with self._lock:
            tools = {tool.name: tool for tool in missing if tool.name not in self._names}
            self._names |= set(tools)
        if tools:
            minutes = sum(tool.build_minutes for tool in tools.values())
            titles = ", ".join(tool.title for tool in tools.values())
            info(f"To be built or downloaded, once for this user: {titles} (about {minutes} minutes on two cores).")

    def start(self, tool: Tool) -> str:
        """The position of this build, such as `2 of 4`; empty if it was not announced."""
        with self._lock:
            if tool.name not in self._names:
                return ""
            self._started += 1
            return f"{self._started} of {len(self._names)}"


PLAN = BuildPlan()
"""The plan of this process."""
