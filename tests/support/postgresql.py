"""A PostgreSQL server on this machine for the duration of a test, with its own database and login."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal.kubernetes.control_plane.control_plane import HOST, free_ports

_OPTIONS = ("--no-psqlrc", "--tuples-only", "--no-align", "--dbname=postgres", "--username=super")
_PROGRAMS = ("initdb", "pg_ctl", "postgres", "pg_dump", "pg_restore", "psql")


@dataclass(frozen=True)
class PostgresServer:
    """
    folder  its data; the database is lost if it is deleted
    access  libpq's variables to connect to it
    """

    folder: Path
    port: int

    @property
    def access(self) -> Mapping[str, str]:
        return {"PGHOSTADDR": HOST, "PGPORT": str(self.port), "PGSSLMODE": "disable"}

    def create_login(self, name: str, password: str) -> None:
        """Create a login that can create databases, like a managed server's administrator, and its database."""
        self.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD '{password}'", f"CREATE DATABASE {name} OWNER {name}")

    def execute(self, *statements: str) -> str:
        """Run statements as the superuser, on the superuser's database."""
        commands = [f"--command={statement}" for statement in statements]
        return subprocess.run(
            ["psql", *_OPTIONS, f"--host={self.folder}", *commands],
            env={**os.environ, "PGPORT": str(self.port)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def destroy(self) -> None:
        """Kill the server and delete its disk."""
        _run("pg_ctl", "--pgdata", str(self.folder), "--mode=immediate", "stop")
        shutil.rmtree(self.folder)


def find_obstacle() -> str:
    """Why no server can be started; empty if one can."""
    missing = [program for program in _PROGRAMS if not shutil.which(program)]
    return f"PostgreSQL's programs are not on PATH: {', '.join(missing)}" if missing else ""


@contextmanager
def run_server(folder: Path) -> Iterator[PostgresServer]:
    """Run a server with its data in `folder`, which does not exist yet and has a short path."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True)
    if os.getuid() == 0:  # PostgreSQL does not run as root, and other users cannot read temporary folders
        folder.parent.chmod(0o755)
        shutil.chown(folder, _user())
    _run("initdb", "--pgdata", str(folder), "--username=super", "--auth-local=trust", "--auth-host=scram-sha-256")
    options = f"-p {port} -k {folder} -c listen_addresses={HOST} -c fsync=off"
    _run("pg_ctl", "--pgdata", str(folder), "--log", str(folder / "log"), "--wait", "--options", options, "start")
    server = PostgresServer(folder, port)
    try:
        yield server
    finally:
        if folder.exists():
            server.destroy()


def _run(*command: str) -> None:
    user = _user() if os.getuid() == 0 else None
    subprocess.run(command, user=user, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


def _user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
