"""The results of runs, one line each as soon as it is known: an interrupted run continues where it ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from tests.mutation.evaluation import Result

REVIEWED = Path(__file__).with_name("reviewed.yaml")
# Everything that affects a result: the program, and all that checks it.
_SOURCES = ("infra", "kernel", "policies", "rehearsal", "stacks", "platform/alerts", "tests/support", "tests/mutation")


class Results:
    """Results, keyed by the mutant's ID, in a file whose lines belong to a version of the sources."""

    def __init__(self, path: Path, sources: str) -> None:
        self._path, self._sources = path, sources
        self._found = dict(self._read())

    def _read(self) -> Iterator[tuple[str, Result]]:
        for line in self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else ():
            content = json.loads(line)
            if content.pop("sources") == self._sources:
                yield content["id"], Result(**content)

    def get(self, id_: str) -> Result | None:
        return self._found.get(id_)

    def add(self, result: Result) -> None:
        self._found[result.id] = result
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"sources": self._sources, **asdict(result)}) + "\n")


def fingerprint_sources(root: Path) -> str:
    """A digest of all files that affect results."""
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".py", ".yaml", ".alloy", ".kql", ".insights") and path != REVIEWED:
                digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class ReviewedMutants:
    """Why mutants are equivalent to the program: `pattern` matches their IDs."""

    pattern: str
    reason: str


def read_reviewed_mutants(path: Path = REVIEWED) -> list[ReviewedMutants]:
    """Reviewed survivors. Raises ValueError if a reason is missing."""
    reviewed = []
    for reason, patterns in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).items():
        if not reason or not patterns:
            raise ValueError(
                f"{path}: an entry must be a reason with patterns of mutants, not {reason!r}: {patterns!r}"
            )
        reviewed += [ReviewedMutants(pattern, str(reason)) for pattern in patterns]
    return reviewed


def find_reason(reviewed: Iterable[ReviewedMutants], id_: str) -> str:
    """Why a mutant is equivalent; empty if nobody has recorded it. In a pattern, only `*` is special."""
    for entry in reviewed:
        if fnmatchcase(id_, entry.pattern.replace("[", "[[]")):
            return entry.reason
    return ""


def count(values: Iterable[str]) -> Mapping[str, int]:
    """How often each value occurs, the most frequent first."""
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
