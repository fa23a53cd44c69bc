"""Serves git repositories on this machine under the https URLs of remote ones, as an HTTPS proxy.

It answers with git's own HTTP backend, which accepts pushes if a repository's configuration allows them. It
authenticates as the URL's host with a certificate of the run's authority. It refuses all other hosts: a rehearsal opens
no connection beyond this machine.

Protocol: https://git-scm.com/docs/git-http-backend
"""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority, ServerContexts
from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.http_server import ConnectHandler, SilentHandler, serve_in_thread

_Response: TypeAlias = tuple[int, Mapping[str, str], bytes]  # HTTP status, headers, content

_IDLE_TIMEOUT = 90  # seconds
_NOT_FOUND: _Response = (404, {}, b"")


class GitServer:
    """The proxy. Repositories may be added while it runs.

    proxy_url  its address; set while it runs
    """

    def __init__(self, certificate_authority: CertificateAuthority) -> None:
        self.proxy_url = ""
        self._repositories: dict[str, Path] = {}  # folders, keyed by URL without its scheme
        self._tls_contexts = ServerContexts(certificate_authority)

    @contextmanager
    def run(self) -> Iterator[None]:
        """Serve while the context lasts."""
        server = _Server((HOST, 0), _ConnectHandler)
        server.git_server = self
        self.proxy_url = f"http://{HOST}:{server.server_address[1]}"
        with serve_in_thread(server):
            yield

    def add_repository(self, url: str, folder: Path) -> None:
        """Serve a bare repository under a URL such as `https://git.example.com/groundwork/models.git`."""
        self._repositories[_without_scheme(url)] = folder

    def serves_host(self, host: str) -> bool:
        return any(location.partition("/")[0] == host for location in self._repositories)

    def find_repository(self, host: str, path: str) -> tuple[Path, str] | None:
        """The folder of the requested repository, and the request's path in it, such as `/info/refs`."""
        requested = f"{host}{path}"
        for location, folder in self._repositories.items():
            if requested.startswith(f"{location}/"):
                return folder, requested.removeprefix(location)
        return None

    def tls_context(self, host: str) -> ssl.SSLContext:
        """A server context with a certificate for a host."""
        return self._tls_contexts.find(host)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # do not wait for idle connections
    git_server: GitServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Git itself reports a broken connection."""


class _ConnectHandler(ConnectHandler):
    """Handles one CONNECT request and the TLS connection that it opens."""

    server: _Server

    def open_tunnel(self) -> None:
        host, git_server = self.path.rpartition(":")[0], self.server.git_server
        if not git_server.serves_host(host):
            self.refuse_tunnel(502, f"the rehearsal serves no git repository of {host}")
            return
        self.accept_tunnel()
        self.connection.settimeout(_IDLE_TIMEOUT)
        with git_server.tls_context(host).wrap_socket(self.connection, server_side=True) as connection:
            _GitHandler(connection, self.client_address, self.server, host)


class _GitHandler(SilentHandler):
    """Handles the requests to one host."""

    server: _Server

    def __init__(self, connection: Any, client: Any, server: _Server, host: str) -> None:
        self._host = host
        super().__init__(connection, client, server)

    def _handle(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = self.server.git_server.find_repository(self._host, url.path)
        response = _run_git_backend(self._cgi_variables(*found, url.query), body) if found else _NOT_FOUND
        status, headers, content = response
        self.respond(status, content, headers.items())

    do_GET = do_POST = _handle  # noqa: N815 the library's names

    def _cgi_variables(self, folder: Path, path: str, query: str) -> Mapping[str, str]:
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


def _without_scheme(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"


def _run_git_backend(variables: Mapping[str, str], body: bytes) -> _Response:
    """Run git's HTTP backend, a CGI program, without the user's own git settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "http-backend"]
    process = subprocess.run(command, env={**inherited, **variables}, input=body, capture_output=True, check=False)
    head, _, content = process.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    status = int(headers.pop("Status", "200" if process.returncode == 0 else "500").split()[0])
    return status, headers, content
