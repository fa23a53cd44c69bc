"""Sends prediction requests to a model until it is stopped: `python traffic.py URL CLIENTS POPULATION OUTLIER_RATE`.

Prints a line of JSON per second with the figures so far: `responses`, their number by version and status, and `right`,
the share of correct predictions by version.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

from clients import run_clients
from prediction_client import ROWS, PredictionClient

_PAUSE = 0.25  # seconds between a response and a client's next request


class Traffic:
    """Clients, each with one request at a time, and a count of their responses."""

    def __init__(self, url: str, population: str, outlier_rate: float) -> None:
        self._arguments = url, population, outlier_rate
        self._responses: Counter[str] = Counter()
        self._right: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._lock = threading.Lock()

    def describe(self) -> Mapping[str, Any]:
        with self._lock:
            right = {version: self._right[version] / (ROWS * count) for version, count in self._answered.items()}
            return {"responses": dict(self._responses), "right": right}

    def run_client(self) -> NoReturn:
        client = PredictionClient(*self._arguments)
        while True:
            answer = client.ask()
            with self._lock:
                self._responses[f"{answer.version or 'none'}/{answer.status}"] += 1
                if answer.version:
                    self._right[answer.version] += answer.right
                    self._answered[answer.version] += 1
            time.sleep(_PAUSE)


if __name__ == "__main__":
    traffic = Traffic(sys.argv[1], sys.argv[3], float(sys.argv[4]))
    run_clients(int(sys.argv[2]), traffic.run_client, traffic.describe)
