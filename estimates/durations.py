"""The table of durations: how long it takes to create a resource of a type, and where that is published."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from estimates.resources import Resource

DURATIONS = Path(__file__).with_name("durations.yaml")
_SLEEP = "time:index/sleep:Sleep"
_SLEEP_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}  # of Go's durations


@dataclass(frozen=True)
class Duration:
    """How long it takes to create a resource of one of the types.

    pattern  of types, as of a shell
    how      what it rests on; the head of the file explains the words
    origin   the durations that were found, or the type that it is taken from
    """

    pattern: str
    seconds: float
    how: str
    source: str
    checked: datetime.date
    origin: str = ""


class DurationTable:
    """Durations by type; the first pattern that matches holds."""

    def __init__(self, durations: Iterable[Duration]) -> None:
        self.durations = tuple(durations)

    def find(self, type_: str) -> Duration | None:
        return next((each for each in self.durations if fnmatchcase(type_, each.pattern)), None)

    def estimate(self, resource: Resource) -> float | None:
        """Seconds until a resource is there; None where no row fits its type. Components are there at once."""
        if resource.is_component:
            return 0.0
        if resource.type == _SLEEP:
            return _parse_sleep(str(resource.get("createDuration", "0s")))
        duration = self.find(resource.type)
        return duration.seconds if duration else None


def load_durations(path: Path = DURATIONS) -> DurationTable:
    rows = yaml.safe_load(path.read_text())
    return DurationTable(
        Duration(row["type"], float(row["seconds"]), row["how"], row["source"], row["checked"], row.get("from", ""))
        for row in rows
    )


def _parse_sleep(text: str) -> float:
    """Seconds of `1h30m`, as Go writes it. Source: https://pkg.go.dev/time#ParseDuration"""
    return sum(float(number) * _SLEEP_UNITS[unit] for number, unit in re.findall(r"(\d+\.?\d*)(ms|h|m|s)", text))
