"""A real MLflow server with its database, its artifact folder and its webhooks.

Not proven: MLflow with PostgreSQL and a cloud's object store; here both are files in a folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

from support.network import free_port
from support.waiting import eventually


@contextmanager
def serve_mlflow(folder: Path) -> Iterator[str]:
    """Run an MLflow server whose state is in `folder`; yields its URI. Its workers are stopped with it."""
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    log = folder / "server.log"
    with (
        log.open("ab") as output,
        subprocess.Popen(
            _command(folder, port), env=_environment(folder), stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
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


def _command(folder: Path, port: int) -> list[str]:
    database, artifacts = f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", database, "--artifacts-destination", artifacts),
    ]


def _environment(folder: Path) -> dict[str, str]:
    key = folder / "webhook.key"
    if not key.exists():
        key.write_bytes(Fernet.generate_key())
    return {
        **os.environ,
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": key.read_text(),
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        # MLflow remembers for a minute that an event has no webhooks, from whichever test caused one first.
        "MLFLOW_WEBHOOK_CACHE_TTL": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # A dozen processes for jobs of GenAI evaluations, which no test starts.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server and its workers: they share a session, whose leader is the process."""
    for signal_number in (15, 9):
        try:
            os.killpg(process.pid, signal_number)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
