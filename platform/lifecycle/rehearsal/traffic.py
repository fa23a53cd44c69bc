"""Sends prediction requests to a model until it is stopped: `python traffic.py URL CLIENTS OUTLIER_RATE`.

Rows are from the data set; in the share OUTLIER_RATE of them the radius is one that no row has, as from a scanner with
other units. Prints a line of JSON per second: the number of responses so far, by version and status.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping

import httpx

from lifecycle.training import data

_PAUSE = 0.1  # seconds between a response and a client's next request
_TIMEOUT = 30.0  # seconds for a response, as a server lets a request wait
_OUTLIER_RADIUS = 141.5


class Traffic:
    """Clients, each with one request at a time, and a count of their responses."""

    def __init__(self, url: str, outlier_rate: float) -> None:
        self._url = url
        self._outlier_rate = outlier_rate
        self._rows = data.load_shipped()[data.FEATURES].to_dict("records")
        self._responses: Counter[str] = Counter()
        self._lock = threading.Lock()

    def start(self, clients: int) -> None:
        for number in range(clients):
            threading.Thread(target=self._run_client, args=(f"user-{number}",), daemon=True).start()

    def responses(self) -> Mapping[str, int]:
        """The number of responses, by `<version>/<status>`."""
        with self._lock:
            return dict(self._responses)

    def _run_client(self, user: str) -> None:
        with httpx.Client(timeout=_TIMEOUT) as client:
            while True:
                row = dict(random.choice(self._rows))  # noqa: S311 (not for cryptography)
                if random.random() < self._outlier_rate:  # noqa: S311
                    row["mean_radius"] = _OUTLIER_RADIUS
                outcome = self._request(client, {"features": row, "user_id": user})
                with self._lock:
                    self._responses[outcome] += 1
                time.sleep(_PAUSE)

    def _request(self, client: httpx.Client, body: Mapping[str, object]) -> str:
        try:
            response = client.post(self._url, json=body)
        except httpx.HTTPError as error:
            return f"none/{type(error).__name__}"
        version = response.json().get("version", "none") if response.is_success else "none"
        return f"{version}/{response.status_code}"


if __name__ == "__main__":
    traffic = Traffic(sys.argv[1], float(sys.argv[3]))
    traffic.start(int(sys.argv[2]))
    while True:
        time.sleep(1)
        print(json.dumps(traffic.responses()), flush=True)
