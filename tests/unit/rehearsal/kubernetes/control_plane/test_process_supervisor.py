"""The guard: no process outlives the rehearsal, in whatever way the rehearsal ends.

Real processes and real signals; `sleep` stands for the control plane's programs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rehearsal.kubernetes.control_plane.process_supervisor import run_supervisor
from rehearsal.toolchain import ROOT
from tests.support.waiting import TIMEOUT, eventually

pytestmark = pytest.mark.process

_PARENT = """
import sys, time
from pathlib import Path
from rehearsal.kubernetes.control_plane.process_supervisor import run_supervisor
with run_supervisor() as guard:
    guard.start("one", ["sh", "-c", "echo $PPID $$ > {file}.new; mv {file}.new {file}; exec sleep 600"], Path("{log}"))
    print("started", flush=True)
    time.sleep(600)
"""


@contextmanager
def _parent(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """A process that holds a guard; gives it, the guard's process ID, and that of what the guard keeps."""
    file = tmp_path / "pids"
    script = _PARENT.format(file=file, log=tmp_path / "log")
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, text=True, start_new_session=True) as process:
        eventually(file.exists)
        guard, kept = map(int, file.read_text().split())
        try:
            yield process, guard, kept
        finally:
            process.kill()


def _gone(process: int) -> bool:
    """Ended: no such process, or one that only waits to be noticed by whoever inherited it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda ending: ending.name)
def test_nothing_is_left_whatever_signal_ends_the_parent(tmp_path: Path, ending: signal.Signals) -> None:
    with _parent(tmp_path) as (parent, guard, kept):
        parent.send_signal(ending)
        parent.wait(TIMEOUT)
        eventually(lambda: _gone(kept) and _gone(guard))


def test_ctrl_c_in_the_terminal_does_not_reach_what_the_guard_keeps(tmp_path: Path) -> None:
    with _parent(tmp_path) as (parent, guard, _):
        assert os.getsid(guard) != os.getsid(parent.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_nothing_is_left_when_the_guard_itself_is_killed(tmp_path: Path) -> None:
    with _parent(tmp_path) as (_, guard, kept):
        os.kill(guard, signal.SIGKILL)
        eventually(lambda: _gone(kept))


def test_a_process_that_ends_by_itself_is_reported_with_its_code(tmp_path: Path) -> None:
    with run_supervisor() as guard:
        guard.start("short", ["sh", "-c", "echo said; exit 3"], tmp_path / "log")
        eventually(lambda: guard.exit_code("short") is not None)
        assert guard.exit_codes() == {"short": 3}
    assert (tmp_path / "log").read_text() == "said\n"


def test_a_program_that_is_not_there_is_reported_too(tmp_path: Path) -> None:
    with run_supervisor() as guard:
        guard.start("absent", ["/nonexistent/program"], tmp_path / "log")
        eventually(lambda: guard.exit_code("absent") == 127)
    assert "No such file" in (tmp_path / "log").read_text()


def test_what_is_stopped_gently_may_finish_first(tmp_path: Path) -> None:
    script = f"trap 'echo tidied > {tmp_path}/done; exit 0' TERM; echo up > {tmp_path}/up; sleep 600 & wait"
    with run_supervisor() as guard:
        guard.start("tidy", ["sh", "-c", script], tmp_path / "log", graceful=True)
        eventually((tmp_path / "up").exists)
        guard.stop("tidy")
        assert guard.exit_code("tidy") == 0
    assert (tmp_path / "done").read_text() == "tidied\n"
