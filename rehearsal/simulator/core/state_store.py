"""The state of a rehearsal's simulated clouds, stored between commands in one SQLite file.

The file holds every simulated resource, with secrets as keyed fingerprints only, and a journal of every operation.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rehearsal.simulator.core.values import find_strings

FORMAT = 1

# An ID that a plain name cannot equal by chance: a path, an ARN, or a prefix with hexadecimal digits (vpc-0a1b...).
_UNAMBIGUOUS_ID = re.compile(r"[/:]|-[0-9a-f]{8,}$")

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE resource (
    type TEXT NOT NULL, id TEXT NOT NULL, urn TEXT NOT NULL, generation INTEGER NOT NULL,
    inputs TEXT NOT NULL, outputs TEXT NOT NULL, PRIMARY KEY (type, id));
CREATE TABLE generation (urn TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    operation TEXT NOT NULL, type TEXT NOT NULL, urn TEXT NOT NULL, outcome TEXT NOT NULL);
"""
# Added to a state of the same format that does not have the table yet.
_TOMBSTONES = """
CREATE TABLE IF NOT EXISTS tombstone (
    type TEXT NOT NULL, name TEXT NOT NULL, until TEXT NOT NULL, PRIMARY KEY (type, name));
"""


class DamagedStateError(Exception):
    """The state file cannot be used; the message names the file and the problem."""


@dataclass(frozen=True)
class ResourceRecord:
    """One simulated resource; secrets in inputs and outputs are fingerprints."""

    type: str
    id: str
    urn: str
    generation: int
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class JournalEntry:
    """One line of the journal; `at` is UTC, ISO 8601."""

    at: str
    operation: str
    type: str
    urn: str
    outcome: str


class StateStore:
    """Reads are served from memory; every write goes to the file before it returns."""

    def __init__(self, path: Path | str) -> None:
        """Open the file at `path`, or create it; ":memory:" creates a state that is never written to disk.

        Raises DamagedStateError if the file is not a rehearsal's state, is corrupt, or has another format.
        """
        self._path = path
        self._lock = threading.RLock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._open()
        except (sqlite3.DatabaseError, json.JSONDecodeError) as error:
            raise DamagedStateError(self._describe_damage(f"cannot be read ({error})")) from None

    def close(self) -> None:
        self._database.close()

    @property
    def key(self) -> bytes:
        """The key of this state's fingerprints."""
        return self._key

    def find(self, reference: str) -> ResourceRecord | None:
        """The resource whose ID or `arn` output is `reference`."""
        with self._lock:
            return self._by_reference.get(_normalize(reference))

    def get(self, type_: str, id_: str) -> ResourceRecord | None:
        with self._lock:
            return self._records.get((type_, _normalize(id_)))

    def all(self, type_: str = "") -> Iterable[ResourceRecord]:
        """Every resource of one type, or of all types."""
        with self._lock:
            return [record for record in self._records.values() if type_ in ("", record.type)]

    def find_referrers(self, record: ResourceRecord) -> list[ResourceRecord]:
        """The resources of the same cloud whose inputs contain this one's ID or ARN.

        An ARN that is also among its own inputs belongs to its parent: a version of a secret has the secret's ARN.
        """
        own = {_normalize(text) for text in find_strings(record.inputs)}
        names = {_normalize(name) for name in _references(record) if _UNAMBIGUOUS_ID.search(name)} - own
        package = record.type.split(":", 1)[0]
        return [
            other
            for other in self.all()
            if other is not record
            and other.type.startswith(f"{package}:")
            and any(_normalize(text) in names for text in find_strings(other.inputs))
        ]

    def next_generation(self, urn: str) -> int:
        """How many times a resource with this URN was created before; counts this call as a creation."""
        with self._lock, closing(self._database.cursor()) as cursor:
            cursor.execute(
                "INSERT INTO generation VALUES (?, 0) ON CONFLICT (urn) DO UPDATE SET last = last + 1 RETURNING last",
                (urn,),
            )
            return int(cursor.fetchone()[0])

    def put(self, record: ResourceRecord) -> None:
        with self._lock:
            self._database.execute(
                "INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?, ?, ?)",
                (
                    record.type,
                    record.id,
                    record.urn,
                    record.generation,
                    json.dumps(record.inputs),
                    json.dumps(record.outputs),
                ),
            )
            self._add_to_memory(record)

    def remove(self, record: ResourceRecord) -> None:
        with self._lock:
            self._database.execute("DELETE FROM resource WHERE type = ? AND id = ?", (record.type, record.id))
            self._records.pop((record.type, _normalize(record.id)), None)
            for name in _references(record):
                self._by_reference.pop(_normalize(name), None)

    def add_tombstone(self, type_: str, name: str, until: date) -> None:
        """Keep the name of a deleted resource taken up to and including a day."""
        with self._lock:
            self._database.execute(
                "INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?)", (type_, name, until.isoformat())
            )

    def has_tombstone(self, type_: str, name: str, today: date) -> bool:
        """Whether the name of a deleted resource is still taken."""
        with self._lock:
            query = "SELECT 1 FROM tombstone WHERE type = ? AND name = ? AND until >= ?"
            return self._database.execute(query, (type_, name, today.isoformat())).fetchone() is not None

    def read_journal(self) -> list[JournalEntry]:
        """Every operation on the simulated clouds, oldest first."""
        with self._lock:
            rows = self._database.execute("SELECT at, operation, type, urn, outcome FROM journal ORDER BY seq")
            return [JournalEntry(*row) for row in rows]

    def count_operations(self) -> int:
        """How many lines the journal has."""
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM journal").fetchone()[0])

    def append_to_journal(self, operation: str, type_: str, urn: str, outcome: str) -> None:
        """Append a line to the journal. Callers keep secrets out of `outcome`."""
        with self._lock:
            self._database.execute(
                "INSERT INTO journal (operation, type, urn, outcome) VALUES (?, ?, ?, ?)",
                (operation, type_, urn, outcome),
            )

    def set_outages(self, regions: Collection[str]) -> None:
        """Set the regions (on Azure, locations) that have an outage; an empty collection ends all outages."""
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO meta VALUES ('outages', ?)", (json.dumps(sorted(regions)),))

    def read_outages(self) -> frozenset[str]:
        """The regions that have an outage; another process may set them while the clouds are served."""
        with self._lock:
            row = self._database.execute("SELECT value FROM meta WHERE key = 'outages'").fetchone()
            return frozenset(json.loads(row[0])) if row else frozenset()

    def _open(self) -> None:
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        tables = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables == 0:
            self._database.executescript(_SCHEMA)
            self._database.execute("INSERT INTO meta VALUES ('key', ?)", (secrets.token_bytes(32),))
            self._database.execute(f"PRAGMA user_version = {FORMAT}")
        elif version != FORMAT:
            raise DamagedStateError(self._describe_damage(f"has format {version}, this Groundwork reads {FORMAT}"))
        self._database.executescript(_TOMBSTONES)
        # Write-ahead log: a crash must not lose a resource that was reported to the engine as created.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._key: bytes = self._database.execute("SELECT value FROM meta WHERE key = 'key'").fetchone()[0]
        self._records: dict[tuple[str, str], ResourceRecord] = {}
        self._by_reference: dict[str, ResourceRecord] = {}
        for type_, id_, urn, generation, inputs, outputs in self._database.execute("SELECT * FROM resource"):
            self._add_to_memory(ResourceRecord(type_, id_, urn, generation, json.loads(inputs), json.loads(outputs)))

    def _add_to_memory(self, record: ResourceRecord) -> None:
        self._records[record.type, _normalize(record.id)] = record
        for name in _references(record):
            self._by_reference[_normalize(name)] = record

    def _describe_damage(self, problem: str) -> str:
        return f"The rehearsal's state file {self._path} {problem}."


def _references(record: ResourceRecord) -> list[str]:
    arn = record.outputs.get("arn")
    # An ARN among the inputs belongs to another resource, such as the queue of an EventTarget.
    return [record.id, arn] if isinstance(arn, str) and "arn" not in record.inputs else [record.id]


def _normalize(reference: str) -> str:
    """A form in which equal references are equal texts: Azure's resource IDs are case-insensitive, others are not."""
    return reference.lower() if reference.startswith("/") else reference
