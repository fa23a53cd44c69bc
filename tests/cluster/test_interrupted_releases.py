"""Helm releases whose operation is killed, cancelled, or does not finish.

Proves that what was killed is locked as the real Helm locks it, that what the message says to do unlocks it, and that a
cancelled operation ends in good order. Helm and the API server are real, the charts are made for the test.
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
from rehearsal.helm.releases import resources as under_test
from rehearsal.helm.releases.resources import PartialReleaseError, Releases
from rehearsal.kubernetes.client import ApiUnreachableError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane, run_control_plane
from rehearsal.simulator.core.errors import CloudError
from tests.support.release_charts import SETTINGS, TOO_LARGE, WEB, changed, level
from tests.support.waiting import TIMEOUT, eventually

_ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.fixture(autouse=True)
def _helm() -> None:
    if not cli.is_available():
        pytest.skip("no Helm on this machine, and none could be built")


class Background:
    """An operation that is under way in a thread, and how it ended."""

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

    def ended(self) -> str:
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
        return str(self._failure)


def until_pending(releases: Releases, inputs: dict[str, Any]) -> None:
    eventually(lambda: "pending-" in str((releases.read(inputs) or {}).get("status")))


def kill(program: str, mentioned: str) -> None:
    """As `kill -9` does: nobody gets to write down that an operation failed."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            command = path.read_text()
            if Path(command.split("\0")[0]).name == program and mentioned in command:
                os.kill(int(path.parent.name), signal.SIGKILL)


def follow(remedy: str, plane: ControlPlane) -> None:
    """Do what a message says, where it says."""
    command = remedy.rpartition("(`make shell`): ")[2].split()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)})


@_ON_LINUX
def test_an_install_that_was_killed_locks_the_release_until_it_is_removed(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(WEB, atomic=True)
    stuck = changed(inputs, cpu=TOO_LARGE)
    killed = Background(lambda: releases.install(stuck, None))
    until_pending(releases, stuck)
    kill("helm", namespace)
    assert "signal 9" in killed.ended()
    with pytest.raises(
        CloudError, match=r"cannot re-use a name that is still in use.*locked \(pending-install\)"
    ) as locked:
        releases.install(inputs, None)
    with pytest.raises(CloudError, match=r"another operation \(install/upgrade/rollback\) is in progress"):
        releases.upgrade(inputs, stuck, None)
    follow(str(locked.value), plane)
    assert releases.install(inputs, None)["status"]["status"] == "deployed"


@_ON_LINUX
def test_an_upgrade_that_was_killed_locks_the_release_until_it_is_rolled_back(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, WEB)
    releases.install(inputs, None)
    stuck = changed(inputs, level="2", cpu=TOO_LARGE)
    killed = Background(lambda: releases.upgrade(stuck, inputs, None))
    until_pending(releases, stuck)
    kill("helm", namespace)
    killed.ended()
    again = changed(inputs, level="3")
    with pytest.raises(CloudError, match=r"is in progress.*locked \(pending-upgrade\).* rollback \S+ 1 ") as locked:
        releases.upgrade(again, inputs, None)
    assert not isinstance(locked.value, PartialReleaseError)  # it made no revision that there would be to remember
    follow(str(locked.value), plane)
    assert level(plane, namespace) == "1"
    assert releases.upgrade(again, inputs, None)["status"]["status"] == "deployed"


def test_an_operation_that_is_cancelled_fails_in_good_order_and_locks_nothing(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(WEB)
    stuck = changed(inputs, cpu=TOO_LARGE)
    cancelled = Background(lambda: releases.install(stuck, None))
    until_pending(releases, stuck)
    releases.cancel()
    assert "context canceled" in cancelled.ended()
    seen = releases.read(stuck)
    assert seen is not None
    assert seen["status"]["status"] == "failed"
    assert releases.upgrade(inputs, stuck, None)["status"]["status"] == "deployed"


def test_a_helm_that_finds_no_end_is_stopped(
    releases: Releases, chart: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_WAITS", 0.1)
    inputs = chart(WEB)
    with pytest.raises(PartialReleaseError, match="Helm did not finish in time") as refused:
        releases.install(changed(inputs, cpu=TOO_LARGE), None)
    assert refused.value.outputs["status"]["status"] == "failed"


@_ON_LINUX
def test_an_api_server_that_is_killed_ends_the_wait(
    plane: ControlPlane, chart: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    del plane  # that it is there says that programs are
    inputs = changed(chart(WEB, namespace="default"), cpu=TOO_LARGE)
    with run_control_plane(tmp_path / "dying", tmp_path / "egress.sock") as dying:
        releases = Releases(dying)
        waiting = Background(lambda: releases.install(inputs, None))
        until_pending(releases, inputs)
        kill("kube-apiserver", str(tmp_path))
        assert waiting.ended() == "the control plane went down while Helm was at work"
