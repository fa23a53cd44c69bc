"""The process supervisor: no process outlives the rehearsal, even if it is killed.

Uses real processes and signals; `sleep` replaces the control plane's programs.
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
with run_supervisor() as supervisor:
    script = "echo $PPID $$ > {file}.new; mv {file}.new {file}; exec sleep 600"
    supervisor.start("one", ["sh", "-c", script], Path("{log}"))
    print("started", flush=True)
    time.sleep(600)
"""


@contextmanager
def _parent(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """Run a supervisor in a process; yields the process, the supervisor's process ID, and a supervised process's ID."""
    file = tmp_path / "pids"
    script = _PARENT.format(file=file, log=tmp_path / "log")
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, text=True, start_new_session=True) as process:
        eventually(file.exists)
        supervisor, supervised = map(int, file.read_text().split())
        try:
            yield process, supervisor, supervised
        finally:
            process.kill()


def _has_ended(process: int) -> bool:
    """Whether a process has ended: it does not exist, or is a zombie that its new parent has not reaped yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:  # it may also end between opening and reading
        return True


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda ending: ending.name)
def test_no_process_is_left_after_any_signal_to_the_parent(tmp_path: Path, ending: signal.Signals) -> None:
    with _parent(tmp_path) as (parent, supervisor, supervised):
        parent.send_signal(ending)
        parent.wait(TIMEOUT)
        eventually(lambda: _has_ended(supervised) and _has_ended(supervisor))


def test_ctrl_c_in_the_terminal_does_not_reach_the_supervisor(tmp_path: Path) -> None:
    with _parent(tmp_path) as (parent, supervisor, _):
        assert os.getsid(supervisor) != os.getsid(parent.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_no_process_is_left_when_the_supervisor_itself_is_killed(tmp_path: Path) -> None:
    with _parent(tmp_path) as (_, supervisor, supervised):
        os.kill(supervisor, signal.SIGKILL)
        eventually(lambda: _has_ended(supervised))


def test_a_process_that_ends_is_reported_with_its_exit_code(tmp_path: Path) -> None:
    with run_supervisor() as supervisor:
        supervisor.start("short", ["sh", "-c", "echo output; exit 3"], tmp_path / "log")
        eventually(lambda: supervisor.exit_code("short") is not None)
        assert supervisor.exit_codes() == {"short": 3}
    assert (tmp_path / "log").read_text() == "output\n"


def test_a_missing_program_is_reported_with_code_127(tmp_path: Path) -> None:
    with run_supervisor() as supervisor:
        supervisor.start("absent", ["/nonexistent/program"], tmp_path / "log")
        eventually(lambda: supervisor.exit_code("absent") == 127)
    assert "No such file" in (tmp_path / "log").read_text()


def test_a_graceful_stop_lets_the_process_finish(tmp_path: Path) -> None:
    script = f"trap 'echo tidied > {tmp_path}/done; exit 0' TERM; echo up > {tmp_path}/up; sleep 600 & wait"
    with run_supervisor() as supervisor:
        supervisor.start("tidy", ["sh", "-c", script], tmp_path / "log", graceful=True)
        eventually((tmp_path / "up").exists)
        supervisor.stop("tidy")
        assert supervisor.exit_code("tidy") == 0
    assert (tmp_path / "done").read_text() == "tidied\n"
