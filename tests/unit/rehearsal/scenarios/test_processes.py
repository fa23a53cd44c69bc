"""Waiting for the processes of the model lifecycle: until they are ready, exit, fail, or take too long.

Proves this with a supervisor that only reports exit codes, and a server in a thread. Real processes run in
tests/cluster and in the scenario itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from rehearsal.console import UserError
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane
from rehearsal.kubernetes.http_server import serve_in_thread
from rehearsal.scenarios import processes, waiting
from rehearsal.scenarios.processes import LifecycleProcesses

_UNUSED_URL = f"http://{HOST}:9/"  # the discard port, on which nothing listens


@dataclasses.dataclass
class FakeSupervisor:
    codes: Mapping[str, int]

    def exit_code(self, name: str) -> int | None:
        return self.codes.get(name)


@dataclasses.dataclass
class FakePlane:
    supervisor: FakeSupervisor
    folder: Path


@pytest.fixture
def lifecycle(tmp_path: Path) -> LifecycleProcesses:
    """Two processes have exited, `worker` with success and `training` with a failure; all others are running."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "training.log").write_text("epoch 1\nout of memory\n")
    plane = FakePlane(FakeSupervisor({"worker": 0, "training": 3}), tmp_path)
    return LifecycleProcesses(cast("ControlPlane", plane), tmp_path, {})


@pytest.fixture
def url() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 503)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Keep requests out of the tests' output."""

    server = HTTPServer((HOST, 0), Handler)
    with serve_in_thread(server):
        yield f"http://{HOST}:{server.server_address[1]}"


def test_a_process_is_ready_when_it_answers_with_success(lifecycle: LifecycleProcesses, url: str) -> None:
    lifecycle.wait_until_ready("receiver", f"{url}/health")


@pytest.mark.parametrize("path", ["/starting", ""])
def test_a_process_that_does_not_become_ready_is_an_error(
    lifecycle: LifecycleProcesses, url: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "TIMEOUT", 0.3)
    with pytest.raises(
        UserError, match=r"^receiver has not answered after .* s\. The end of its log .*/logs/receiver\.log:"
    ):
        lifecycle.wait_until_ready("receiver", f"{url}{path}" if path else _UNUSED_URL)


def test_a_process_that_exits_instead_of_answering_is_an_error_at_once(lifecycle: LifecycleProcesses) -> None:
    with pytest.raises(UserError, match="training exited"):
        lifecycle.wait_until_ready("training", _UNUSED_URL)


def test_a_process_has_finished_when_it_exits(lifecycle: LifecycleProcesses) -> None:
    lifecycle.wait_until_finished("worker", timeout=5)


def test_the_error_of_a_failed_process_contains_the_end_of_its_log(lifecycle: LifecycleProcesses) -> None:
    with pytest.raises(UserError, match=r"training failed with exit code 3\. (.|\n)*out of memory"):
        lifecycle.wait_until_finished("training", timeout=5)


def test_a_process_that_runs_too_long_is_an_error(lifecycle: LifecycleProcesses) -> None:
    with pytest.raises(UserError, match=r"rollout has not finished after 0\.2 s"):
        lifecycle.wait_until_finished("rollout", timeout=0.2)


def test_a_step_that_does_not_happen_is_an_error_that_describes_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TIMEOUT", 0.2)
    with pytest.raises(UserError, match=r"^Argo CD has not synced after 0\.2 s\. out of sync: nothing$"):
        waiting.wait_for_step(lambda: False, "Argo CD has not synced", lambda: "out of sync: nothing")
