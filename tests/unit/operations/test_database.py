"""Dumps and restores of a real PostgreSQL database, compared row by row, and moved to another root of artifacts.

Proves that the digests match the rows of the dump, that they are equal after a restore and a move, and which message a
refused login causes. MLflow's own tables are in tests/soak/test_recovery.py; no test has a server with TLS.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.stack import Stack
from operations.database import Database, list_differences
from operations.target import Target
from tests.support import postgresql
from tests.support.postgresql import PostgresServer, run_server

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(bool(postgresql.find_obstacle()), reason=postgresql.find_obstacle() or "there is a server"),
]

ONE, TWO = "s3://one/mlflow", "s3://two/mlflow"
TABLES = (
    "CREATE TABLE runs (id int PRIMARY KEY, artifact_uri varchar(200), note text)",
    "INSERT INTO runs VALUES (1, 's3://one/mlflow/1/a', 'it''s'), (2, 's3://elsewhere/2', NULL)",
    "CREATE TABLE webhooks (id int)",
    "INSERT INTO webhooks VALUES (7)",
)


@dataclasses.dataclass(frozen=True)
class DatabaseTarget(Target):
    """A stack whose cluster and engine are constants."""

    def get_output(self, name: str) -> str:
        return f"{name}.example.com"

    def kubectl(self, *arguments: str, text: str | None = None) -> str:  # noqa: ARG002 the signature
        encoded = base64.b64encode(b"mlflow").decode()
        return json.dumps({"data": {"username": encoded, "password": encoded}})


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with (
        tempfile.TemporaryDirectory(prefix="gw-", ignore_cleanup_errors=True) as folder,
        run_server(Path(folder, "data")) as server,
    ):
        server.create_login("mlflow", "mlflow")
        yield server


@pytest.fixture
def database(server: PostgresServer) -> Database:
    stack = Stack("aws-dev", Path("Pulumi.aws-dev.yaml"), None, None, None)
    database = Database(DatabaseTarget(stack, {**os.environ, **server.access}, is_rehearsed=True), ONE)
    scratch = database.create_scratch("tracking")
    scratch._ask_psql(";\n".join(TABLES) + ";")
    return scratch


def test_a_dump_restores_its_rows_regardless_of_later_writes(database: Database, tmp_path: Path) -> None:
    rows = database.dump(tmp_path / "dump")
    assert (rows["runs"].count, "webhooks" in rows) == (2, False)
    database._ask_psql("UPDATE runs SET note = 'other'; DELETE FROM runs WHERE id = 2;")
    assert list_differences(rows, database.read_rows())[0].startswith("runs: 2 rows")
    database.restore(tmp_path / "dump")
    assert list_differences(rows, database.read_rows()) == []


def test_a_moved_database_has_the_same_rows_and_other_artifact_locations(database: Database, tmp_path: Path) -> None:
    rows = database.dump(tmp_path / "dump")
    moved = dataclasses.replace(database, root=TWO)
    moved.move(ONE)
    assert list_differences(rows, moved.read_rows()) == []
    assert moved._ask_psql("SELECT artifact_uri FROM runs ORDER BY id").split() == [f"{TWO}/1/a", "s3://elsewhere/2"]
    assert moved._ask_psql("SELECT count(*) FROM webhooks") == "0"


def test_an_invalid_dump_changes_nothing(database: Database, tmp_path: Path) -> None:
    rows = database.read_rows()
    (tmp_path / "dump").write_text("not a dump")
    with pytest.raises(DeployError, match="pg_restore"):
        database.restore(tmp_path / "dump")
    assert list_differences(rows, database.read_rows()) == []


def test_a_rejected_login_is_reported(database: Database) -> None:
    assert database.find_fault() == ""
    assert "password authentication failed" in database.find_fault(password="another")
