"""Run as a module: `python -m support.steady_client URL BODY` requests ten predictions a second and prints a line each.

A line has the status, or the error, and the seconds until the response. Every second request uses a new connection, so
that both keep-alive connections and new ones are tested.
"""

from __future__ import annotations

import sys
import time

import httpx

INTERVAL = 0.1  # seconds


def main(url: str, body: str) -> None:
    kept = httpx.Client(timeout=120)
    headers = {"content-type": "application/json"}
    due = time.monotonic()
    while True:
        for post in (kept.post, httpx.post):
            due = max(due + INTERVAL, time.monotonic() - INTERVAL)  # after a pause it does not catch up
            time.sleep(max(0.0, due - time.monotonic()))
            started = time.monotonic()
            try:
                outcome = str(post(url, content=body, headers=headers, timeout=120).status_code)
            except httpx.TransportError as error:
                outcome = type(error).__name__
            print(outcome, time.monotonic() - started, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
