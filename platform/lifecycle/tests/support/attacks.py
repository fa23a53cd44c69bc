"""Attacks of one client that tries to exhaust a server, with raw sockets, which can break the rules of HTTP."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence

from support.waiting import TIMEOUT

MEGABYTE = 1 << 20
PREDICT = b"POST /predict HTTP/1.1\r\nhost: a\r\n"
_PATIENCE = 90.0  # seconds until a server has to have answered or disconnected
Outcomes = Counter[str]
"""Connections by status; `closed` had no response, `open` is still open."""


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), TIMEOUT)


def flood(port: int, start: bytes, piece: bytes, size: int) -> int:
    """Send up to `size` bytes; returns how many of them the server, and the kernel in between, have accepted."""
    with connect(port) as client:
        sent = 0
        with contextlib.suppress(OSError):
            client.sendall(start)
            while sent < size:
                client.sendall(piece)
                sent += len(piece)
        return sent


def drip(port: int, connections: int, start: bytes, piece: bytes) -> Outcomes:
    """Send a start on every connection, and a piece every second until the server disconnects."""
    clients = [connect(port) for _ in range(connections)]
    for client in clients:
        client.sendall(start)
    return _collect(clients, piece)


def hold(port: int, connections: int, start: bytes, seconds: float) -> Outcomes:
    """Open connections, send a start, and nothing more; returns the responses within a while."""
    clients = []
    for _ in range(connections):
        client = connect(port)
        with contextlib.suppress(OSError):
            client.sendall(start)
        clients.append(client)
    time.sleep(seconds)
    outcomes: Outcomes = Counter()
    for client in clients:
        client.setblocking(False)
        outcomes[_peek(client)] += 1
        client.close()
    return outcomes


def send_together(port: int, connections: int, request: bytes) -> Outcomes:
    """Send a request on every connection except its last byte, as far as the server accepts it; then the rest."""
    clients = [connect(port) for _ in range(connections)]
    rest = {client: memoryview(request) for client in clients}
    for last in (1, 0):
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < (5 if last else 0.5) and any(len(left) > last for left in rest.values()):
            for client, left in rest.items():
                with contextlib.suppress(OSError):
                    client.setblocking(False)
                    if len(left) > last and (sent := client.send(left[: len(left) - last][: MEGABYTE // 4])):
                        rest[client], idle_since = left[sent:], time.monotonic()
    return _collect(clients, b"", {client: left for client, left in rest.items() if left})


def _collect(
    clients: Sequence[socket.socket], piece: bytes, rest: dict[socket.socket, memoryview] | None = None
) -> Outcomes:
    """Read until every connection has ended; meanwhile send the rest, or the piece every second."""
    outcomes: Outcomes = Counter()
    responses = dict.fromkeys(clients, b"")
    rest = rest or {}
    deadline, due = time.monotonic() + _PATIENCE, time.monotonic()
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
        while responses and time.monotonic() < deadline:
            for key, _ in selector.select(0.1):
                client: socket.socket = key.fileobj  # type: ignore[assignment]
                data = _receive(client)
                responses[client] += data
                if not data:
                    outcomes[_status(responses.pop(client))] += 1
                    rest.pop(client, None)
                    selector.unregister(client)
                    client.close()
            for client, left in list(rest.items()):
                with contextlib.suppress(OSError):
                    rest[client] = left[client.send(left[: MEGABYTE // 4]) :]
            if piece and time.monotonic() >= due:
                due = time.monotonic() + 1
                for client in responses:
                    with contextlib.suppress(OSError):
                        client.send(piece)
    outcomes["open"] += len(responses)
    for client in responses:
        client.close()
    return +outcomes


def _receive(client: socket.socket) -> bytes:
    """The data that has arrived on a readable connection; empty if the connection has ended in any way."""
    try:
        return client.recv(65536)
    except OSError:
        return b""


def _peek(client: socket.socket) -> str:
    try:
        return _status(client.recv(4096))
    except BlockingIOError:
        return "open"
    except OSError:
        return "closed"


def _status(response: bytes) -> str:
    return response.split()[1].decode() if response.startswith(b"HTTP/1.1 ") else "closed"
