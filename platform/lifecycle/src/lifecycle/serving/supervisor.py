"""The first process: fetches the model once, starts the workers, replaces those that die, passes SIGTERM on.

Workers are forked, so what the libraries take in memory they share; each loads the model itself, because numeric
libraries do not survive a fork once they have computed.
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

from lifecycle.serving import registry, worker
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.registry import ModelError
from lifecycle.serving.settings import Settings

EXIT_UNCLEAN = 1
EXIT_SETTINGS = 2
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_AGAIN = 3.0  # seconds until workers that were killed and are still there are killed again


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code.

    0 after a clean drain, 1 when a worker had to be killed for it, 2 when the address cannot be had, 3 when the
    model cannot be served; the reason is the log's last line.
    """
    try:
        listener = _bind(settings)
    except OSError as error:
        LOGGER.error(
            f"PORT {settings.port} of {settings.host} cannot be had: {error.strerror}. Free it, or set another."
        )
        return EXIT_SETTINGS
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        try:
            artifact = registry.fetch(settings, Path(folder))
        except ModelError as error:
            LOGGER.error(str(error))
            return worker.EXIT_MODEL
        about = {"model": artifact.name, "version": artifact.version, "workers": settings.workers}
        LOGGER.info(f"serving on port {settings.port}", extra=about)
        return _Supervisor(settings, lambda *pipes: worker.run(settings, artifact, listener, *pipes), listener).run()


@dataclass
class _Child:
    """A worker; `report` is where it writes that it is ready."""

    report: int

    def has_been_ready(self) -> bool:
        """To be asked once, when it is dead."""
        try:
            return os.read(self.report, 1) == worker.READY
        finally:
            os.close(self.report)


class _Supervisor:
    def __init__(self, settings: Settings, work: Callable[[int, int], int], listener: socket.socket) -> None:
        self._settings = settings
        self._work = work
        self._listener = listener
        self._children: dict[int, _Child] = {}
        self._lifeline, self._life = os.pipe()
        self._deadline: float | None = None
        self._code = 0

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # they are waited for, not handled
        gc.freeze()  # or the first collection in a worker would copy every page that it shares
        for _ in range(self._settings.workers):
            self._start()
        while self._children:
            received = signal.sigtimedwait(_SIGNALS, 0.2)
            if received is not None and received.si_signo != signal.SIGCHLD:
                LOGGER.info("draining", extra={"signal": signal.Signals(received.si_signo).name})
                self._drain(self._code)
            self._reap()
            self._enforce()
        LOGGER.info("stopped", extra={"exit_code": self._code})
        return self._code

    def _start(self) -> None:
        reader, writer = os.pipe()
        child = os.fork()
        if child:
            os.close(writer)
            self._children[child] = _Child(reader)
            return
        code = EXIT_UNCLEAN
        try:
            os.close(self._life)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            code = self._work(self._lifeline, writer)
        except Exception:
            LOGGER.exception("a worker failed")
        finally:
            os._exit(code)  # the supervisor's own cleaning up is not a worker's to do

    def _reap(self) -> None:
        while self._children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            mark_process_dead(child)  # type: ignore[no-untyped-call]
            self._bury(self._children.pop(child), child, os.waitstatus_to_exitcode(status))

    def _bury(self, child: _Child, process: int, code: int) -> None:
        ready = child.has_been_ready()
        if self._deadline is not None:
            return
        LOGGER.warning("a worker ended", extra={"worker": process, "exit_code": code})
        if ready:
            self._start()
        else:  # the next one would fare no better
            self._drain(worker.EXIT_MODEL)

    def _drain(self, code: int) -> None:
        if self._deadline is not None:
            return
        self._code = code
        self._deadline = time.monotonic() + self._settings.drain_timeout
        self._listener.close()
        for child in self._children:
            os.kill(child, signal.SIGTERM)

    def _enforce(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            LOGGER.error("workers did not end within DRAIN_TIMEOUT and are killed")
            self._code = self._code or EXIT_UNCLEAN
            for child in self._children:
                os.kill(child, signal.SIGKILL)
            self._deadline += _AGAIN


def _bind(settings: Settings) -> socket.socket:
    """A socket that has the address but does not listen yet. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    return listener
