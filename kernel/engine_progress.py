"""What a run of the engine waits for, said now and then where no terminal shows it.

On a terminal the engine shows all that is in progress. Elsewhere, as in a CI log, it prints what begins and ends, and
between them dots, which do not say what takes so long.
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

_SILENCE = 30.0  # seconds without a line of the engine's until one is said
_POLL_INTERVAL = 1.0  # seconds
_NAMES = 3  # of resources in one line
_ENDS = ("resOutputsEvent", "resOpFailedEvent")


def shows_progress() -> bool:
    """Whether the engine, started by this process, shows on a terminal what is in progress."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def report_waits(log: Path, say: Callable[[str], None]) -> Iterator[None]:
    """For as long as the context lasts, `say` a line when nothing has been printed for a while.

    `log` is where the engine writes its events; it need not exist yet, and must not have another run's.
    """
    finished = threading.Event()
    waits = Waits(time.monotonic())

    def watch() -> None:
        position = 0
        while not finished.wait(_POLL_INTERVAL):
            position = _read_on(log, position, waits)
            if line := waits.describe(time.monotonic()):
                say(line)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


class Waits:
    """What is in progress in a run; `started` is on the monotonic clock, as are all times."""

    def __init__(self, started: float) -> None:
        self._started = self._last_line = started
        self._done = 0
        self._pending: dict[tuple[str, str], str] = {}  # names by URN and operation, the oldest first

    def add(self, event: Mapping[str, Any], now: float) -> None:
        """Take note of an event of the engine's log."""
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
        """A line where none has been printed for a while, empty otherwise."""
        if now - self._last_line < _SILENCE:
            return ""
        self._last_line = now
        names = list(self._pending.values())
        rest = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        waits = f"waiting for {', '.join(names[:_NAMES])}{rest}" if names else "waiting for the engine"
        return f"  {now - self._started:.0f} s: {self._done} done, {waits}"


def _describe(metadata: Mapping[str, Any]) -> str:
    """A resource as `Release kserve`."""
    return f"{metadata['type'].rpartition(':')[2]} {metadata['urn'].rpartition('::')[2]}"


def _read_on(log: Path, position: int, waits: Waits) -> int:
    """Take note of the whole lines after a position, and return the position after them."""
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
