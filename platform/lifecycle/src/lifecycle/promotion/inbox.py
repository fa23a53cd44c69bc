"""The durable inbox: an accepted event stays until it is finished, even if processes end in between.

It is an SQLite file or a PostgreSQL database.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    CursorResult,
    Double,
    Engine,
    Executable,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    create_engine,
    func,
    select,
    update,
)
from sqlalchemy import event as listeners
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool
from sqlalchemy.schema import CreateIndex, CreateTable

from lifecycle.core import LifecycleError
from lifecycle.core.text import to_line

WAITING = "waiting"  # the outcome of an event that is not finished
_TIMEOUT = 30  # seconds to wait for the connection, or for another process's write to the file
_CONNECT_TIMEOUT = 10  # seconds to connect to PostgreSQL

_EVENT = Table(
    "event",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("received", Double, nullable=False),
    Column("due", Double, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("outcome", Text),
    Column("detail", Text, nullable=False, server_default=""),
    Column("finished", Double),
)
_IS_WAITING = _EVENT.c.outcome.is_(None)
_INDEX = Index("event_waiting", _EVENT.c.received, sqlite_where=_IS_WAITING, postgresql_where=_IS_WAITING)
_OUTCOME = func.coalesce(_EVENT.c.outcome, WAITING)
_SELECT = select(
    *(_EVENT.c[name] for name in ("id", "model", "version", "received", "attempts")), _OUTCOME, _EVENT.c.detail
)


class InboxError(LifecycleError):
    """The inbox cannot be read or written at the moment; the message is the database's."""


@dataclass(frozen=True)
class Event:
    """A requested promotion; `received` in seconds since 1970."""

    id: str
    model: str
    version: str
    received: float
    attempts: int = 0
    outcome: str = WAITING
    detail: str = ""


class Inbox:
    """Waiting events, and the outcomes of the others. Safe for any number of threads and processes."""

    def __init__(self, url: str) -> None:
        """Open the inbox at `sqlite:///<path>` or `postgresql://...`. Raises InboxError."""
        self._engine = _create_engine(_parse_url(url))
        self._insert = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        self._execute(CreateTable(_EVENT, if_not_exists=True))
        self._execute(CreateIndex(_INDEX, if_not_exists=True))

    def close(self) -> None:
        self._engine.dispose()

    def add(self, id_: str, model: str, version: str) -> bool:
        """Store an event, which is on disk when this returns; False if one with this ID was stored before."""
        now = time.time()
        values = {"id": id_, "model": model, "version": version, "received": now, "due": now}
        return self._execute(self._insert(_EVENT).values(values).on_conflict_do_nothing()) == 1

    def due(self, limit: int) -> Sequence[Event]:
        """Waiting events that are due, the oldest first."""
        query = _SELECT.where(_IS_WAITING, _EVENT.c.due <= time.time()).order_by(_EVENT.c.received, _EVENT.c.id)
        return [Event(*row) for row in self._query(query.limit(limit))]

    def defer(self, event: Event, delay: float, detail: str) -> None:
        """Retry the event in `delay` seconds."""
        changes = {"attempts": _EVENT.c.attempts + 1, "due": time.time() + delay, "detail": to_line(detail)}
        self._execute(update(_EVENT).where(_EVENT.c.id == event.id, _IS_WAITING).values(changes))

    def finish(self, event: Event, outcome: str, detail: str) -> None:
        # Text in PostgreSQL cannot contain NUL.
        changes = {"outcome": outcome, "detail": to_line(detail), "finished": time.time()}
        self._execute(update(_EVENT).where(_EVENT.c.id == event.id).values(changes))

    def has_event(self, model: str, version: str, outcomes: Sequence[str]) -> bool:
        """Whether there is an event for this version with one of these outcomes, which may include `waiting`."""
        query = select(_EVENT.c.id).where(_EVENT.c.model == model, _EVENT.c.version == version, _OUTCOME.in_(outcomes))
        return bool(self._query(query.limit(1)))

    def count_waiting(self) -> int:
        (row,) = self._query(select(func.count()).select_from(_EVENT).where(_IS_WAITING))
        return int(row[0])

    def find(self, id_: str) -> Event | None:
        rows = self._query(_SELECT.where(_EVENT.c.id == id_))
        return Event(*rows[0]) if rows else None

    def latest(self, limit: int) -> Sequence[Event]:
        query = _SELECT.order_by(_EVENT.c.received.desc(), _EVENT.c.id)
        return [Event(*row) for row in self._query(query.limit(limit))]

    def counts(self) -> Mapping[str, int]:
        """The number of events by outcome, including `waiting`."""
        rows = self._query(select(_OUTCOME, func.count()).group_by(_OUTCOME).order_by(_OUTCOME))
        return {outcome: int(count) for outcome, count in rows}

    def _execute(self, statement: Executable) -> int:
        """Run a statement durably; returns the number of rows that it changed. Raises InboxError."""
        try:
            with self._engine.connect() as connection:
                result = connection.execute(statement)
                return result.rowcount if isinstance(result, CursorResult) else 0
        except SQLAlchemyError as error:
            raise _explain(error) from None

    def _query(self, query: Executable) -> Sequence[Row[*tuple[Any, ...]]]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except SQLAlchemyError as error:
            raise _explain(error) from None


def _parse_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise InboxError("PROMOTION_INBOX is not a URL; set it to sqlite:///<path> or postgresql://...") from None
    if url.drivername == "sqlite":
        return url
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise InboxError(f"PROMOTION_INBOX is a {url.drivername} URL; set it to sqlite:///<path> or postgresql://...")


def _create_engine(url: URL) -> Engine:
    """An engine with one connection, in which every statement is a transaction; a broken connection is replaced."""
    is_sqlite = url.drivername == "sqlite"
    # Without client_encoding, a database with encoding SQL_ASCII, as some are by accident, would return bytes.
    arguments = {"timeout": _TIMEOUT} if is_sqlite else {"connect_timeout": _CONNECT_TIMEOUT, "client_encoding": "utf8"}
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=_TIMEOUT,
        connect_args=arguments,
        execution_options={"preserve_rowcount": True},  # otherwise it is undefined for INSERT
    )
    if is_sqlite:
        listeners.listen(engine, "connect", _make_durable)
    return engine


def _make_durable(connection: Any, _: object) -> None:
    """With a write-ahead log that is synced, a statement is on disk when it returns."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _explain(error: SQLAlchemyError) -> InboxError:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    reason = (str(cause).splitlines() or [""])[0]
    return InboxError(f"the inbox's database failed ({type(cause).__name__}): {reason}")
