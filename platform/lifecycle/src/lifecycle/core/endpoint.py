"""The HTTP endpoint of a process that serves nothing else.

The kubelet uses GET /health and /ready, which are the same here; Prometheus uses GET /metrics.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from lifecycle.core.http_server import HttpLimits, create_protocol
from lifecycle.core.metrics_page import render_metrics
from lifecycle.core.settings import EndpointSettings

_MAX_SILENCE = 300.0  # seconds; the longest iteration waits for the timeouts of git and MLflow, one after the other
_LIMITS = HttpLimits(connections=64, seconds=10)  # enough for a kubelet and one or two Prometheus servers


class Heartbeat:
    """Tells whether a process's main loop is still running: the loop calls `beat` in each iteration."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        self._last = self._clock()

    def has_stopped(self) -> bool:
        return self._clock() - self._last > _MAX_SILENCE


@contextmanager
def serve_endpoint(settings: EndpointSettings, heartbeat: Heartbeat) -> Iterator[None]:
    """Serve while the context lasts, if the settings have a port. Raises OSError if the port is in use."""
    if settings.port is None:
        yield
        return
    config = uvicorn.Config(
        Router(create_routes(heartbeat), redirect_slashes=False),
        http=create_protocol(_LIMITS, lambda *_: None),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.create_server((settings.host, settings.port), family=family) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


def create_routes(heartbeat: Heartbeat) -> list[Route]:
    """The routes, for servers that also have others."""

    async def report_health(_: Request) -> Response:
        if heartbeat.has_stopped():
            return PlainTextResponse("the main loop has stopped\n", 503)
        return PlainTextResponse("healthy\n")

    async def report_metrics(request: Request) -> Response:
        return render_metrics(request)

    return [Route("/health", report_health), Route("/ready", report_health), Route("/metrics", report_metrics)]
