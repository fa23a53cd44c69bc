"""Helm releases whose operation is killed, cancelled, or does not finish.

Proves that a killed operation locks the release, that the remedy in the message unlocks it, and that a cancelled
operation fails without a lock. Helm and the API server are real; the charts are small.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rehearsal.helm import cli
from rehearsal.helm.releases import resources
from rehearsal.helm.releases.resources import PartialReleaseError, Releases
from rehearsal.kubernetes.client import ApiUnreachableError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane, run_control_plane
from rehearsal.simulator.core.errors import CloudError
from tests.support.processes import list_processes
from tests.support.release_charts import SETTINGS, TOO_LARGE, WEB, change_values, read_level
from tests.support.waiting import TIMEOUT, eventually

_ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.fixture(autouse=True)
def _require_helm() -> None:
    if not cli.is_available():
        pytest.skip("no Helm on this machine, and none could be built")


class Background:
    """Runs an operation in a thread."""

    def __init__(self, operation: Callable[[], object]) -> None:
        self._failure: Exception | None = None
        self._operation = operation
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._operation()
        except (CloudError, ApiUnreachableError) as failure:
            self._failure = failure

    def wait_for_error(self) -> str:
        """Wait for the end of the operation; returns the message of its error."""
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
        return str(self._failure)


def wait_until_pending(releases: Releases, inputs: dict[str, Any]) -> None:
    eventually(lambda: "pending-" in str((releases.read(inputs) or {}).get("status")))


def kill_process(program: str, argument: str) -> None:
    """Send SIGKILL to a process, so that it cannot record the failure of its operation.

    Kills only processes of `program` whose command line contains `argument`.
    """
    for process, command in list_processes():
        if Path(command[0]).name == program and argument in "\0".join(command):
            with contextlib.suppress(ProcessLookupError):  # it has ended in the meantime
                os.kill(process, signal.SIGKILL)


def run_remedy(message: str, plane: ControlPlane) -> None:
    """Run the command that a message names as the remedy."""
    command = message.rpartition("(`make shell`): ")[2].split()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)})


@_ON_LINUX
def test_a_killed_install_locks_the_release_until_it_is_uninstalled(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(WEB, atomic=True)
    stuck = change_values(inputs, cpu=TOO_LARGE)
    killed = Background(lambda: releases.install(stuck, None))
    wait_until_pending(releases, stuck)
    kill_process("helm", namespace)
    assert "signal 9" in killed.wait_for_error()
    with pytest.raises(
        CloudError, match=r"cannot re-use a name that is still in use.*locked \(pending-install\)"
    ) as locked:
        releases.install(inputs, None)
    with pytest.raises(CloudError, match=r"another operation \(install/upgrade/rollback\) is in progress"):
        releases.upgrade(inputs, stuck, None)
    run_remedy(str(locked.value), plane)
    assert releases.install(inputs, None)["status"]["status"] == "deployed"


@_ON_LINUX
def test_a_killed_upgrade_locks_the_release_until_it_is_rolled_back(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, WEB)
    releases.install(inputs, None)
    stuck = change_values(inputs, level="2", cpu=TOO_LARGE)
    killed = Background(lambda: releases.upgrade(stuck, inputs, None))
    wait_until_pending(releases, stuck)
    kill_process("helm", namespace)
    killed.wait_for_error()
    retry = change_values(inputs, level="3")
    with pytest.raises(CloudError, match=r"is in progress.*locked \(pending-upgrade\).* rollback \S+ 1 ") as locked:
        releases.upgrade(retry, inputs, None)
    assert not isinstance(locked.value, PartialReleaseError)  # no revision was created
    run_remedy(str(locked.value), plane)
    assert read_level(plane, namespace) == "1"
    assert releases.upgrade(retry, inputs, None)["status"]["status"] == "deployed"


def test_a_cancelled_operation_fails_and_does_not_lock_the_release(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(WEB)
    stuck = change_values(inputs, cpu=TOO_LARGE)
    cancelled = Background(lambda: releases.install(stuck, None))
    wait_until_pending(releases, stuck)
    releases.cancel()
    assert "context canceled" in cancelled.wait_for_error()
    current = releases.read(stuck)
    assert current is not None
    assert current["status"]["status"] == "failed"
    assert releases.upgrade(inputs, stuck, None)["status"]["status"] == "deployed"


def test_helm_is_stopped_when_it_does_not_finish_in_time(
    releases: Releases, chart: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_MAX_WAITS", 0.1)
    inputs = chart(WEB)
    with pytest.raises(PartialReleaseError, match="Helm did not finish in time") as failure:
        releases.install(change_values(inputs, cpu=TOO_LARGE), None)
    assert failure.value.outputs["status"]["status"] == "failed"


@_ON_LINUX
def test_the_wait_ends_when_the_api_server_is_killed(
    plane: ControlPlane, chart: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    del plane  # requested only to skip the test if its programs are missing
    inputs = change_values(chart(WEB, namespace="default"), cpu=TOO_LARGE)
    with run_control_plane(tmp_path / "doomed", tmp_path / "egress.sock") as doomed:
        releases = Releases(doomed)
        waiting = Background(lambda: releases.install(inputs, None))
        wait_until_pending(releases, inputs)
        kill_process("kube-apiserver", str(tmp_path))
        assert waiting.wait_for_error() == "the control plane went down while Helm was running"
