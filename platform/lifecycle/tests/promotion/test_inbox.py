"""The inbox in SQLite and in a real PostgreSQL: the same behaviour from the same statements.

PostgreSQL is started here from the machine's own binaries, in a folder of the test; without them its half is skipped.
Not proven: a PostgreSQL that fails over to another server; one that restarts is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from lifecycle.promotion.database import create_database
from lifecycle.promotion.inbox import Inbox, InboxError
from lifecycle.promotion.settings import DatabaseSettings
from support.network import free_port
from support.waiting import eventually

NOBODY = 65534  # PostgreSQL refuses to run as root


class PostgresServer:
    """PostgreSQL on a free port of this machine."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self._folder, self._binaries = folder, binaries
        self._port = free_port()
        self._user = NOBODY if os.getuid() == 0 else None
        if self._user is not None:
            os.chown(folder, NOBODY, NOBODY)
        self._run("initdb", "--pgdata", "data", "--username", "test", "--auth", "trust", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://test@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        options = f"-p {self._port} -h 127.0.0.1 -k {self._folder} -F"
        self._run("pg_ctl", "start", "--wait", "--pgdata", "data", "--log", "log", "--options", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--mode", "immediate", "--pgdata", "data")

    def _run(self, *command: str) -> None:
        subprocess.run(
            [str(self._binaries / command[0]), *command[1:]],
            cwd=self._folder,
            user=self._user,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
            check=True,
        )


def find_binaries() -> Path | None:
    """The folder of initdb: on PATH, or where Debian installs it."""
    found = shutil.which("initdb") or next(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), "")
    return Path(found).parent if found else None


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's initdb is not on this machine")
    # Not pytest's folder, which other users cannot read.
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    server = PostgresServer(folder, binaries)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.process)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "SQLite":
        return f"sqlite:///{tmp_path}/inbox.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS event")
    return server.url


@pytest.fixture
def inbox(url: str) -> Iterator[Inbox]:
    opened = Inbox(url)
    yield opened
    opened.close()


def test_an_event_is_stored_once(inbox: Inbox) -> None:
    assert inbox.add("e1", "wine", "1")
    assert not inbox.add("e1", "wine", "2")
    (event,) = inbox.due(10)
    assert (event.id, event.model, event.version, event.attempts) == ("e1", "wine", "1", 0)


def test_events_outlive_the_process_that_stored_them(inbox: Inbox, url: str) -> None:
    inbox.add("e1", "wine", "1")
    inbox.close()
    later = Inbox(url)
    assert [event.id for event in later.due(10)] == ["e1"]
    assert not later.add("e1", "wine", "1")
    later.close()


def test_many_threads_and_connections_store_each_event_once(inbox: Inbox, url: str) -> None:
    other = Inbox(url)
    results: list[bool] = []

    def add_all(target: Inbox) -> None:
        for number in range(25):
            results.append(target.add(f"e{number}", "wine", "1"))

    threads = [threading.Thread(target=add_all, args=(target,)) for target in (inbox, inbox, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert results.count(True) == 25
    assert inbox.counts() == {"waiting": 25}


def test_a_deferred_event_comes_back_when_it_is_due(inbox: Inbox) -> None:
    inbox.add("e1", "wine", "1")
    (event,) = inbox.due(1)
    inbox.defer(event, 3600, "the registry is down")
    assert inbox.due(1) == []
    assert inbox.has_event("wine", "1", ["waiting"])
    inbox.defer(event, 0.2, "the registry is still down")
    (again,) = eventually(lambda: inbox.due(1))
    assert (again.attempts, again.detail) == (2, "the registry is still down")


def test_a_finished_event_is_no_longer_waiting(inbox: Inbox) -> None:
    inbox.add("e1", "wine", "1")
    inbox.add("e2", "wine", "2")
    first, _ = inbox.due(10)
    inbox.finish(first, "promoted", "c0ffee")
    inbox.defer(first, 0, "too late")
    assert [event.id for event in inbox.due(10)] == ["e2"]
    assert not inbox.has_event("wine", "1", ["waiting"])
    assert inbox.counts() == {"promoted": 1, "waiting": 1}
    found = inbox.find("e1")
    assert found is not None
    assert (found.outcome, found.detail) == ("promoted", "c0ffee")


def test_waiting_events_are_counted(inbox: Inbox) -> None:
    assert inbox.count_waiting() == 0
    for number in range(3):
        inbox.add(f"e{number}", "wine", "1")
    inbox.finish(inbox.due(1)[0], "promoted", "")
    assert inbox.count_waiting() == 2


@pytest.mark.process
def test_a_managed_servers_administrator_creates_the_database(postgres: PostgresServer) -> None:
    """As on RDS and Azure, where no login is a superuser. Again, with another password, it changes only that."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE administrator LOGIN CREATEDB CREATEROLE")
        connection.execute("CREATE DATABASE tracking OWNER administrator")
    host = postgres.url.rpartition("@")[2].removesuffix("/postgres")
    for password in ("it's-secret:1", "another"):
        url = f"postgresql://inbox:{quote(password)}@{host}/inbox"
        administrator = f"postgresql://administrator@{host}/tracking"
        create_database(DatabaseSettings(inbox=url, administrator=administrator))
        inbox = Inbox(url)
        inbox.add(password, "wine", "1")
        inbox.close()
    with psycopg.connect(postgres.url) as connection:
        query = "SELECT has_database_privilege('inbox', %s, 'CONNECT')"
        access = {name: connection.execute(query, [name]).fetchone() for name in ("inbox", "tracking")}
        logins = connection.execute("SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = 'inbox'")
        assert logins.fetchone() == (True,)
    assert access == {"inbox": (True,), "tracking": (False,)}, "the inbox's login has no access to other databases"


@pytest.mark.parametrize("url", ["sqlite:///inbox.db", "postgresql://host/", "inbox"])
def test_a_database_that_cannot_be_created_is_one_message(url: str) -> None:
    with pytest.raises(InboxError, match="PROMOTION_INBOX must name a login and a database; set it to postgresql://"):
        create_database(DatabaseSettings(inbox=url, administrator="postgresql://administrator@host/tracking"))


@pytest.mark.process
def test_a_database_that_restarts_is_used_again(postgres: PostgresServer) -> None:
    inbox = Inbox(postgres.url)
    inbox.add("restart", "wine", "1")
    postgres.stop()
    with pytest.raises(InboxError, match="the inbox's database failed"):
        inbox.add("lost", "wine", "1")
    postgres.start()
    assert inbox.add("later", "wine", "1")
    assert inbox.find("restart") is not None
    inbox.close()


@pytest.mark.process
def test_an_inbox_that_cannot_be_opened_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(InboxError, match="unable to open database file"):
        Inbox(f"sqlite:///{tmp_path}/nowhere/inbox.db")
    with pytest.raises(InboxError, match=r"PROMOTION_INBOX is a mysql URL; set it to sqlite:///<path> or postgresql:"):
        Inbox("mysql://localhost/inbox")
    with pytest.raises(InboxError, match="PROMOTION_INBOX is not a URL"):
        Inbox("inbox.db")
