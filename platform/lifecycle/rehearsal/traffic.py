"""Asks a model for predictions without end: `python traffic.py URL CLIENTS STRANGE`, for rehearsals.

Rows are the data set's own; of the share STRANGE the radius is one that no row of it has, as of a scanner in other
units. A line of JSON a second says how many answers there were, by version and status, since the start.
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

_PAUSE = 0.1  # seconds between an answer and a client's next request
_PATIENCE = 10.0  # seconds for an answer
_STRANGE_RADIUS = 141.5


class Traffic:
    """Clients, each with one request at a time, and what they were answered."""

    def __init__(self, url: str, strange: float) -> None:
        self._url = url
        self._strange = strange
        self._rows = data.shipped()[data.FEATURES].to_dict("records")
        self._answers: Counter[str] = Counter()
        self._counting = threading.Lock()

    def start(self, clients: int) -> None:
        for number in range(clients):
            threading.Thread(target=self._ask, args=(f"user-{number}",), daemon=True).start()

    def answers(self) -> Mapping[str, int]:
        """How many answers there were, by `<version>/<status>`."""
        with self._counting:
            return dict(self._answers)

    def _ask(self, user: str) -> None:
        with httpx.Client(timeout=_PATIENCE) as client:
            while True:
                row = dict(random.choice(self._rows))  # noqa: S311 (no secret hangs on it)
                if random.random() < self._strange:  # noqa: S311
                    row["mean_radius"] = _STRANGE_RADIUS
                answer = self._answer(client, {"features": row, "user_id": user})
                with self._counting:
                    self._answers[answer] += 1
                time.sleep(_PAUSE)

    def _answer(self, client: httpx.Client, body: Mapping[str, object]) -> str:
        try:
            reply = client.post(self._url, json=body)
        except httpx.HTTPError as error:
            return f"none/{type(error).__name__}"
        version = reply.json().get("version", "none") if reply.is_success else "none"
        return f"{version}/{reply.status_code}"


if __name__ == "__main__":
    traffic = Traffic(sys.argv[1], float(sys.argv[3]))
    traffic.start(int(sys.argv[2]))
    while True:
        time.sleep(1)
        print(json.dumps(traffic.answers()), flush=True)
