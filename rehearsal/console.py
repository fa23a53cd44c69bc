"""Output on standard error: messages, progress, and errors as one message."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich import progress as rich_progress
from rich.console import Console

_PLAIN_STEP = 20  # percent between two lines of progress if there is no terminal


class UserError(Exception):
    """Something a person has to correct; the message says what and how. Shown without a traceback."""


def info(message: str) -> None:
    """Print a message for people."""
    print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Print a message that must not be overlooked: in red on a terminal."""
    is_coloured = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    info(f"\033[31m{message}\033[0m" if is_coloured else message)


class Progress:
    """Progress of one task: on a terminal a bar with the remaining time, elsewhere (a CI log) an occasional line.

    A context manager; tasks may run side by side in several threads.
    """

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = max(total, 1)
        self._done = 0
        self._shown = -_PLAIN_STEP

    def __enter__(self) -> Progress:
        self._bar = _BARS.add(self._label, self._total) if sys.stderr.isatty() else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            _BARS.remove(self._bar)

    def step(self) -> None:
        """Count one more of the total."""
        self._done += 1
        if self._bar is not None:
            _BARS.advance(self._bar)
            return
        percent = min(100, 100 * self._done // self._total)
        if not _BARS.hidden and percent >= self._shown + _PLAIN_STEP:
            self._shown = percent - percent % _PLAIN_STEP
            info(f"  {self._label} {percent:3d} %")


@contextmanager
def progress_hidden() -> Iterator[None]:
    """Show no progress within the context, in which another program writes to the terminal."""
    _BARS.hide()
    try:
        yield
    finally:
        _BARS.show()


class _Bars:
    """The bars of all running tasks, in one live display."""

    def __init__(self) -> None:
        self.hidden = False
        self._lock = threading.RLock()
        self._display: rich_progress.Progress | None = None

    def add(self, label: str, total: int) -> rich_progress.TaskID:
        with self._lock:
            if self._display is None:
                self._display = rich_progress.Progress(
                    rich_progress.TextColumn("  {task.description}"),
                    rich_progress.BarColumn(),
                    rich_progress.TaskProgressColumn(),
                    rich_progress.TimeRemainingColumn(),
                    console=Console(stderr=True),
                    transient=True,
                )
            if not self.hidden:
                self._display.start()
            return self._display.add_task(label, total=total)

    def advance(self, task: rich_progress.TaskID) -> None:
        if self._display:
            self._display.advance(task)

    def remove(self, task: rich_progress.TaskID) -> None:
        with self._lock:
            if self._display:
                self._display.remove_task(task)
                if not self._display.tasks:
                    self._display.stop()
                    self._display = None

    def hide(self) -> None:
        with self._lock:
            self.hidden = True
            if self._display:
                self._display.stop()

    def show(self) -> None:
        with self._lock:
            self.hidden = False
            if self._display:
                self._display.start()


_BARS = _Bars()
