"""A stub of a receiver of notifications: it answers any webhook, and records which alerts arrived when."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.http_server import SilentHandler, serve_in_thread


@dataclass(frozen=True)
class Delivery:
    """One notification.

    at    seconds since 1970
    path  of the receiver's address that it was sent to
    text  its body
    """

    at: float
    path: str
    text: str


class AlertReceiver:
    """Receives notifications under any path, such as `/slack`."""

    def __init__(self) -> None:
        self._deliveries: list[Delivery] = []
        self._lock = threading.Lock()

    @contextmanager
    def run(self) -> Iterator[str]:
        """Serve while the context lasts; its value is the address, without a path."""
        server = ThreadingHTTPServer((HOST, 0), _build_handler(self._add))
        with serve_in_thread(server):
            yield f"http://{HOST}:{server.server_address[1]}"

    def find(self, *words: str) -> Sequence[Delivery]:
        """The notifications whose text contains all of these words, in the order of their arrival."""
        with self._lock:
            return [each for each in self._deliveries if all(word in each.text for word in words)]

    def _add(self, path: str, text: str) -> None:
        with self._lock:
            self._deliveries.append(Delivery(time.time(), path, text))


def _build_handler(add: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(SilentHandler):
        def do_POST(self) -> None:  # noqa: N802 the library's name
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            add(self.path, json.dumps(json.loads(body), ensure_ascii=False))
            self.respond(200, b"ok")

    return Handler
