"""A port that is open before the process behind it is."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from rehearsal.kubernetes.control_plane.control_plane import HOST

_PATIENCE = 8  # seconds; the API server gives a webhook 10 unless it says otherwise
_PAUSE = 0.1  # seconds between two tries


class LazyProxy:
    """Passes connections on to a process, and lets those wait that come while it starts.

    A pod is not Ready, and gets no traffic, before its process answers. A simulated pod is Ready at once.
    """

    def __init__(self, port: Callable[[], int | None]) -> None:
        """`port` tells where the process is to answer, None while there is to be none."""
        self._port = port
        self._listener = socket.create_server((HOST, 0))
        self.address: tuple[str, int] = (HOST, self._listener.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would not wake the listening thread
        self._listener.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                threading.Thread(target=self._let_in, args=(caller,), daemon=True).start()

    def _let_in(self, caller: socket.socket) -> None:
        with caller:
            process = self._wait()
            if process is None:
                return
            with process:
                back = threading.Thread(target=_pass, args=(process, caller), daemon=True)
                back.start()
                _pass(caller, process)
                back.join()

    def _wait(self) -> socket.socket | None:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            port = self._port()
            if port is not None:
                with contextlib.suppress(OSError):
                    process = socket.create_connection((HOST, port), timeout=1)
                    process.settimeout(None)
                    return process
            time.sleep(_PAUSE)
        return None


def _pass(source: socket.socket, target: socket.socket) -> None:
    """What one says to the other, until either hangs up; then both do."""
    with contextlib.suppress(OSError):
        while said := source.recv(65536):
            target.sendall(said)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
