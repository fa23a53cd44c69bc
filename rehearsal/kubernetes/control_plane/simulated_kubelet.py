"""Answers for the kubelets of simulated nodes, on which no process has a log or accepts commands."""

from __future__ import annotations

from rehearsal.kubernetes.http_server import SilentHandler

MESSAGE = "this pod is simulated; no process runs in it"


class KubeletHandler(SilentHandler):
    """Refuses `logs`, `exec`, `attach` and `port-forward`, with the reason."""

    def _refuse(self) -> None:
        # Only with 500 does the API server pass a kubelet's message on to the client of `logs`.
        self.respond(500, MESSAGE.encode(), [("Content-Type", "text/plain"), ("Connection", "close")])
        self.close_connection = True

    do_GET = do_POST = _refuse  # noqa: N815 http.server's names
