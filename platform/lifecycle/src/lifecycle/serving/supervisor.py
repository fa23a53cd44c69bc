"""The first process: downloads the model once, starts the workers, replaces those that die, and forwards SIGTERM.

Workers are forked, so they share the memory of the libraries. Each loads the model itself, because numeric libraries
do not survive a fork once they have computed.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from lifecycle.serving import model_source, worker
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.model_source import ModelError
from lifecycle.serving.settings import ServingSettings

EXIT_UNCLEAN = 1
EXIT_SETTINGS = 2
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_KILL_INTERVAL = 3.0  # seconds after which workers that were killed and still exist are killed again


def run(settings: ServingSettings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code.

    0 after a clean drain, 1 when a worker had to be killed, 2 when the address is not available, 3 when the model
    cannot be served; the reason is the log's last line.
    """
    try:
        listener = _bind(settings)
    except OSError as error:
        LOGGER.error(
            f"PORT {settings.port} of {settings.host} is not available: {error.strerror}. Free it, or set another."
        )
        return EXIT_SETTINGS
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        try:
            downloaded = model_source.download(settings, Path(folder))
        except ModelError as error:
            LOGGER.error(str(error))
            return worker.EXIT_MODEL
        version = downloaded.model_version
        fields = {"model": version.model, "version": version.version, "workers": settings.workers}
        LOGGER.info(f"serving on port {settings.port}", extra=fields)
        return _Supervisor(settings, lambda *pipes: worker.run(settings, downloaded, listener, *pipes), listener).run()


@dataclass
class _Worker:
    """A worker process; it writes to the other end of `ready_pipe` when it is ready."""

    ready_pipe: int

    def was_ready(self) -> bool:
        """Call once, after the process has ended."""
        try:
            return os.read(self.ready_pipe, 1) == worker.READY
        finally:
            os.close(self.ready_pipe)


class _Supervisor:
    def __init__(
        self, settings: ServingSettings, run_worker: Callable[[int, int], int], listener: socket.socket
    ) -> None:
        self._settings = settings
        self._run_worker = run_worker
        self._listener = listener
        self._workers: dict[int, _Worker] = {}
        self._lifeline_reader, self._lifeline_writer = os.pipe()
        self._deadline: float | None = None
        self._exit_code = 0

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # sigtimedwait receives them
        gc.freeze()  # else the first collection in a worker would copy every shared page
        for _ in range(self._settings.workers):
            self._start()
        while self._workers:
            received = signal.sigtimedwait(_SIGNALS, 0.2)
            if received is not None and received.si_signo != signal.SIGCHLD:
                LOGGER.info("draining", extra={"signal": signal.Signals(received.si_signo).name})
                self._drain(self._exit_code)
            self._reap()
            self._enforce_deadline()
        LOGGER.info("stopped", extra={"exit_code": self._exit_code})
        return self._exit_code

    def _start(self) -> None:
        reader, writer = os.pipe()
        process = os.fork()
        if process:
            os.close(writer)
            self._workers[process] = _Worker(reader)
            return
        code = EXIT_UNCLEAN
        try:
            os.close(self._lifeline_writer)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            code = self._run_worker(self._lifeline_reader, writer)
        except Exception:
            LOGGER.exception("a worker failed")
        finally:
            os._exit(code)  # without the cleanup that is the supervisor's

    def _reap(self) -> None:
        while self._workers:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            mark_process_dead(process)  # type: ignore[no-untyped-call]
            self._handle_exit(self._workers.pop(process), process, os.waitstatus_to_exitcode(status))

    def _handle_exit(self, ended: _Worker, process: int, code: int) -> None:
        was_ready = ended.was_ready()
        if self._deadline is not None:
            return
        LOGGER.warning("a worker ended", extra={"worker": process, "exit_code": code})
        if was_ready:
            self._start()
        else:  # the next one would fail in the same way
            self._drain(worker.EXIT_MODEL)

    def _drain(self, code: int) -> None:
        if self._deadline is not None:
            return
        self._exit_code = code
        self._deadline = time.monotonic() + self._settings.drain_timeout
        self._listener.close()
        for process in self._workers:
            os.kill(process, signal.SIGTERM)

    def _enforce_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            LOGGER.error("workers did not end within DRAIN_TIMEOUT and are killed")
            self._exit_code = self._exit_code or EXIT_UNCLEAN
            for process in self._workers:
                os.kill(process, signal.SIGKILL)
            self._deadline += _KILL_INTERVAL


def _bind(settings: ServingSettings) -> socket.socket:
    """A socket with the address, which does not listen yet. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    return listener
