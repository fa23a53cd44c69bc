"""A TCP proxy whose port is open before the process behind it listens."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.polling import WaitTimeoutError, wait_until

_CONNECT_TIMEOUT = 8  # seconds; the API server waits 10 for a webhook unless its configuration says otherwise
_RETRY_INTERVAL = 0.1  # seconds
_BUFFER_SIZE = 65536  # bytes


class LazyProxy:
    """Forwards connections to a process, and holds those that arrive while it starts.

    A real pod is not Ready and gets no traffic before its process answers, but a simulated pod is Ready at once.
    """

    def __init__(self, find_port: Callable[[], int | None]) -> None:
        """`find_port` returns the port of the process; None while no process should run."""
        self._find_port = find_port
        self._listener = socket.create_server((HOST, 0))
        self.address: tuple[str, int] = (HOST, self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Refuse new connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing it would not wake the accepting thread
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client:
            server = self._connect()
            if server is None:
                return
            with server:
                backward = threading.Thread(target=_copy, args=(server, client), daemon=True)
                backward.start()
                _copy(client, server)
                backward.join()

    def _connect(self) -> socket.socket | None:
        try:
            return wait_until(self._try_connect, timeout=_CONNECT_TIMEOUT, interval=_RETRY_INTERVAL, retry_on=OSError)
        except WaitTimeoutError:
            return None

    def _try_connect(self) -> socket.socket | None:
        port = self._find_port()
        if port is None:
            return None
        server = socket.create_connection((HOST, port), timeout=1)
        server.settimeout(None)
        return server


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy until either side closes its connection, then close both."""
    with contextlib.suppress(OSError):
        while data := source.recv(_BUFFER_SIZE):
            target.sendall(data)
    for connection in (source, target):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
