"""Git repositories of this machine, served under the https URLs that they are declared by.

A controller asks for them through a proxy, which is this. It answers with git's own HTTP backend, for reading only, and
proves itself as their hosts with a certificate of the run's authority. Another host than theirs is refused: nothing
that a rehearsal does leaves this machine.

The protocol: https://git-scm.com/docs/git-http-backend
"""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority
from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.http_server import serve_in_thread

_Answer = tuple[int, Mapping[str, str], bytes]  # HTTP status, headers, content

_IDLE = 90  # seconds that a connection may be silent
_NOT_FOUND: _Answer = (404, {}, b"")


class GitServer:
    """The proxy; it serves while `running`, and what is added meanwhile, too."""

    def __init__(self, authority: CertificateAuthority) -> None:
        self._authority = authority
        self._folders: dict[str, Path] = {}  # by URL without its scheme
        self._identities: dict[str, ssl.SSLContext] = {}
        self._making = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve at `proxy` for as long as the context lasts."""
        server = _Server((HOST, 0), _Tunnel)
        server.git_server = self
        self.proxy = f"http://{HOST}:{server.server_address[1]}"
        with serve_in_thread(server):
            yield

    def serve(self, url: str, folder: Path) -> None:
        """Let a bare repository stand for a remote one: `https://git.example.com/groundwork/models.git`."""
        self._folders[_place(url)] = folder

    def knows(self, host: str) -> bool:
        return any(place.partition("/")[0] == host for place in self._folders)

    def find(self, host: str, path: str) -> tuple[Path, str] | None:
        """The repository that a request is for, and what is asked of it: `/info/refs`."""
        asked = f"{host}{path}"
        places = (place for place in self._folders if asked.startswith(f"{place}/"))
        return next(((self._folders[place], asked.removeprefix(place)) for place in places), None)

    def identity(self, host: str) -> ssl.SSLContext:
        """What this proves itself with as a host."""
        with self._making:
            if host not in self._identities:
                files = self._authority.issue_certificate(host, hosts=[host])
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(files.cert_file, files.key_file)
                self._identities[host] = context
            return self._identities[host]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # nobody waits for a silent connection
    git_server: GitServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is git's business, and it says so itself."""


class _Tunnel(BaseHTTPRequestHandler):
    """One CONNECT, and what is asked through it."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_CONNECT(self) -> None:
        self.close_connection = True
        host, git_server = self.path.rpartition(":")[0], self.server.git_server
        if not git_server.knows(host):
            self.send_response_only(502, f"the rehearsal serves no git repository of {host}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.connection.settimeout(_IDLE)
        with git_server.identity(host).wrap_socket(self.connection, server_side=True) as secure:
            _Conversation(secure, self.client_address, self.server, host)

    def log_message(self, *_: Any) -> None:
        """The rehearsal's output is for the rehearsal."""


class _Conversation(BaseHTTPRequestHandler):
    """Requests to one host."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def __init__(self, connection: Any, client: Any, server: _Server, host: str) -> None:
        self._host = host
        super().__init__(connection, client, server)

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = self.server.git_server.find(self._host, url.path)
        status, headers, content = _ask_git(self._question(*found, url.query), body) if found else _NOT_FOUND
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 their names

    def _question(self, folder: Path, path: str, query: str) -> Mapping[str, str]:
        """A request, as CGI has it."""
        return {
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }

    def log_message(self, *_: Any) -> None:
        """The rehearsal's output is for the rehearsal."""


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"


def _ask_git(question: Mapping[str, str], body: bytes) -> _Answer:
    """What git's HTTP backend answers."""
    persons = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "http-backend"]
    reply = subprocess.run(command, env={**persons, **question}, input=body, capture_output=True, check=False)
    head, _, content = reply.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    status = int(headers.pop("Status", "200" if reply.returncode == 0 else "500").split()[0])
    return status, headers, content
