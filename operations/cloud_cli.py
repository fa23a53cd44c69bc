"""The clouds' command lines, for `make bootstrap`, and the parts that it creates."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.errors import DeployError
from deploy.programs import Answer, Programs


@dataclass(frozen=True)
class State:
    """
    fault        how what exists differs from what is required; empty if it does not
    description  of what exists
    """

    is_there: bool
    fault: str = ""
    description: str = ""


ABSENT = State(is_there=False)


@dataclass(frozen=True)
class Part:
    """Something that is created unless it exists. Both functions raise DeployError with the cloud's message."""

    name: str
    description: str
    find: Callable[[], State]
    create: Callable[[], object]


@dataclass(frozen=True)
class CloudCli:
    programs: Programs

    def ask(self, program: str, *arguments: str) -> Answer:
        if not self.programs.find(program):
            raise DeployError(f"`{program}` is not on PATH: install it, and sign in (docs/deploying.md, 4).")
        return self.programs.ask(program, *arguments)

    def call(self, program: str, *arguments: str) -> Any:
        """The parsed JSON answer, None if it is empty. Raises DeployError."""
        answer = self.ask(program, *arguments)
        if answer.code:
            raise DeployError(f"`{program} {' '.join(arguments[:2])}` fails: {answer.reason}.")
        return json.loads(answer.output) if answer.output.strip() else None

    def find(self, absent: tuple[str, ...], program: str, *arguments: str) -> Any:
        """Like `call`, but None if the cloud's error message contains one of `absent`."""
        answer = self.ask(program, *arguments)
        if answer.code and any(word in answer.error for word in absent):
            return None
        if answer.code:
            raise DeployError(f"`{program} {' '.join(arguments[:2])}` fails: {answer.reason}.")
        return json.loads(answer.output) if answer.output.strip() else {}
