"""What a person sees: progress on standard error, and errors as one message."""

from __future__ import annotations

import sys


class UserError(Exception):
    """Something a person has to mend; its message says what, and how. Shown without a traceback."""


def info(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


class Progress:
    """One line that counts up in a terminal, and a line now and then elsewhere (a CI log)."""

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = max(total, 1)
        self._done = 0
        self._shown = -1
        self._terminal = sys.stderr.isatty()

    def step(self) -> None:
        self._done += 1
        percent = min(100, 100 * self._done // self._total)
        if percent == self._shown or (not self._terminal and percent % 20):
            return
        self._shown = percent
        end = "" if self._terminal else "\n"
        print(f"{chr(13) if self._terminal else ''}{self._label} {percent:3d} %", end=end, file=sys.stderr, flush=True)

    def finish(self) -> None:
        if self._terminal:
            print(file=sys.stderr)
