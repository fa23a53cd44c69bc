"""A stub of the Slack-compatible incoming webhook that receives the notifications of the promotion and the rollout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.http_server import serve_in_thread


class NotificationStub:
    """Receives notifications and stores their texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    @contextmanager
    def run(self) -> Iterator[str]:
        """Serve while the context lasts; its value is the webhook's URL."""
        server = ThreadingHTTPServer((HOST, 0), _build_handler(self.texts))
        with serve_in_thread(server):
            yield f"http://{HOST}:{server.server_address[1]}/"

    def latest_lines(self) -> Sequence[str]:
        """The lines of the latest notification."""
        return self.texts[-1].splitlines() if self.texts else ()


def _build_handler(texts: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            texts.append(str(json.loads(body)["text"]))
            self.send_response_only(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Keep requests out of the rehearsal's output."""

    return Handler
