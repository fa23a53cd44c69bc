"""Processes forked from one that has imported the libraries, since imports take longer than most tests of a process.

A program started in this way differs from `python -m` in one point: libraries have read this process's environment when
they were imported. The imported libraries read at most the number of threads from it, and nothing of lifecycle is
imported before. The interpreter itself starts the server of the fixture `server` in tests/serving, and the programs of
tests that use `subprocess`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# The server that forks. Before Python 3.13 it does not get this process's sys.path.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "mlflow.sklearn",
        "mlflow.store.model_registry.rest_store",
        "httpx",
        "pydantic_settings",
        "skops.io",
        "sklearn.ensemble",
        "sklearn.metrics",
        "sqlalchemy",
        "starlette.routing",
        "uvicorn",
        "uvloop",
    ]
)


class ForkedProcess:
    """A running program, with the methods of `subprocess.Popen` that the tests call."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it may end between both calls
            if self.poll() is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork_program(module: str, *arguments: str, environment: Mapping[str, str], output: Path) -> ForkedProcess:
    """Start `python -m <module>`; its output is appended to the file `output`."""
    process = PROCESSES.Process(
        target=_run, args=(module, arguments, dict(environment), output), name=module, daemon=True
    )
    process.start()
    return ForkedProcess(process)


def _run(module: str, arguments: Sequence[str], environment: Mapping[str, str], output: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # is chosen by the environment again
    with output.open("ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
