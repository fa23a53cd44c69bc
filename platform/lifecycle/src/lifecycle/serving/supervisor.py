"""The first process: downloads the model once, starts the workers, replaces those that die, and forwards SIGTERM.

Worker deaths and their lost requests are counted. The first time, the successor starts at once, later after a delay
that doubles with each death, so that a model that ends its process does not exhaust the machine.

Workers are forked, so they share the memory of the libraries. Each loads the model itself, because numeric libraries
do not survive a fork after their first computation.
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

from lifecycle.core.backoff import choose_delay
from lifecycle.serving import logs, metrics, model_source, worker
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.model_source import ModelError
from lifecycle.serving.settings import ServingSettings

EXIT_UNCLEAN = 1
EXIT_SETTINGS = 2
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_CHECK_INTERVAL = 0.2  # seconds between two checks of deadlines and due starts
_RESTART_DELAY = 0.5  # seconds before the second start in succession; doubled with each death
_MAX_RESTART_DELAY = 30.0  # seconds; by then a kubelet restarts an unresponsive pod, see platform/gitops/base
# Seconds without a death after which the next one counts as the first again; as in a kubelet:
# https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
_STABLE_AFTER = 600.0
_HUNG = "hung"  # the cause of the death of a worker that ended itself because its model did not return
_KILL_INTERVAL = 3.0  # seconds after which workers that were killed and still exist are killed again


def run(settings: ServingSettings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code.

    0 after a clean drain, 1 if a worker had to be killed, 2 if the address is not available, 3 if the model cannot be
    served; the reason is the last line of the log.
    """
    try:
        listener = _bind(settings)
    except OSError as error:
        LOGGER.error(
            f"PORT {settings.port} of {settings.host} is not available: {error.strerror}. Free it, or set another port."
        )
        return EXIT_SETTINGS
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        try:
            downloaded = model_source.download(settings, Path(folder))
        except ModelError as error:
            LOGGER.error(str(error))
            return worker.EXIT_MODEL
        version = downloaded.model_version
        logs.add_fields(version=version.version)
        fields = {"model": version.model, "version": version.version, "workers": settings.workers}
        LOGGER.info(f"serving on port {settings.port}", extra=fields)
        counts = metrics.WorkerMetrics(version)

        def run_worker(number: int, lifeline: int, ready_pipe: int) -> int:
            metrics.count_as(number)
            return worker.run(settings, downloaded, listener, lifeline, ready_pipe)

        return _Supervisor(settings, run_worker, listener, counts).run()


@dataclass
class _Worker:
    """A worker process; it writes to the other end of `ready_pipe` when it is ready.

    number  from 0; a worker that died and its successor have the same one
    """

    number: int
    ready_pipe: int

    def was_ready(self) -> bool:
        """Call once, after the process has ended."""
        try:
            return os.read(self.ready_pipe, 1) == worker.READY
        finally:
            os.close(self.ready_pipe)


class _Supervisor:
    def __init__(
        self,
        settings: ServingSettings,
        run_worker: Callable[[int, int, int], int],
        listener: socket.socket,
        counts: metrics.WorkerMetrics,
    ) -> None:
        self._settings = settings
        self._run_worker = run_worker
        self._listener = listener
        self._counts = counts
        self._workers: dict[int, _Worker] = {}
        self._due: dict[int, float] = {}  # when the worker of a number starts
        self._restarts = _Restarts()
        self._lost = 0
        self._lifeline_reader, self._lifeline_writer = os.pipe()
        self._deadline: float | None = None
        self._exit_code = 0

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # sigtimedwait receives them
        gc.freeze()  # otherwise the first collection in a worker would copy every shared page
        for number in range(self._settings.workers):
            self._start(number)
        while self._workers or self._due:
            received = signal.sigtimedwait(_SIGNALS, _CHECK_INTERVAL)
            if received is not None and received.si_signo != signal.SIGCHLD:
                LOGGER.info("draining", extra={"signal": signal.Signals(received.si_signo).name})
                self._drain(self._exit_code)
            self._reap()
            self._start_due()
            self._enforce_deadline()
        LOGGER.info("stopped", extra={"exit_code": self._exit_code, "lost_requests": self._lost})
        return self._exit_code

    def _start_due(self) -> None:
        for number in [number for number, due in self._due.items() if due <= time.monotonic()]:
            del self._due[number]
            self._start(number)

    def _start(self, number: int) -> None:
        reader, writer = os.pipe()
        process = os.fork()
        if process:
            os.close(writer)
            self._workers[process] = _Worker(number, reader)
            return
        code = EXIT_UNCLEAN
        try:
            os.close(self._lifeline_writer)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            code = self._run_worker(number, self._lifeline_reader, writer)
        except Exception:
            LOGGER.exception("a worker failed")
        finally:
            os._exit(code)  # without the supervisor's cleanup

    def _reap(self) -> None:
        while self._workers:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            self._handle_exit(self._workers.pop(process), os.waitstatus_to_exitcode(status))

    def _handle_exit(self, ended: _Worker, code: int) -> None:
        was_ready = ended.was_ready()
        lost = self._counts.record_end(ended.number)
        self._lost += lost
        if self._deadline is not None:
            return
        cause = _name_cause(code)
        self._counts.record_death(cause)
        if not was_ready:  # the next one would fail in the same way
            LOGGER.error("a worker ended before it was ready", extra={"worker": ended.number, "cause": cause})
            self._drain(worker.EXIT_MODEL)
            return
        delay = self._restarts.next_delay(time.monotonic())
        self._due[ended.number] = time.monotonic() + delay
        fields = {"worker": ended.number, "cause": cause, "lost_requests": lost, "restart_in_s": round(delay, 1)}
        LOGGER.error("a worker died", extra=fields)

    def _drain(self, code: int) -> None:
        if self._deadline is not None:
            return
        self._exit_code = code
        self._deadline = time.monotonic() + self._settings.drain_timeout
        self._due.clear()
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


class _Restarts:
    """The delays before workers are started again."""

    def __init__(self) -> None:
        self._deaths = 0
        self._last = 0.0

    def next_delay(self, now: float) -> float:
        """Seconds from a death at `now` to the start of the successor."""
        self._deaths = 1 if now - self._last > _STABLE_AFTER else self._deaths + 1
        self._last = now
        return 0.0 if self._deaths == 1 else choose_delay(_RESTART_DELAY, self._deaths - 2, _MAX_RESTART_DELAY)


def _name_cause(code: int) -> str:
    if code >= 0:
        return _HUNG if code == worker.EXIT_STUCK else f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal
        return f"signal {-code}"


def _bind(settings: ServingSettings) -> socket.socket:
    """A socket with the address, which does not listen yet. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    return listener
