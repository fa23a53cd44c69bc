"""Where the promotion's and the rollout's messages go: a stand-in for a Slack-compatible incoming webhook."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.http_server import serve_in_thread


class NotificationStub:
    """Takes messages, and remembers their texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    @contextmanager
    def run(self) -> Iterator[str]:
        """The webhook's address, for as long as the context lasts."""
        server = ThreadingHTTPServer((HOST, 0), _handler(self.texts))
        with serve_in_thread(server):
            yield f"http://{HOST}:{server.server_address[1]}/"

    def last(self) -> Sequence[str]:
        """The lines of the newest message."""
        return self.texts[-1].splitlines() if self.texts else ()


def _handler(texts: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            texts.append(str(json.loads(body)["text"]))
            self.send_response_only(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Messages are shown by who asks for them."""

    return Handler
