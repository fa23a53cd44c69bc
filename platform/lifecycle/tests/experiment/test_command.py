"""The processes as a pod runs them: router, writer, and the output of the command line.

Real: both processes, the spool between them, and SQLite as the store. Simulated: champion and challenger.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from lifecycle.experiment.__main__ import main
from lifecycle.experiment.spool import Spool
from lifecycle.experiment.sqlite_store import SqliteStore
from support.experiment import EXPERIMENT, FILE, INFER, KEY, SPOOL_BYTES, Services
from support.network import free_port, serve_http
from support.waiting import TIMEOUT, eventually

SOURCE = Path(__file__).resolve().parents[2] / "src"


@contextmanager
def start(command: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [sys.executable, "-m", "lifecycle.experiment", command]
    with subprocess.Popen(arguments, env={**os.environ, **environment, "PYTHONPATH": str(SOURCE)}) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    (tmp_path / "experiments.yaml").write_text(FILE)
    with serve_http(Services().respond) as url:
        yield {
            "EXPERIMENT_FILE": str(tmp_path / "experiments.yaml"),
            "EXPERIMENT_FOLDER": str(tmp_path / "spool"),
            "EXPERIMENT_STORE": f"sqlite:///{tmp_path / 'experiments.db'}",
            "EXPERIMENT_SERVICE_URL": f"{url}/{{service}}",
            "EXPERIMENT_PORT": str(free_port()),
            "USER_ID_KEY": KEY,
        }


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.process
def test_every_answered_request_is_in_the_store_though_the_writer_is_killed_and_the_router_ends(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SqliteStore(str(tmp_path / "experiments.db"))
    with start("serve", environment) as router, httpx.Client(timeout=TIMEOUT) as client:
        client.base_url = httpx.URL(f"http://127.0.0.1:{environment['EXPERIMENT_PORT']}")
        eventually(lambda: is_ready(client), "the router is ready")
        request_ids = []
        with start("write", environment) as writer:
            for user in range(20):
                response = client.post(INFER, content=b"{}", headers={"x-user-id": f"user-{user}"})
                request_ids.append(response.headers["x-request-id"])
            eventually(lambda: len(list(store.read_results(EXPERIMENT))) == 20, "the writer has written")
            writer.kill()
        for user in range(20, 30):  # while no writer runs
            response = client.post(INFER, content=b"{}", headers={"x-user-id": f"user-{user}"})
            request_ids.append(response.headers["x-request-id"])
        outcomes = [
            {"experiment": EXPERIMENT, "request_id": request_id, "name": "converted", "value": 1}
            for request_id in [*request_ids, "unknown"]
        ]
        assert client.post("/ab-test/outcomes", json=outcomes).status_code == 202
        router.send_signal(signal.SIGTERM)
        assert router.wait(TIMEOUT) == 0
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["write", "--once"]) == 0
    assert main(["results", EXPERIMENT]) == 0
    printed = capsys.readouterr().out
    counts = [int(line.split()[1]) for line in printed.splitlines()[:2]]
    assert sum(counts) == 30
    assert all(counts)
    assert f"challenger: {counts[1]} predictions, {counts[1]} with outcomes" in printed
    assert "0 repeated predictions, 0 repeated, 0 late, 1 unmatched and 0 invalid outcomes" in printed
    store.close()


@pytest.mark.process
def test_a_router_that_is_killed_has_what_it_acknowledged_in_the_spool(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with start("serve", environment) as router, httpx.Client(timeout=TIMEOUT) as client:
        client.base_url = httpx.URL(f"http://127.0.0.1:{environment['EXPERIMENT_PORT']}")
        eventually(lambda: is_ready(client), "the router is ready")
        outcome = {"experiment": EXPERIMENT, "request_id": "r1", "name": "converted", "value": 1}
        assert client.post("/ab-test/outcomes", json=outcome).status_code == 202
        router.kill()
        router.wait(TIMEOUT)
    spool = Spool(tmp_path / "spool", SPOOL_BYTES)
    assert [entry.record.kind for entry in spool.read(10)] == ["outcome"]
    spool.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"USER_ID_KEY": None}, "USER_ID_KEY is not set and has no default: set it"),
        ({"USER_ID_KEY": "short"}, "USER_ID_KEY is set: value should have at least 16"),
        ({"EXPERIMENT_FILE": None}, "EXPERIMENT_FILE is not set"),
        ({"EXPERIMENT_FILE": "/missing/e.yaml"}, "/missing/e.yaml cannot be read: No such file or directory; create"),
        ({"EXPERIMENT_SERVICE_URL": "http://x"}, "EXPERIMENT_SERVICE_URL is 'http://x': string should match"),
        ({"EXPERIMENT_SERVICE_URL": "http://{service}.{ns}"}, "only {service} may be in braces; change it"),
        ({"EXPERIMENT_SERVICE_URL": "http://{service}:http"}, "must be the URL of a server: Port could not be cast"),
        ({"EXPERIMENT_FOLDER": "/dev/null/spool"}, "the spool /dev/null/spool/spool.db cannot be used"),
    ],
)
def test_a_router_that_cannot_start_reports_the_reason(
    environment: dict[str, str],
    change: dict[str, str | None],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {**environment, **change}.items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert main(["serve"]) == 1
    printed = capsys.readouterr().err
    assert any(line.startswith("error: ") for line in printed.splitlines())  # among lines of the log
    assert message in printed
    assert "Traceback" not in printed
    assert "short" not in printed


def test_a_writer_without_a_store_reports_it(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**environment, "EXPERIMENT_STORE": "mongodb://host/db"}.items():
        monkeypatch.setenv(name, value)
    assert main(["write", "--once"]) == 1
    assert "EXPERIMENT_STORE is 'mongodb://host/db', which is not a store" in capsys.readouterr().err
