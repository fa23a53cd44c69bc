"""Answers for the kubelets of simulated nodes: there is no process to read a log of, or to enter."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

MESSAGE = "this pod is simulated; no process runs in it"


class KubeletHandler(BaseHTTPRequestHandler):
    """Refuses `logs`, `exec`, `attach` and `port-forward`, with the reason."""

    protocol_version = "HTTP/1.1"

    def _refuse(self) -> None:
        content = MESSAGE.encode()
        # Only with 500 does the API server pass a kubelet's message on to the client of `logs`.
        self.send_response_only(500)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    do_GET = do_POST = _refuse  # noqa: N815 http.server's names

    def log_message(self, *_: object) -> None:
        """Keep the rehearsal's output free of access logs."""
