"""Starts the control plane's processes and ends all of them when the rehearsal ends, even if it is killed.

The processes are children of a supervisor process, which receives commands from the rehearsal through a pipe. When the
pipe closes, for example because the rehearsal was killed, the supervisor ends every process, the last started first,
and exits. On Linux, if the supervisor itself is killed, the kernel kills them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).resolve().parents[3]
_POLL_INTERVAL = 0.02  # seconds between two checks for processes that have ended
_GRACE_PERIOD = 5  # seconds between SIGTERM and SIGKILL
_STOP_TIMEOUT = _GRACE_PERIOD + 2  # seconds for the supervisor to report the exit of a process that it was to stop
_PDEATHSIG = 1  # PR_SET_PDEATHSIG, https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html


class ProcessSupervisor:
    """Client of the supervisor process: starts and stops processes by name. Safe to share between threads."""

    def __init__(self, commands: IO[str], reports: IO[str]) -> None:
        self._commands = commands
        self._sending = threading.Lock()
        self._exit_codes: dict[str, int] = {}
        self._exited = threading.Condition()
        threading.Thread(target=self._receive, args=(reports,), daemon=True).start()

    def start(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        *,
        graceful: bool = False,
    ) -> None:
        """Start a process whose output is appended to the file `log`.

        To stop a `graceful` process, it is sent SIGTERM and has five seconds to exit. Any other is sent SIGKILL at
        once, which is faster for processes that have nothing to save. A command that cannot be started counts as ended
        with code 127.
        """
        with self._exited:
            self._exit_codes.pop(name, None)
        self._send(
            {
                "start": name,
                "command": list(command),
                "log": str(log),
                "environment": dict(environment or {}),
                "graceful": graceful,
            }
        )

    def stop(self, name: str) -> None:
        """Stop a process and wait until it has ended."""
        self._send({"stop": name})
        with self._exited:
            self._exited.wait_for(lambda: name in self._exit_codes, _STOP_TIMEOUT)

    def exit_code(self, name: str) -> int | None:
        """The exit code of a process that has ended, negative for a signal; None while it runs."""
        with self._exited:
            return self._exit_codes.get(name)

    def exit_codes(self) -> Mapping[str, int]:
        """The exit codes of all processes that have ended, keyed by name."""
        with self._exited:
            return dict(self._exit_codes)

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._sending:
            self._commands.write(json.dumps(message) + "\n")
            self._commands.flush()

    def _receive(self, reports: IO[str]) -> None:
        for line in reports:
            report = json.loads(line)
            with self._exited:
                self._exit_codes[report["name"]] = report["code"]
                self._exited.notify_all()


@contextmanager
def run_supervisor() -> Iterator[ProcessSupervisor]:
    """Run a supervisor process while the context lasts; on exit every process that it started has ended."""
    command = [sys.executable, "-m", "rehearsal.kubernetes.control_plane.process_supervisor"]
    with subprocess.Popen(
        command,
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C in a terminal is sent to the whole process group, which must not include this
    ) as process:
        assert process.stdin is not None  # noqa: S101 because of PIPE
        assert process.stdout is not None  # noqa: S101
        try:
            yield ProcessSupervisor(process.stdin, process.stdout)
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()


class _Server:
    """The supervisor process. It runs no threads, so a preexec_fn is safe."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._graceful: set[str] = set()

    def run(self) -> None:
        """Execute commands until the pipe closes, then stop every process."""
        commands, pending = sys.stdin.fileno(), b""
        while True:
            if select.select([commands], [], [], _POLL_INTERVAL)[0]:
                chunk = os.read(commands, 65536)
                if not chunk:
                    break
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    self._execute(json.loads(line))
            self._report_exits()
        for name in reversed(list(self._processes)):
            self._stop(name)

    def _execute(self, message: Mapping[str, Any]) -> None:
        if "stop" in message:
            self._stop(message["stop"])
        else:
            self._start(message)

    def _start(self, message: Mapping[str, Any]) -> None:
        name = message["start"]
        with open(message["log"], "ab") as log:
            try:
                self._processes[name] = subprocess.Popen(
                    message["command"],
                    env={**os.environ, **message["environment"]},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    preexec_fn=_die_with_parent,
                )
            except OSError as error:
                log.write(f"{error}\n".encode())
                _report_exit(name, 127)
        if message["graceful"]:
            self._graceful.add(name)

    def _stop(self, name: str) -> None:
        process = self._processes.get(name)
        if process is None or process.poll() is not None:
            return
        if name in self._graceful:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_PERIOD)
        process.kill()
        process.wait()

    def _report_exits(self) -> None:
        for name, process in list(self._processes.items()):
            if process.poll() is not None:
                del self._processes[name]
                _report_exit(name, process.returncode)


def _report_exit(name: str, code: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the rehearsal is gone, and its other pipe is about to close
        print(json.dumps({"name": name, "code": code}), flush=True)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Only the pipe ends the supervisor. Not SIG_IGN, which the processes started here would inherit.
        signal.signal(number, lambda *_: None)
    _Server().run()
