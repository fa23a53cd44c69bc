"""A real MLflow server, configured with the hosts that the platform allows.

MLflow compares the Host header exactly, including the port. Proves that the installed MLflow accepts clients in the
cluster and Prometheus, and rejects others; the chart's image may contain an earlier 3.x.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cluster.mlflow import ALLOWED_HOSTS
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real tracking server with the platform's setting and a SQLite store."""
    folder: Path = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--default-artifact-root", str(folder)),
        *("--allowed-hosts", ",".join(ALLOWED_HOSTS)),
    ]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }  # eight processes that these tests do not use
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)
        address = f"http://127.0.0.1:{port}"
        try:

            def is_healthy() -> bool:
                if process.poll() is not None:
                    raise RuntimeError((folder / "log").read_text())
                assert request_status(address, "anyone", "/health") == 200, (folder / "log").read_text()
                return True

            eventually(is_healthy)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def request_status(address: str, host: str, path: str = "/api/2.0/mlflow/experiments/search?max_results=1") -> int:
    """Send a request with this Host header; returns the response's status, or 0 if there is no response."""
    request = urllib.request.Request(f"{address}{path}", headers={"Host": host})  # noqa: S310 http on this machine
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError):
        return 0


@pytest.mark.parametrize(
    "host",
    [
        "mlflow.mlflow.svc.cluster.local",
        "mlflow.mlflow.svc.cluster.local:80",
        "mlflow.mlflow.svc",
        "mlflow.mlflow",
        "mlflow",
        "10.244.3.7:5000",
        "10.20.16.9:5000",
        "172.20.4.4:5000",
        "192.168.0.9:5000",
    ],
)
def test_hosts_of_clients_in_the_cluster_and_of_prometheus_are_accepted(server: str, host: str) -> None:
    assert request_status(server, host) == 200


@pytest.mark.parametrize("host", ["mlflow.example.com", "evil.example", "10.evil.example", "8.8.8.8:5000", "mlflow:81"])
def test_other_hosts_are_rejected(server: str, host: str) -> None:
    assert request_status(server, host) == 403
