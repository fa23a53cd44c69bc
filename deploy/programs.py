"""Other programs: finds them on PATH and runs them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_TIMEOUT = 90.0  # seconds; the AWS CLI searches for an instance's role for several of them


@dataclass(frozen=True)
class Answer:
    """How a program ended, and what it printed."""

    code: int
    output: str
    error: str

    @property
    def reason(self) -> str:
        """Why it failed: its first error line, otherwise the last line that it printed, otherwise its exit code."""
        lines = [line.strip() for line in self.error.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error:")]
        text = next(iter(errors or lines[-1:]), f"it ended with code {self.code}")
        return re.sub(r"^error:\s*", "", text, flags=re.IGNORECASE).rstrip(".")


@dataclass(frozen=True)
class Programs:
    """The programs of an environment, run in the project's folder."""

    environment: Mapping[str, str]

    def find(self, name: str) -> str:
        """Path of a program on PATH; empty if it is not there."""
        return shutil.which(name, path=self.environment.get("PATH", "")) or ""

    def ask(self, name: str, *arguments: str, timeout: float = _TIMEOUT) -> Answer:
        """Run a program that is on PATH, without a terminal, and wait for its answer.

        The answer has code 124 if the program does not end within `timeout` seconds, and 127 if it is not on PATH.
        """
        if not self.find(name):
            return Answer(127, "", f"`{name}` is not on PATH")
        try:
            reply = subprocess.run(
                [self.find(name), *arguments],
                cwd=ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            return Answer(124, "", f"`{name} {' '.join(arguments[:2])}` did not answer within {timeout:.0f} s")
        return Answer(reply.returncode, reply.stdout, reply.stderr)
