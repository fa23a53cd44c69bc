"""One process that serves: an event loop for HTTP, a thread for predictions, one for the inference log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator

import uvicorn
import uvloop

from lifecycle.serving import model as models
from lifecycle.serving import tracing
from lifecycle.serving.api import Api, Service
from lifecycle.serving.batching import Batcher
from lifecycle.serving.inference_log import InferenceLog
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.metrics import Metrics
from lifecycle.serving.model import Model
from lifecycle.serving.observed import Observed
from lifecycle.serving.registry import Artifact, ModelError
from lifecycle.serving.settings import Settings, load_hook

EXIT_MODEL = 3
EXIT_STUCK = 4
READY = b"r"
_LAST_WORDS = 2.0  # seconds, at most, for the inference log and the traces to send what is left
_END = 1.0  # second that is left of DRAIN_TIMEOUT for the process to end before the supervisor kills it


def run(settings: Settings, artifact: Artifact, listener: socket.socket, lifeline: int, report: int) -> int:
    """Load the model and serve it until SIGTERM. Returns the process' exit code.

    listener  bound, not yet listening: until a worker is ready, connections are refused
    lifeline  a pipe whose other end the supervisor holds; at its end of file the supervisor is gone, and so goes this
    report    a pipe into which READY is written when requests are taken
    """
    try:
        model = models.load(artifact, settings.max_batch_size)
    except ModelError as error:
        LOGGER.error(str(error))
        return EXIT_MODEL
    worker = _Worker(settings, artifact, model)
    uvloop.run(worker.serve(listener, lifeline, report))
    return EXIT_STUCK if worker.stuck else 0


class _Server(uvicorn.Server):
    """Uvicorn without its own signals, that tells when it listens."""

    def __init__(self, config: uvicorn.Config, on_listening: asyncio.Event) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening.set()


class _Worker:
    def __init__(self, settings: Settings, artifact: Artifact, model: Model) -> None:
        self._settings = settings
        self._metrics = Metrics(artifact)
        self._model = model
        self._listening = asyncio.Event()
        self.stuck = False

    async def serve(self, listener: socket.socket, lifeline: int, report: int) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        traces = tracing.provider(settings, self._model)
        log = None
        if settings.inference_log_sink and settings.feature_inference_log:
            log = InferenceLog(self._model, settings, self._metrics)
        batcher = Batcher(self._model, settings, self._metrics, self._give_up)
        self._service = Service(self._model, settings, batcher, log)
        tracer = traces.get_tracer("lifecycle.serving") if traces else None
        hook = load_hook(settings.error_hook) if settings.error_hook else None
        app = Observed(Api(self._service).router(), self._metrics, tracer, hook)
        self._server = _Server(self._configuration(app), self._listening)
        loop.add_signal_handler(signal.SIGTERM, self._drain)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to all; the supervisor passes it on
        loop.add_reader(lifeline, self._drain)
        announcement = asyncio.ensure_future(self._announce(report))
        await self._server.serve([listener])
        await announcement
        self._metrics.ready(False)
        batcher.close()
        deadline = time.monotonic() + _LAST_WORDS
        if log is not None:
            log.close(_LAST_WORDS)
        if traces is not None:
            traces.force_flush(max(0, round((deadline - time.monotonic()) * 1000)))

    async def _announce(self, report: int) -> None:
        await self._listening.wait()
        self._metrics.ready(True)
        os.write(report, READY)

    def _configuration(self, app: Observed) -> uvicorn.Config:
        settings = self._settings
        return uvicorn.Config(
            app,
            http="httptools",
            loop="uvloop",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, int(settings.drain_timeout - settings.drain_delay - _LAST_WORDS - _END)),
        )

    def _drain(self) -> None:
        """Say no to new traffic; serve what still comes for a while; then finish what is in flight, and end."""
        if self._service.not_ready:
            return
        self._service.not_ready = "draining: this server is about to stop"
        self._metrics.ready(False)
        asyncio.get_running_loop().call_later(self._settings.drain_delay, self._stop)

    def _stop(self) -> None:
        self._server.should_exit = True

    def _give_up(self) -> None:
        """The predict thread hangs, and nothing can stop a thread: another process must take over."""
        LOGGER.error("a predict call has not come back after twice INFERENCE_TIMEOUT: this worker is replaced")
        self.stuck = True
        self._service.batcher.abandon()
        self._service.not_ready = "the model hangs; this worker is being replaced"
        self._stop()
