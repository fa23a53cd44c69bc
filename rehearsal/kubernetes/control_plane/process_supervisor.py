"""Keeps the control plane's processes, and sees to it that none outlives the rehearsal.

The processes belong to a guard, a small process of its own, which listens to the rehearsal through a pipe. When the
pipe closes, because the rehearsal ended in whatever way, `kill -9` among them, the guard ends every process, the last
started first, and then itself. On Linux the kernel ends them too should the guard itself be killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).resolve().parents[3]
_GRACE = 5  # seconds that a process gets to end by itself
_PDEATHSIG = 1  # PR_SET_PDEATHSIG, https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html


class Guard:
    """The rehearsal's side: starts and stops processes by name."""

    def __init__(self, pipe: IO[str], reports: IO[str]) -> None:
        self._pipe = pipe
        self._sending = threading.Lock()
        self._exits: dict[str, int] = {}
        threading.Thread(target=self._listen, args=(reports,), daemon=True).start()

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Guard]:
        """A guard for as long as the context lasts; on return every process has ended."""
        command = [sys.executable, "-m", "rehearsal.kubernetes.control_plane.process_supervisor"]
        with subprocess.Popen(
            command,
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in a terminal goes to the whole group: the guard must not be in it
        ) as process:
            assert process.stdin is not None  # noqa: S101 asked for above
            assert process.stdout is not None  # noqa: S101
            try:
                yield cls(process.stdin, process.stdout)
            finally:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
                process.wait()

    def start(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        *,
        gently: bool = False,
    ) -> None:
        """Start a process; what it says goes to the file `log`.

        `gently` lets it end by itself when it is stopped; one that keeps nothing needs no such time.
        """
        self._exits.pop(name, None)
        self._send(
            {
                "start": name,
                "command": list(command),
                "log": str(log),
                "environment": dict(environment or {}),
                "gently": gently,
            }
        )

    def stop(self, name: str) -> None:
        """End a process, and wait until it has."""
        self._send({"stop": name})
        patience = time.monotonic() + _GRACE + 2
        while name not in self._exits and time.monotonic() < patience:
            time.sleep(0.02)

    def exit_code(self, name: str) -> int | None:
        """The code with which a process ended, negative for a signal; None while it runs."""
        return self._exits.get(name)

    def ended(self) -> Mapping[str, int]:
        """The processes that have ended, and their codes."""
        return dict(self._exits)

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._sending:
            self._pipe.write(json.dumps(message) + "\n")
            self._pipe.flush()

    def _listen(self, reports: IO[str]) -> None:
        for line in reports:
            report = json.loads(line)
            self._exits[report["name"]] = report["code"]


class _Keeper:
    """The guard's side; it runs no threads, so that what is done between fork and exec is safe."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._gently: set[str] = set()

    def run(self) -> None:
        os.set_blocking(sys.stdin.fileno(), False)
        waiting, rest = True, b""
        while waiting:
            try:
                read = os.read(sys.stdin.fileno(), 65536)
            except BlockingIOError:
                self._report()
                time.sleep(0.02)
                continue
            waiting = bool(read)
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                self._obey(json.loads(line))
        for name in reversed(list(self._processes)):
            self._stop(name)

    def _obey(self, message: Mapping[str, Any]) -> None:
        if "stop" in message:
            self._stop(message["stop"])
            self._report()
            return
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
                _tell(name, 127)
        if message["gently"]:
            self._gently.add(name)

    def _stop(self, name: str) -> None:
        process = self._processes.get(name)
        if process is None or process.poll() is not None:
            return
        if name in self._gently:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
        process.kill()
        process.wait()

    def _report(self) -> None:
        for name, process in list(self._processes.items()):
            if process.poll() is not None:
                del self._processes[name]
                _tell(name, process.returncode)


def _tell(name: str, code: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the rehearsal is gone: the pipe will say so too
        print(json.dumps({"name": name, "code": code}), flush=True)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The pipe decides. Not SIG_IGN, which those started here would inherit.
        signal.signal(number, lambda *_: None)
    _Keeper().run()
