"""Servers of this process's own, each in a thread beside it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PACE = 0.1  # seconds until a server that is to end notices


@contextmanager
def answering(server: socketserver.BaseServer) -> Iterator[None]:
    """Have a server answer for as long as the context lasts; afterwards its address is free again."""
    with server:
        threading.Thread(target=server.serve_forever, args=(_PACE,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
