"""Runs the steps of a scenario one after the other, and shows their progress and duration."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rehearsal.console import info

_PROGRESS_INTERVAL = 20  # seconds between two progress messages of a step

_T = TypeVar("_T")


@dataclass
class StepRunner:
    """Runs steps.

    durations  the title and the seconds of each finished step
    problems   messages about faults that did not prevent the following steps
    """

    durations: list[tuple[str, float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def run_step(self, title: str, step: Callable[[], _T]) -> _T:
        info(f"{title} ...")
        started = time.monotonic()
        with _show_progress(started):
            result = step()
        duration = time.monotonic() - started
        self.durations.append((title, duration))
        info(f"  {duration:.1f} s")
        return result


@contextmanager
def _show_progress(started: float) -> Iterator[None]:
    """Show regularly that a long step is still running."""
    finished = threading.Event()

    def show() -> None:
        while not finished.wait(_PROGRESS_INTERVAL):
            info(f"  {time.monotonic() - started:.0f} s so far")

    threading.Thread(target=show, daemon=True).start()
    try:
        yield
    finally:
        finished.set()
