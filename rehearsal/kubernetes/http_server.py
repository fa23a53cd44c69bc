"""HTTP servers that run in a thread of this process, and what their handlers share."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

_SHUTDOWN_POLL_INTERVAL = 0.1  # seconds within which a server notices a request to shut down


@contextmanager
def serve_in_thread(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve requests while the context lasts; on exit the server's address is free again."""
    with server:
        threading.Thread(target=server.serve_forever, args=(_SHUTDOWN_POLL_INTERVAL,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


class SilentHandler(BaseHTTPRequestHandler):
    """Handles HTTP/1.1 without a log."""

    protocol_version = "HTTP/1.1"

    def respond(self, status: int, content: bytes, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep requests out of the rehearsal's output."""


class ConnectHandler(SilentHandler):
    """Handles one CONNECT request, and the connection that it opens; each server has its own `open_tunnel`."""

    def do_CONNECT(self) -> None:
        self.close_connection = True
        self.open_tunnel()

    def open_tunnel(self) -> None:
        raise NotImplementedError

    def accept_tunnel(self) -> None:
        self.send_response_only(200, "Connection established")
        self.end_headers()

    def refuse_tunnel(self, status: int, reason: str) -> None:
        self.send_response_only(status, reason)
        self.send_header("Content-Length", "0")
        self.end_headers()
