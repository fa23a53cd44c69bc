"""A real MLflow server with its database, its artifact folder and its webhooks.

It is the one worker that `mlflow server` would start, without that command's own process, and with a copy of a database
that is migrated once in a run. Not proven: MLflow with PostgreSQL and a cloud's object store; here both are files in a
folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet
from mlflow.server import constants

from support.network import free_port
from support.processes import PROCESSES, ForkedProcess, fork_program
from support.waiting import TIMEOUT, eventually

_ARTIFACT_ROOT = "mlflow-artifacts:/"  # the server is between its clients and the folder
_STOP_TIMEOUT = 10.0  # seconds


def prepare_database(folder: Path) -> Path:
    """An empty database with MLflow's tables, in a folder that a run's processes share; the first one creates it."""
    database, finished = folder / "mlflow.db", folder / "mlflow.db.finished"
    with (folder / "mlflow.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            process = PROCESSES.Process(target=_create_tables, args=(database,))
            process.start()
            process.join(TIMEOUT)
            assert process.exitcode == 0, "MLflow cannot create its tables"
            finished.touch()
    return database


def _create_tables(database: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"sqlite:///{database}", _ARTIFACT_ROOT)


@contextmanager
def serve_mlflow(folder: Path, database: Path) -> Iterator[str]:
    """Run an MLflow server whose state is in `folder`, at first a copy of `database`; yields its URI."""
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    log = folder / "server.log"
    shutil.copy(database, folder / "mlflow.db")
    arguments = ("mlflow.server.fastapi_app:app", "--host", "127.0.0.1", "--port", str(port))
    process = fork_program("uvicorn", *arguments, environment=_environment(folder), output=log)
    try:
        eventually(lambda: process.poll() is not None or _is_healthy(uri), "MLflow is healthy")
        assert process.poll() is None, f"the MLflow server ended:\n{log.read_text()[-2000:]}"
        yield uri
    finally:
        _stop(process)


def _is_healthy(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2):  # noqa: S310 (an address of this machine)
            return True
    except OSError:
        return False


def _environment(folder: Path) -> dict[str, str]:
    store = f"sqlite:///{folder / 'mlflow.db'}"
    return {
        **os.environ,
        constants.BACKEND_STORE_URI_ENV_VAR: store,
        constants.REGISTRY_STORE_URI_ENV_VAR: store,
        constants.ARTIFACT_ROOT_ENV_VAR: _ARTIFACT_ROOT,
        constants.ARTIFACTS_DESTINATION_ENV_VAR: str(folder / "artifacts"),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        # MLflow remembers for a minute that an event has no webhooks, from the test that caused one first.
        "MLFLOW_WEBHOOK_CACHE_TTL": "1",
        # A dozen processes for jobs of GenAI evaluations, which no test starts.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _stop(process: ForkedProcess) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
