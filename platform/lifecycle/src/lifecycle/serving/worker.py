"""A worker process: an event loop for HTTP, a thread for predictions, and one for the inference log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn
import uvloop

from lifecycle.core import tracing
from lifecycle.core.error_tracking import start_error_tracking
from lifecycle.core.http_server import HttpLimits, create_protocol
from lifecycle.serving import model as models
from lifecycle.serving.api import Api, Service
from lifecycle.serving.batching import Batcher
from lifecycle.serving.inference_log import InferenceLog
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.metrics import Metrics
from lifecycle.serving.middleware import RequestMiddleware, TracingMiddleware
from lifecycle.serving.model import Model
from lifecycle.serving.model_source import DownloadedModel, ModelError
from lifecycle.serving.settings import ServingSettings, load_hook

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

EXIT_MODEL = 3
EXIT_STUCK = 4
READY = b"r"
_FLUSH_TIMEOUT = 2.0  # seconds for the inference log and the traces to send queued events
# Limits bodies of requests in progress, in memory; bodies below 64 KiB are limited by the number of connections.
_MAX_BODIES_BYTES = 32 << 20
_MIN_LARGE_BODIES = 4  # regardless of MAX_BODY_BYTES
_EXIT_MARGIN = 1.0  # seconds of DRAIN_TIMEOUT for the process to exit before the supervisor kills it


def run(
    settings: ServingSettings, downloaded: DownloadedModel, listener: socket.socket, lifeline: int, ready_pipe: int
) -> int:
    """Load the model and serve it until SIGTERM. Returns the process's exit code.

    listener    bound, not yet listening: until a worker is ready, connections are refused
    lifeline    a pipe whose other end the supervisor holds; at its end of file, when the supervisor has died, the
                worker ends too
    ready_pipe  a pipe into which READY is written when requests are accepted
    """
    try:
        model = models.load(downloaded, settings.max_batch_size)
    except ModelError as error:
        LOGGER.error(str(error))
        return EXIT_MODEL
    worker = _Worker(settings, model)
    uvloop.run(worker.serve(listener, lifeline, ready_pipe))
    return EXIT_STUCK if worker.is_stuck else 0


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers, with an event for when it listens."""

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
    def __init__(self, settings: ServingSettings, model: Model) -> None:
        self._settings = settings
        self._metrics = Metrics(model.model_version)
        self._model = model
        self._listening = asyncio.Event()
        self.is_stuck = False

    async def serve(self, listener: socket.socket, lifeline: int, ready_pipe: int) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        finish_reports = self._start_error_tracking()
        traces = self._start_tracing()
        log = None
        if settings.inference_log_sink and settings.feature_inference_log:
            log = InferenceLog(self._model, settings, self._metrics)
        batcher = Batcher(self._model, settings, self._metrics, self._handle_stuck)
        self._service = Service(self._model, settings, batcher, log)
        hook = load_hook(settings.error_hook) if settings.error_hook else None
        middleware = TracingMiddleware if traces else RequestMiddleware
        user_key = settings.user_id_key.get_secret_value().encode()
        app = middleware(Api(self._service).router(), self._metrics, hook, user_key)
        self._server = _Server(self._create_config(app), self._listening)
        loop.add_signal_handler(signal.SIGTERM, self._drain)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the supervisor forwards it
        loop.add_reader(lifeline, self._drain)
        announcement = asyncio.ensure_future(self._report_ready(ready_pipe))
        await self._server.serve([listener])
        await announcement
        self._metrics.set_ready(False)
        batcher.close()
        deadline = time.monotonic() + _FLUSH_TIMEOUT
        if log is not None:
            log.close(_FLUSH_TIMEOUT)
        if traces is not None:
            traces.force_flush(max(0, round((deadline - time.monotonic()) * 1000)))
        finish_reports()

    def _start_tracing(self) -> TracerProvider | None:
        if not self._settings.feature_tracing:
            return None
        version = self._model.model_version
        attributes = {"groundwork.model": version.model, "groundwork.model_version": version.version}
        return tracing.start(version.model, attributes)

    def _start_error_tracking(self) -> Callable[[], None]:
        """Called in each worker, since the thread that sends does not survive a fork."""
        version = self._model.model_version
        tags = {"service": "serving", "model": version.model, "version": version.version}
        return start_error_tracking(self._settings.error_tracking, **tags)

    async def _report_ready(self, ready_pipe: int) -> None:
        await self._listening.wait()
        self._metrics.set_ready(True)
        os.write(ready_pipe, READY)

    def _create_config(self, app: RequestMiddleware) -> uvicorn.Config:
        settings = self._settings
        large_bodies = max(_MIN_LARGE_BODIES, _MAX_BODIES_BYTES // settings.max_body_bytes)
        limits = HttpLimits(settings.max_connections, settings.read_timeout, large_bodies)
        return uvicorn.Config(
            app,
            http=create_protocol(limits, self._metrics.record_refusal),
            loop="uvloop",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(
                1, int(settings.drain_timeout - settings.drain_delay - _FLUSH_TIMEOUT - _EXIT_MARGIN)
            ),
        )

    def _drain(self) -> None:
        """Become not ready, serve requests that still arrive for a while, then finish those in flight and end."""
        if self._service.unready_reason:
            return
        self._service.unready_reason = "draining: this server is about to stop"
        self._metrics.set_ready(False)
        asyncio.get_running_loop().call_later(self._settings.drain_delay, self._stop)

    def _stop(self) -> None:
        self._server.should_exit = True

    def _handle_stuck(self) -> None:
        """The predict thread hangs, and a thread cannot be stopped, so the process must be replaced."""
        LOGGER.error("a predict call has not returned after twice INFERENCE_TIMEOUT: this worker is replaced")
        self.is_stuck = True
        self._service.batcher.reject_all()
        self._service.unready_reason = "the model hangs; this worker is being replaced"
        self._stop()
