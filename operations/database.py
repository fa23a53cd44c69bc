"""Dumps, restores and compares MLflow's PostgreSQL database with PostgreSQL's own programs."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import DeployError
from operations.target import Target

DATABASE = "mlflow"
NAMESPACE, _SECRET = "mlflow", "mlflow-database"
# Replaces the root of the stack's artifacts, so that rows of two stacks can be compared.
_ROOT = "<artifacts>"

# MLflow encrypts the secrets of webhooks with a key that differs by stack, so another stack cannot use them; its
# promotion registers its own webhook again.
_TABLES = "schemaname = 'public' AND tablename NOT IN ('webhook_events', 'webhooks')"

# The digests match the rows in the dump: both read the same snapshot.
_DUMP = r"""
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot() AS snapshot \gset
\setenv SNAPSHOT :snapshot
\! pg_dump --format=custom --snapshot="$SNAPSHOT" --file="$DUMP" && touch "$DUMP.complete"
"""
# Digests each row, and then all rows of a table, in an order that depends only on their content.
_DIGESTS = rf"""
SELECT format(
  'SELECT %L, count(*), md5(coalesce(string_agg(d, '''' ORDER BY d), '''')) '
  'FROM (SELECT md5(replace(t::text, %L, ''{_ROOT}'')) AS d FROM public.%I t) rows',
  tablename, :'root', tablename)
FROM pg_tables WHERE {_TABLES} ORDER BY tablename \gexec
"""  # noqa: S608 built from constants
# Every text that begins with the root of the other stack's artifacts: locations of experiments, runs and versions.
_MOVE = r"""
SELECT format('UPDATE public.%I SET %I = %L || substr(%I, %s) WHERE starts_with(%I, %L)',
  c.table_name, c.column_name, :'new', c.column_name, length(:'old') + 1, c.column_name, :'old')
FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.data_type IN ('text', 'character varying')
ORDER BY 1 \gexec
SELECT format('DELETE FROM public.%I', tablename)
FROM pg_tables WHERE schemaname = 'public' AND tablename IN ('webhook_events', 'webhooks') ORDER BY 1 \gexec
"""
_VERSIONS = """
SELECT v.name, v.version, coalesce(l.artifact_location, v.storage_location, v.source),
  coalesce((SELECT string_agg(a.alias, ',' ORDER BY a.alias) FROM registered_model_aliases a
    WHERE a.name = v.name AND a.version = v.version), '')
FROM model_versions v LEFT JOIN logged_models l ON v.source = 'models:/' || l.model_id
ORDER BY 1, 2
"""

Rows = Mapping[str, "TableDigest"]


@dataclass(frozen=True)
class TableDigest:
    """How many rows a table has, and the digest of all of them."""

    count: int
    digest: str


@dataclass(frozen=True)
class Version:
    """A version of a registered model; `location` is the URI of its files."""

    model: str
    number: str
    location: str
    aliases: str


@dataclass(frozen=True)
class Database:
    """The database of a stack; libpq's variables in the target's environment say how to reach it.

    root  URI below which the stack has its artifacts
    name  name of the database on the server
    """

    target: Target
    root: str
    name: str = DATABASE

    def dump(self, file: Path) -> Rows:
        """Dump it into a file; returns the rows in the dump. Raises DeployError if the database cannot be read."""
        _require_program(self.target, "pg_dump")
        digests = self._ask_psql(_DUMP + _DIGESTS, root=self.root, DUMP=str(file))
        complete = file.with_name(file.name + ".complete")
        if not complete.exists():
            raise DeployError(f"The database of {self.target.name} was not dumped: pg_dump says why above.")
        complete.unlink()
        return _parse_digests(digests)

    def read_rows(self) -> Rows:
        return _parse_digests(self._ask_psql(_DIGESTS, root=self.root))

    def list_versions(self) -> list[Version]:
        """The versions in the model registry; empty if MLflow has not created its tables yet."""
        if not self._ask_psql("SELECT 1 FROM pg_tables WHERE schemaname = 'public' AND tablename = 'model_versions'"):
            return []
        lines = self._ask_psql(_VERSIONS).splitlines()
        return [Version(*line.split("\t")) for line in lines]

    def restore(self, file: Path) -> None:
        """Replace the tables with those of a dump, all or none. Raises DeployError with PostgreSQL's message."""
        options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
        self.target.call("pg_restore", *options, f"--dbname={self.name}", str(file), **self._connection())

    def move(self, old_root: str) -> None:
        """Point rows restored from another stack to this stack's artifacts, and delete that stack's webhooks."""
        self._ask_psql(f"BEGIN;{_MOVE}COMMIT;", old=old_root, new=self.root)

    def create_scratch(self, name: str) -> Database:
        """Create an empty database on the same server, for a test of a restore."""
        self.drop(name)
        self._ask_psql(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return Database(self.target, self.root, name)

    def drop(self, name: str) -> None:
        self._ask_psql(f'DROP DATABASE IF EXISTS "{name}"')

    def find_fault(self, password: str | None = None) -> str:
        """Why a login fails, with the cluster's password unless another one is passed; empty if it succeeds."""
        variables = self._connection()
        if password is not None:
            variables["PGPASSWORD"] = password
        answer = self.target.ask("psql", "--no-psqlrc", "--command=SELECT 1", **variables)
        return answer.reason if answer.code else ""

    def _ask_psql(self, script: str, **variables: str) -> str:
        """Run statements, in which `variables` can be used; lower-case ones are psql's, the others' environment."""
        own = [f"--set={name}={value}" for name, value in variables.items() if name.islower()]
        environment = {name: value for name, value in variables.items() if not name.islower()}
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"]
        options += ["--set=ON_ERROR_STOP=1", *own, "--file=-"]
        connection = self._connection()
        return self.target.call("psql", *options, text=script, **connection, **environment).strip("\n")

    def _connection(self) -> dict[str, str]:
        """libpq's variables. TLS is required unless the stack's environment says otherwise, such as for a tunnel."""
        username, password = read_login(self.target)
        return {
            "PGHOST": self.target.get_output("trackingDatabase"),
            "PGUSER": username,
            "PGPASSWORD": password,
            "PGDATABASE": self.name,
            "PGSSLMODE": self.target.environment.get("PGSSLMODE", "require"),
            "PGCONNECT_TIMEOUT": self.target.environment.get("PGCONNECT_TIMEOUT", "10"),
        }


def find_database(target: Target) -> Database:
    return Database(target, target.get_output("artifacts").rstrip("/"))


def read_login(target: Target) -> tuple[str, str]:
    """User and password, from the Secret that MLflow's pods use."""
    text = target.kubectl("get", "secret", _SECRET, "--namespace", NAMESPACE, "--output", "json")
    data = json.loads(text)["data"]
    return (_decode(data["username"]), _decode(data["password"]))


def list_differences(before: Rows, now: Rows) -> list[str]:
    """One line for each table that differs."""
    lines = []
    for table in sorted({*before, *now}):
        old, new = before.get(table), now.get(table)
        if old != new:
            lines.append(f"{table}: {_describe(old)} before, {_describe(new)} now")
    return lines


def _describe(table: TableDigest | None) -> str:
    return f"{table.count} rows ({table.digest[:8]})" if table else "no table"


def _require_program(target: Target, program: str) -> None:
    target.ask(program, "--version")


def _parse_digests(text: str) -> Rows:
    rows = {}
    for line in text.splitlines():
        table, count, digest = line.split("\t")
        rows[table] = TableDigest(int(count), digest)
    return rows


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()
