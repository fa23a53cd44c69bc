"""A fault in a setting, as reported to its author: the setting, its value, the rule and the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.core.settings.catalogue import NAMESPACE, format_value

NO_VALUE = object()


@dataclass(frozen=True)
class Fault:
    """What is wrong with a setting.

    setting  its path, as in `network.cidr` and `cluster.authorizedRanges[0]`
    problem  what the setting is or must be; continues a sentence that starts with the setting
    remedy   what to do
    example  lines that show how the remedy looks in the stack's file
    value    the value to show with the setting
    others   paths of other settings that the fault involves
    """

    setting: str
    problem: str
    remedy: str
    example: Sequence[str] = ()
    value: Any = NO_VALUE
    others: Sequence[str] = ()

    def involves(self, path: Sequence[str]) -> bool:
        """Whether the fault is about a setting, one of its items, or its section."""
        own = (split_path(setting) for setting in (self.setting, *self.others))
        return any(one[: len(path)] == tuple(path[: len(one)]) for one in own)

    def describe(self, line: int | None = None) -> list[str]:
        """Lines to print. `line` is where the setting is in the stack's file."""
        value = "" if self.value is NO_VALUE else f" = {format_value(self.value)}"
        place = f" (line {line})" if line else ""
        colon = "" if self.value is NO_VALUE and self.problem.startswith(("is ", "has ")) else ":"
        remedy = f"Remedy: {self.remedy}{':' if self.example else '.'}"
        return [
            f"{NAMESPACE}:{self.setting}{value}{place}{colon} {self.problem}.",
            remedy,
            *(f"    {row}" for row in self.example),
        ]


def split_path(setting: str) -> tuple[str, ...]:
    """The parts of a setting's path: `a.b[0]` -> a, b, 0."""
    return tuple(filter(None, re.split(r"[.\[\]]", setting)))


def join_path(path: Sequence[str | int]) -> str:
    """The reverse of `split_path`."""
    return "".join(f"[{part}]" if str(part).isdigit() else f".{part}" for part in path).removeprefix(".")


def find_close(name: str, known: Sequence[str]) -> str:
    """The known name that is most similar to `name`, ignoring case and separators; empty if there is none."""
    simple = {_simplify(one): one for one in reversed(known)}
    close = difflib.get_close_matches(_simplify(name), simple, n=1, cutoff=0.75)
    return simple[close[0]] if close else ""


def _simplify(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
