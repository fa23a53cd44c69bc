"""The durable inbox: an event that was taken is there until it is done, whatever happens to the processes.

SQLite in a file, or PostgreSQL: the same statements for both.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg

from lifecycle.contract import LifecycleError

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS event (
        id TEXT PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL,
        received DOUBLE PRECISION NOT NULL, due DOUBLE PRECISION NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        outcome TEXT, detail TEXT NOT NULL DEFAULT '', finished DOUBLE PRECISION)""",
    "CREATE INDEX IF NOT EXISTS event_waiting ON event (received) WHERE outcome IS NULL",
)
_COLUMNS = "id, model, version, received, attempts, COALESCE(outcome, 'waiting'), detail"


class InboxError(LifecycleError):
    """The inbox cannot be read or written now; the message says what the database said."""


@dataclass(frozen=True)
class Event:
    """One promotion asked for; `received` in seconds since 1970."""

    id: str
    model: str
    version: str
    received: float
    attempts: int = 0
    outcome: str = "waiting"
    detail: str = ""


class Database(Protocol):
    """A database as the inbox needs it."""

    def execute(self, statement: str, values: Sequence[Any] = ()) -> tuple[list[tuple[Any, ...]], int]:
        """Run one statement, durably; its rows, and how many it changed. Raises InboxError."""

    def close(self) -> None: ...


class Inbox:
    """Events that wait, and what became of the others. For any number of threads and processes."""

    def __init__(self, url: str) -> None:
        """Open the inbox at `sqlite:///<path>` or `postgresql://...`. Raises InboxError."""
        self._database = _open(url)
        for statement in _SCHEMA:
            self._database.execute(statement)

    def close(self) -> None:
        self._database.close()

    def add(self, id_: str, model: str, version: str) -> bool:
        """Take an event; False when one of this ID was taken before. On disk when this returns."""
        now = time.time()
        statement = (
            "INSERT INTO event (id, model, version, received, due) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        )
        return self._database.execute(statement, (id_, model, version, now, now))[1] == 1

    def waiting(self, limit: int) -> Sequence[Event]:
        """Events that are due, the oldest first."""
        statement = f"SELECT {_COLUMNS} FROM event WHERE outcome IS NULL AND due <= ? ORDER BY received, id LIMIT ?"  # noqa: S608
        return [Event(*row) for row in self._database.execute(statement, (time.time(), limit))[0]]

    def defer(self, event: Event, pause: float, detail: str) -> None:
        """Try again in `pause` seconds."""
        statement = "UPDATE event SET attempts = attempts + 1, due = ?, detail = ? WHERE id = ? AND outcome IS NULL"
        self._database.execute(statement, (time.time() + pause, detail, event.id))

    def finish(self, event: Event, outcome: str, detail: str) -> None:
        statement = "UPDATE event SET outcome = ?, detail = ?, finished = ? WHERE id = ?"
        self._database.execute(statement, (outcome, detail, time.time(), event.id))

    def waits_for(self, model: str, version: str) -> bool:
        """Whether an event about this version is waiting, due or not."""
        statement = "SELECT 1 FROM event WHERE outcome IS NULL AND model = ? AND version = ? LIMIT 1"
        return bool(self._database.execute(statement, (model, version))[0])

    def find(self, id_: str) -> Event | None:
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM event WHERE id = ?", (id_,))[0]  # noqa: S608
        return Event(*rows[0]) if rows else None

    def newest(self, limit: int) -> Sequence[Event]:
        statement = f"SELECT {_COLUMNS} FROM event ORDER BY received DESC, id LIMIT ?"  # noqa: S608
        return [Event(*row) for row in self._database.execute(statement, (limit,))[0]]

    def counts(self) -> Mapping[str, int]:
        """How many events there are by outcome; `waiting` among them."""
        statement = "SELECT COALESCE(outcome, 'waiting'), COUNT(*) FROM event GROUP BY 1 ORDER BY 1"
        return {outcome: int(count) for outcome, count in self._database.execute(statement)[0]}


class _Sqlite:
    """A file. Write-ahead log, and a commit is on disk before it is answered."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise InboxError(f"the inbox {path} cannot be opened: {error}") from None

    def execute(self, statement: str, values: Sequence[Any] = ()) -> tuple[list[tuple[Any, ...]], int]:
        with self._lock:
            try:
                cursor = self._connection.execute(statement, values)
                return cursor.fetchall(), cursor.rowcount
            except sqlite3.Error as error:
                raise InboxError(f"the inbox's file: {error}") from None

    def close(self) -> None:
        self._connection.close()


class _Postgres:
    """A server; a connection that broke is made again for the next statement."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def execute(self, statement: str, values: Sequence[Any] = ()) -> tuple[list[tuple[Any, ...]], int]:
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._connect()
                # The inbox's statements are literals of this module: no text of others is in them.
                cursor = self._connection.execute(statement.replace("?", "%s").encode(), values)
                return (cursor.fetchall() if cursor.description else []), cursor.rowcount
            except psycopg.Error as error:
                self._drop()
                raise InboxError(f"the inbox's PostgreSQL: {type(error).__name__}: {_first_line(error)}") from None

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        # A database of the encoding SQL_ASCII, as some are by accident, would else answer in bytes.
        return psycopg.connect(self._url, autocommit=True, connect_timeout=10, client_encoding="utf8")

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _open(url: str) -> Database:
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return _Sqlite(url.removeprefix("sqlite:///"))
    if scheme in ("postgresql", "postgres"):
        return _Postgres(url)
    raise InboxError(
        f"an inbox of the kind '{scheme}' is not known; PROMOTION_INBOX takes sqlite:///<path> or postgresql://"
    )
