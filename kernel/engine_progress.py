"""Periodic lines that name what a run of the engine is waiting for, when there is no terminal.

On a terminal the engine shows everything in progress. Elsewhere, such as in a CI log, it prints a line when an
operation begins or ends, and dots in between, which do not show what takes so long.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Leaves out the dots.
NO_DOTS = ("--suppress-progress",)

_SILENCE = 30.0  # seconds without a line from the engine before one is reported
_POLL_INTERVAL = 1.0  # seconds
_NAMES = 3  # most resources named in one line
_ENDS = ("resOutputsEvent", "resOpFailedEvent")


def shows_progress() -> bool:
    """Whether the engine, when this process starts it, shows what is in progress on a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def report_waits(log: Path, report: Callable[[str], None]) -> Iterator[None]:
    """While the context lasts, `report` a line whenever nothing has been printed for a while.

    `log` is where the engine writes its events. It need not exist yet, and must not contain another run's events.
    """
    finished = threading.Event()
    waits = Waits(time.monotonic())

    def watch() -> None:
        position = 0
        while not finished.wait(_POLL_INTERVAL):
            position = _read_on(log, position, waits)
            if line := waits.describe(time.monotonic()):
                report(line)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


class Waits:
    """The operations in progress in a run. `started` and all other times are from the monotonic clock."""

    def __init__(self, started: float) -> None:
        self._started = self._last_line = started
        self._done = 0
        self._pending: dict[tuple[str, str], str] = {}  # names, keyed by URN and operation, oldest first

    def add(self, event: Mapping[str, Any], now: float) -> None:
        """Record an event of the engine's log."""
        begun = event.get("resourcePreEvent")
        ended = next((event[name] for name in _ENDS if name in event), None)
        if "preludeEvent" in event:  # an update follows its preview
            self._done, self._pending = 0, {}
        for change in filter(None, (begun, ended)):
            metadata = change["metadata"]
            key = (metadata["urn"], metadata["op"])
            state = metadata.get("new") or metadata.get("old") or {}
            if not state.get("custom"):  # a component ends with the last resource in it
                continue
            if change is begun:
                self._pending[key] = _describe(metadata)
            else:
                self._pending.pop(key, None)
                self._done += 1
            if metadata["op"] != "same":  # the engine prints a line
                self._last_line = now

    def describe(self, now: float) -> str:
        """A line if none has been printed for a while, otherwise empty."""
        if now - self._last_line < _SILENCE:
            return ""
        self._last_line = now
        names = list(self._pending.values())
        rest = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        waits = f"waiting for {', '.join(names[:_NAMES])}{rest}" if names else "waiting for the engine"
        return f"  {now - self._started:.0f} s: {self._done} done, {waits}"


def _describe(metadata: Mapping[str, Any]) -> str:
    """Type and name of a resource: `Release kserve`."""
    return f"{metadata['type'].rpartition(':')[2]} {metadata['urn'].rpartition('::')[2]}"


def _read_on(log: Path, position: int, waits: Waits) -> int:
    """Record the complete lines after a position, and return the position after them."""
    if not log.exists():
        return position
    with log.open("rb") as lines:
        lines.seek(position)
        for line in lines:
            if not line.endswith(b"\n"):  # the engine is still writing it
                break
            waits.add(json.loads(line), time.monotonic())
            position += len(line)
    return position
