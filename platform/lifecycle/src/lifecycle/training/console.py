"""What a person sees: on standard error, so that standard output stays what another program can read."""

from __future__ import annotations

import io
import re
import sys


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def report(step: str, message: str) -> None:
    """A step's own words, each line marked, so that they can be told from what runs the step."""
    for line in message.splitlines():
        say(f"{step} | {line}")


class OwnWords(io.TextIOBase):
    """Takes all that is printed, shows what steps report, keeps the rest for when something breaks."""

    _REPORT = re.compile(r"\s*([a-z]+ \| .*)")

    def __init__(self) -> None:
        self.reports: list[str] = []
        self.rest: list[str] = []
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            found = self._REPORT.fullmatch(line)
            (self.reports if found else self.rest).append(found[1] if found else line)
            if found:
                say(found[1])
        return len(text)
