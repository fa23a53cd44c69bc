"""The users of an experiment, until it is stopped: `python experiment_traffic.py HOST MODEL POPULATION USERS CLIENTS`.

Each user repeatedly requests predictions from the router at HOST, and reports the share of correct ones as the outcome
`correct`. Prints a line of JSON per second with the counts so far: `users`, `responses` by variant, version and status,
and `outcomes` by the status of the router's response.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

import httpx
from clients import run_clients
from prediction_client import ROWS, Answer, PredictionClient

_PAUSE = 0.05  # seconds between a response and a client's next request
_TIMEOUT = 10.0  # seconds for a response to an outcome


class Users:
    """Users, some of them at a time, and the counts of their responses."""

    def __init__(self, host: str, model: str, population: str, users: int) -> None:
        self._outcomes_url = f"{host}/ab-test/outcomes"
        self._arguments = f"{host}/v2/models/{model}/infer", population
        self._turns = itertools.cycle(range(users))
        self._came: set[int] = set()
        self._responses: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def describe(self) -> Mapping[str, Any]:
        with self._lock:
            counts = {"responses": dict(self._responses), "outcomes": dict(self._outcomes)}
            return {"users": len(self._came), **counts}

    def run_client(self) -> NoReturn:
        client, outcomes = PredictionClient(*self._arguments), httpx.Client(timeout=_TIMEOUT)
        while True:
            with self._lock:
                user = next(self._turns)
            answer = client.ask({"x-user-id": f"user-{user}"})
            reported = self._report(outcomes, answer)
            with self._lock:
                variant = answer.headers.get("x-variant", "none")
                self._responses[f"{variant}/{answer.version or 'none'}/{answer.status}"] += 1
                self._outcomes[reported] += 1
                self._came.add(user)
            time.sleep(_PAUSE)

    def _report(self, client: httpx.Client, answer: Answer) -> str:
        """Report the outcome of a request; returns the response's status, or the error."""
        if not answer.version or "x-experiment" not in answer.headers:
            return "none"
        names = {"experiment": answer.headers["x-experiment"], "request_id": answer.headers["x-request-id"]}
        outcome = {**names, "name": "correct", "value": answer.right / ROWS}
        try:
            return str(client.post(self._outcomes_url, json=outcome).status_code)
        except httpx.HTTPError as error:
            return type(error).__name__


if __name__ == "__main__":
    users = Users(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
    run_clients(int(sys.argv[5]), users.run_client, users.describe)
