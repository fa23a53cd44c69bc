"""Messages for people, on standard error: standard output is for results that programs read."""

from __future__ import annotations

import io
import re
import sys


def info(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def report_step(step: str, message: str) -> None:
    """Print a step's message, each line prefixed to tell it from the output of the program that runs the step."""
    for line in message.splitlines():
        info(f"{step} | {line}")


class StepOutput(io.TextIOBase):
    """A stream that prints the messages of steps, and keeps all other lines in case a step fails without a message."""

    _MESSAGE = re.compile(r"\s*([a-z]+ \| .*)")

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.other: list[str] = []
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            message = self._MESSAGE.fullmatch(line)
            (self.messages if message else self.other).append(message[1] if message else line)
            if message:
                info(message[1])
        return len(text)
