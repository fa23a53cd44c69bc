"""A real MLflow server with its database, its artifact folder and its webhooks, for tests that share or stop one.

What it does not prove: MLflow on PostgreSQL and on a cloud's object store; here both are files in a folder.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

PATIENCE = 90.0  # seconds until a server that does not answer counts as dead; it takes 5 on an idle machine


@contextmanager
def serving_mlflow(folder: Path, port: int = 0) -> Iterator[str]:
    """Run an MLflow server whose state is `folder`; stopped always, and whole with its workers.

    Started again on the same folder and port it has its memory back, which is how tests let the registry go down.
    """
    port = port or _free_port()
    uri = f"http://127.0.0.1:{port}"
    log = folder / "server.log"
    with (
        log.open("ab") as output,
        subprocess.Popen(
            _command(folder, port), env=_environment(folder), stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            _await(f"{uri}/health", process, log)
            yield uri
        finally:
            _stop(process)


def _command(folder: Path, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *(
            "--backend-store-uri",
            f"sqlite:///{folder / 'mlflow.db'}",
            "--artifacts-destination",
            str(folder / "artifacts"),
        ),
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
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # A dozen processes for the jobs of GenAI evaluations, which nobody here starts.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 (an address of this machine)
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"The MLflow server did not come up; its log ends with:\n{log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers: they share a session, whose leader is the process."""
    for kill in (15, 9):
        try:
            os.killpg(process.pid, kill)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
