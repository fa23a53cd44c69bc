"""Creates the inbox's database and its login on a PostgreSQL server that has another administrator.

The administrators of managed servers are not superusers, and only a member of a role can create a database for it.
https://www.postgresql.org/docs/16/sql-createdatabase.html
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import psycopg
from psycopg import Connection, conninfo
from psycopg.sql import SQL, Identifier, Literal

from lifecycle.promotion.inbox import InboxError
from lifecycle.promotion.settings import DatabaseSettings

_CONNECT_TIMEOUT = 10  # seconds

_log = logging.getLogger(__name__)


class _Address(NamedTuple):
    """The parts of a database's URL."""

    login: str
    password: str
    database: str


def create_database(settings: DatabaseSettings) -> None:
    """Create the login, its database and permissions if they do not exist, and set its password. Raises InboxError."""
    inbox_url, administrator_url = (secret.get_secret_value() for secret in (settings.inbox, settings.administrator))
    inbox = _parse("PROMOTION_INBOX", inbox_url)
    administrator = _parse("PROMOTION_ADMINISTRATOR", administrator_url)
    try:
        with psycopg.connect(administrator_url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT) as connection:
            _create_login(connection, inbox)
            _create_database(connection, inbox)
            for database in (inbox.database, administrator.database):  # by default every login may connect to them
                connection.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(Identifier(database)))
    except psycopg.Error as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InboxError(f"the inbox's database cannot be created ({type(error).__name__}): {reason}") from None
    _log.info("The database %s and its login %s exist.", inbox.database, inbox.login)


def _parse(variable: str, url: str) -> _Address:
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        parts = {}
    found = [str(parts.get(name) or "") for name in ("user", "password", "dbname")]
    if not url.startswith(("postgresql://", "postgres://")) or not (found[0] and found[2]):
        # The URL itself contains a password.
        raise InboxError(
            f"{variable} must name a login and a database; set it to postgresql://<login>@<host>/<database>"
        )
    return _Address(*found)


def _create_login(connection: Connection, inbox: _Address) -> None:
    login = Identifier(inbox.login)
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [inbox.login]).fetchone() is None:
        connection.execute(SQL("CREATE ROLE {} LOGIN").format(login))
    connection.execute(SQL("ALTER ROLE {} PASSWORD {}").format(login, Literal(inbox.password)))


def _create_database(connection: Connection, inbox: _Address) -> None:
    if connection.execute("SELECT FROM pg_database WHERE datname = %s", [inbox.database]).fetchone() is None:
        login = Identifier(inbox.login)
        connection.execute(SQL("GRANT {} TO CURRENT_USER").format(login))
        connection.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(inbox.database), login))
