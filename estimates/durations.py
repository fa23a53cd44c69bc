"""The table of durations: how long it takes to create a resource of a type, or to do a step of a failover."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from estimates.resources import Resource
from kernel.go_durations import parse_seconds

DURATIONS = Path(__file__).with_name("durations.yaml")
_SLEEP = "time:index/sleep:Sleep"


@dataclass(frozen=True)
class Duration:
    """How long something takes.

    subject  a shell pattern of the types that are created, or the name of a step
    how      how the duration was obtained; the head of the file explains the words
    origin   the durations that were found, or the type from which it is adopted
    """

    subject: str
    seconds: float
    how: str
    source: str
    checked: datetime.date
    origin: str = ""


class DurationTable:
    """Durations by type; the first pattern that matches applies."""

    def __init__(self, durations: Iterable[Duration]) -> None:
        self.durations = tuple(durations)

    def find(self, type_: str) -> Duration | None:
        return next((each for each in self.durations if fnmatchcase(type_, each.subject)), None)

    def estimate(self, resource: Resource) -> float | None:
        """Seconds until a resource exists; None if no row matches its type. Components exist at once."""
        if resource.is_component:
            return 0.0
        if resource.type == _SLEEP:
            return parse_seconds(str(resource.get("createDuration", "0s")))
        duration = self.find(resource.type)
        return duration.seconds if duration else None


def load_durations(path: Path = DURATIONS) -> DurationTable:
    """How long creations take."""
    return DurationTable(_read(path, "creations", "type"))


def load_steps(path: Path = DURATIONS) -> Mapping[str, Duration]:
    """How long the steps of a failover take, keyed by name."""
    return {each.subject: each for each in _read(path, "steps", "step")}


def _read(path: Path, section: str, key: str) -> Iterable[Duration]:
    for row in yaml.safe_load(path.read_text())[section]:
        yield Duration(row[key], float(row["seconds"]), row["how"], row["source"], row["checked"], row.get("from", ""))
