"""A load generator: keep-alive connections that repeatedly send one prepared request.

HTTP/1.1 with Content-Length or chunked responses only, in one process with one event loop. It runs on the servers'
cores, so its own processor time is measured too.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import cast

import numpy as np
import uvloop


@dataclass(frozen=True)
class Load:
    """One run: seconds of every request, the run's duration, and this process's processor time.

    A failure is a status other than 200, or a connection that the server closed.
    """

    latencies: list[float]
    seconds: float
    busy: float
    failures: int

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Milliseconds."""
        return float(np.percentile(self.latencies, percent)) * 1000 if self.latencies else float("nan")


def request(path: str, body: bytes) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def measure(port: int, message: bytes, clients: int, seconds: float, warm_up: float) -> Load:
    """Let clients, each with its own connection, send the next request after each response."""
    return uvloop.run(_measure(port, message, clients, seconds, warm_up))


async def _measure(port: int, message: bytes, clients: int, seconds: float, warm_up: float) -> Load:
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: _Client(message), "127.0.0.1", port))[1] for _ in range(clients)
    ]
    for client in connections:
        client.send()
    await asyncio.sleep(warm_up)
    for client in connections:
        client.latencies.clear()
        client.failures = 0
    started, worked = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    took, busy = time.perf_counter() - started, time.process_time() - worked
    for client in connections:
        client.close()
    latencies = [latency for client in connections for latency in client.latencies]
    return Load(latencies, took, busy, sum(client.failures for client in connections))


class _Client(asyncio.Protocol):
    def __init__(self, message: bytes) -> None:
        self._message = message
        self._buffer = b""
        self._sent = 0.0
        self._open = True
        self.latencies: list[float] = []
        self.failures = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def send(self) -> None:
        self._buffer = b""
        self._sent = time.perf_counter()
        self._transport.write(self._message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._complete() or not self._open:
            return
        if self._buffer.startswith(b"HTTP/1.1 200"):
            self.latencies.append(time.perf_counter() - self._sent)
        else:
            self.failures += 1
        self.send()

    def connection_lost(self, _: Exception | None) -> None:
        if self._open:
            self.failures += 1

    def close(self) -> None:
        self._open = False
        self._transport.close()

    def _complete(self) -> bool:
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return False
        lower = head.lower()
        start = lower.find(b"content-length:")
        if start < 0:
            return body.endswith(b"0\r\n\r\n")
        return len(body) >= int(lower[start + 15 :].split(b"\r\n", 1)[0])
