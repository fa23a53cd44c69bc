"""HTTP servers that run in a thread of this process."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SHUTDOWN_POLL_INTERVAL = 0.1  # seconds after which a server notices at the latest that it is to shut down


@contextmanager
def serve_in_thread(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve requests while the context lasts; on exit the server's address is free again."""
    with server:
        threading.Thread(target=server.serve_forever, args=(_SHUTDOWN_POLL_INTERVAL,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
