"""Replaces the exporter in MLflow's pods, which the environment of the rehearsal's MLflow lacks.

It has no metrics. Prometheus finds MLflow up as long as its health check passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import requests

from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.http_server import SilentHandler, serve_in_thread

_TIMEOUT = 5.0  # seconds


@contextmanager
def run_exporter(health_url: str) -> Iterator[int]:
    """Serve while the context lasts; its value is the port."""

    class Handler(SilentHandler):
        def do_GET(self) -> None:  # noqa: N802 the library's name
            try:
                status = requests.get(health_url, timeout=_TIMEOUT).status_code
            except requests.RequestException:
                status = 503
            self.respond(status, b"", [("Content-Type", "text/plain; version=0.0.4")])

    server = ThreadingHTTPServer((HOST, 0), Handler)
    with serve_in_thread(server):
        yield int(server.server_address[1])
