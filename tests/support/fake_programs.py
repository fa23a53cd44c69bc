"""Programs with fixed answers, for tests that start no process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deploy.programs import Answer, Programs


class FakePrograms(Programs):
    """Has the programs that `answers` names.

    answers   a program's answers, keyed by the beginning of the command line; the longest match is used. Text or an
              object is standard output; an Answer is used as it is. Other command lines fail.
    commands  the command lines so far
    """

    answers: Mapping[str, Any]
    commands: list[str]

    def __init__(self, answers: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
        super().__init__(environment or {})
        object.__setattr__(self, "answers", answers)
        object.__setattr__(self, "commands", [])

    def find(self, name: str) -> str:
        return f"/bin/{name}" if any(line.split()[0] == name for line in self.answers) else ""

    def ask(self, name: str, *arguments: str, timeout: float = 0) -> Answer:  # noqa: ARG002
        line = " ".join((name, *arguments))
        self.commands.append(line)
        known = max((key for key in self.answers if line.startswith(key)), key=len, default="")
        answer = self.answers[known] if known else Answer(1, "", f"error: no answer to {line}")
        if isinstance(answer, Answer):
            return answer
        return Answer(0, answer if isinstance(answer, str) else json.dumps(answer), "")


def refuse(message: str, code: int = 1) -> Answer:
    """The answer of a program that failed with this message."""
    return Answer(code, "", message)
