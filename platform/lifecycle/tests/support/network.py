"""Ports, HTTP servers and a TCP proxy on this machine."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

UNUSED_URL = "http://127.0.0.1:9"  # nothing listens there


@dataclass(frozen=True)
class HttpRequest:
    """A request as a server received it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class HttpResponse:
    """A response; `content` is bytes, or sent as JSON."""

    status: int = 200
    content: Any = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()


@contextmanager
def serve_http(respond: Callable[[HttpRequest], HttpResponse], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve HTTP(S) on a free port while the context is open; yields the URL, without a slash at its end."""

    class Handler(BaseHTTPRequestHandler):
        # Connections with TLS are kept: a handshake takes longer than a request.
        protocol_version = "HTTP/1.1" if tls else "HTTP/1.0"

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            response = respond(HttpRequest(self.command, self.path, headers, body))
            with suppress(BrokenPipeError):
                self.send_response(response.status)
                self.send_header("Content-Type", response.content_type)
                self.send_header("Content-Length", str(len(response.body)))
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(response.body)

        do_GET = do_POST = do_PUT = handle_request  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class JsonReceiver:
    """An HTTP server that records the JSON it receives, and responds with `status`."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Any] = []
        self.status = 200

    @contextmanager
    def running(self) -> Iterator[JsonReceiver]:
        with serve_http(self._respond) as self.url:
            yield self

    def _respond(self, request: HttpRequest) -> HttpResponse:
        self.received.append(request.json())
        return HttpResponse(self.status)


class TcpProxy:
    """A TCP proxy in front of a server; while it is down, clients of `url` cannot reach the server."""

    def __init__(self, listener: socket.socket, target: str) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.is_down = False
        self._listener = listener
        self._target = ("127.0.0.1", int(target.rpartition(":")[2]))

    @classmethod
    @contextmanager
    def running(cls, target: str) -> Iterator[TcpProxy]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            proxy = cls(listener, target)
            threading.Thread(target=proxy._accept, daemon=True).start()
            yield proxy

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                if self.is_down:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), source, sink:
            while (data := source.recv(65536)) and not self.is_down:
                sink.sendall(data)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
