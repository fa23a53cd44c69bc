"""A queue on disk between the router's process and the writer's: while the store is unavailable, records wait here.

It is an SQLite file, bounded in bytes. If it is full, new records are refused and waiting ones are kept: a gap in time
affects all variants alike, and only the writer removes records.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from lifecycle.core import LifecycleError
from lifecycle.experiment.records import Record, from_document, to_document

_PAGE = 4096  # bytes
_LOCK_TIMEOUT = 10.0  # seconds to wait for the other process, which holds the lock for milliseconds
_NAME = "spool.db"
# This avoids counting: records are numbered, and the oldest are removed first.
_ENDS = "SELECT number, (SELECT max(number) FROM record), added FROM record ORDER BY number LIMIT 1"
# One statement for all records of a batch, and so one transaction. Python takes its lock once per statement: with one
# statement per record, the router's event loop and the thread that adds records would compete for it all the time.
_ADD = "INSERT INTO record (added, document) SELECT ?, value FROM json_each(?)"
_REMOVE = "DELETE FROM record WHERE number IN (SELECT value FROM json_each(?))"


class SpoolError(LifecycleError):
    """The spool cannot be read or written at the moment."""


class SpoolFullError(SpoolError):
    """The spool, or its disk, is full. Nothing was added."""


@dataclass(frozen=True)
class Entry:
    """A waiting record, with its number in the spool."""

    number: int
    record: Record


@dataclass(frozen=True)
class Backlog:
    """The waiting records, the file's bytes in use, and the seconds that the oldest record has waited."""

    records: int
    bytes: int
    age: float


class Spool:
    """One connection to the spool of a folder. Not thread-safe: each thread and each process opens its own."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Raises SpoolError. A damaged file is moved aside."""
        self._max_pages = max(max_bytes // _PAGE, 1)
        self._path = folder / _NAME
        with self._translate_errors():
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()

    def add(self, records: Iterable[Record]) -> None:
        """Add all or none; added records survive the end of this process. Raises SpoolError, SpoolFullError."""
        documents = _dump([to_document(record) for record in records])
        with self._translate_errors():
            self._connection.execute(_ADD, (time.time(), documents))

    def read(self, count: int) -> list[Entry]:
        """The oldest records. Raises SpoolError."""
        with self._translate_errors():
            rows = self._connection.execute("SELECT number, document FROM record ORDER BY number LIMIT ?", (count,))
            return [Entry(number, from_document(orjson.loads(document))) for number, document in rows]

    def remove(self, entries: Sequence[Entry]) -> None:
        """Raises SpoolError."""
        with self._translate_errors():
            self._connection.execute(_REMOVE, (_dump([entry.number for entry in entries]),))

    def measure(self) -> Backlog:
        """Raises SpoolError."""
        with self._translate_errors():
            row = self._connection.execute(_ENDS).fetchone()
            pages, free = (self._read_pragma(name) for name in ("page_count", "freelist_count"))
        if row is None:
            return Backlog(0, (pages - free) * _PAGE, 0.0)
        oldest, newest, added = row
        return Backlog(newest - oldest + 1, (pages - free) * _PAGE, max(0.0, time.time() - added))

    def close(self) -> None:
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.OperationalError:  # locked, full or not permitted
            raise
        except sqlite3.DatabaseError:
            self._path.rename(self._path.with_name(f"{_NAME}.damaged-{time.time_ns()}"))
            for suffix in ("-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        # Without `isolation_level` each statement is a transaction.
        connection = sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power failure may lose the last transactions
        connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS record (number INTEGER PRIMARY KEY AUTOINCREMENT, added REAL, document BLOB)"
        )
        return connection

    def _read_pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise SpoolFullError(
                    f"{self._path} is full, or its disk is; the writer has to write waiting records to the store first"
                ) from None
            raise SpoolError(f"the spool {self._path} cannot be used: {error}") from None


def _dump(values: Sequence[object]) -> str:
    """A list in the format of SQLite's `json_each`."""
    return orjson.dumps(values).decode()
