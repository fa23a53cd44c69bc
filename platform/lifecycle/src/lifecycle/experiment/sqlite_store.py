"""The store in an SQLite file, for one machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import orjson

from lifecycle.experiment.records import Assignment, Record, Result, from_document, shards, to_document
from lifecycle.experiment.store import UnavailableError

_LOCK_TIMEOUT = 10.0  # seconds to wait for another process's write
_SCHEMA = """
CREATE TABLE IF NOT EXISTS assignments (
    experiment TEXT, user TEXT, recorded TEXT, document TEXT, PRIMARY KEY (experiment, user, recorded)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    shard TEXT, recorded TEXT, document TEXT, PRIMARY KEY (shard, recorded)
) WITHOUT ROWID;
"""


class SqliteStore:
    """Implements Store."""

    def __init__(self, path: str) -> None:
        """Raises UnavailableError."""
        self._path = path
        with self._translate_errors():
            self._connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(_SCHEMA)

    def write(self, records: Sequence[Record]) -> None:
        assignments = [
            (record.experiment, record.user, record.recorded, _dump(record))
            for record in records
            if isinstance(record, Assignment)
        ]
        results = [
            (record.shard, record.recorded, _dump(record)) for record in records if not isinstance(record, Assignment)
        ]
        with self._translate_errors(), self._connection as transaction:
            transaction.executemany("INSERT OR REPLACE INTO assignments VALUES (?, ?, ?, ?)", assignments)
            transaction.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", results)

    def read_assignments(self, experiment: str, user: str) -> list[Assignment]:
        query = "SELECT document FROM assignments WHERE experiment = ? AND user = ? ORDER BY recorded"
        return list(self._read(query, experiment, user))  # type: ignore[arg-type]

    def read_results(self, experiment: str) -> Iterator[Result]:
        for shard in shards(experiment):
            query = "SELECT document FROM results WHERE shard = ? ORDER BY recorded"
            yield from self._read(query, shard)  # type: ignore[misc]

    def close(self) -> None:
        self._connection.close()

    def _read(self, query: str, *values: str) -> Iterator[Record]:
        with self._translate_errors():
            for (document,) in self._connection.execute(query, values):
                yield from_document(orjson.loads(document))

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            reason = "full" if full else "unavailable"
            raise UnavailableError(f"the store {self._path} cannot be used: {error}", reason) from None


def _dump(record: Record) -> str:
    return orjson.dumps(to_document(record)).decode()
