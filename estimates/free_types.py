"""Types that cost nothing by themselves, with the source for it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import yaml

_FILE = Path(__file__).with_name("free.yaml")


@dataclass(frozen=True)
class FreeType:
    """
    pattern  a shell pattern of types
    source   the page that says that they are free, or how they are charged
    why      an explanation, if necessary: where their cost is counted
    """

    pattern: str
    source: str
    why: str = ""


@cache
def _load() -> tuple[FreeType, ...]:
    rows = yaml.safe_load(_FILE.read_text())
    return tuple(FreeType(row["type"], row["source"], row.get("why", "")) for row in rows)


def find_free(type_: str) -> FreeType | None:
    """Why a type costs nothing; None if it is not listed as free."""
    return next((free for free in _load() if fnmatchcase(type_, free.pattern)), None)
