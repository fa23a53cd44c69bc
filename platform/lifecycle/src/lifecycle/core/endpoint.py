"""The HTTP endpoint of a process that serves nothing else.

GET /health and /ready, which are the same here, are for the kubelet, GET /metrics for Prometheus.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from lifecycle.core.settings import EndpointSettings

_MAX_SILENCE = 300.0  # seconds; the longest turn waits for git's and MLflow's timeouts, one after the other
_CHECK_INTERVAL = 0.2  # seconds until the server notices that it shall stop


class Heartbeat:
    """Whether a process's main loop still turns: it calls `beat` in each turn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        self._last = self._clock()

    def has_stopped(self) -> bool:
        return self._clock() - self._last > _MAX_SILENCE


@contextmanager
def serve_endpoint(settings: EndpointSettings, heartbeat: Heartbeat) -> Iterator[None]:
    """Serve while the context lasts; nothing where the settings have no port."""
    if settings.port is None:
        yield
        return

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._respond(200, CONTENT_TYPE_LATEST, generate_latest())
            elif self.path not in ("/health", "/ready"):
                self._respond(404, "text/plain", b"this process serves /health, /ready and /metrics\n")
            elif heartbeat.has_stopped():
                self._respond(503, "text/plain", b"the main loop does not turn any more\n")
            else:
                self._respond(200, "text/plain", b"healthy\n")

        def _respond(self, status: int, content_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Probes every few seconds are not worth a line each."""

    with ThreadingHTTPServer((settings.host, settings.port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(_CHECK_INTERVAL,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
