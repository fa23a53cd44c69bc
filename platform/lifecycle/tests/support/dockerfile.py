"""A Dockerfile read as text, and the lock of its image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parents[2]


@dataclass(frozen=True)
class Dockerfile:
    """The recipe of one image in platform/lifecycle/images."""

    image: str

    @property
    def folder(self) -> Path:
        return FOLDER / "images" / self.image

    @cached_property
    def steps(self) -> list[tuple[str, str]]:
        """Instruction and arguments of each step."""
        lines = re.sub(r"\\\n", " ", (self.folder / "Dockerfile").read_text()).splitlines()
        pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
        return [(instruction, arguments) for instruction, arguments in pairs]

    @property
    def last_stage(self) -> list[tuple[str, str]]:
        return self.steps[max(number for number, step in enumerate(self.steps) if step[0] == "FROM") :]

    def last(self, instruction: str) -> list[str]:
        """The arguments of an instruction in the last stage."""
        return [rest for name, rest in self.last_stage if name == instruction]

    @property
    def installs(self) -> list[str]:
        return [rest for name, rest in self.steps if name == "RUN" and "pip install" in rest]


def read_versions(folder: Path) -> set[tuple[str, str]]:
    """Names and versions of a lock, which may have two of one name, for different Pythons."""
    return set(re.findall(r"(?m)^([\w.-]+)(?:\[.*?\])?==(\S+)", (folder / "requirements.txt").read_text()))
