"""Clients that send requests until the process ends, and print their results so far, one line of JSON per second."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn


def run_clients(
    clients: int, run_client: Callable[[], NoReturn], describe: Callable[[], Mapping[str, Any]]
) -> NoReturn:
    """Run a client in each of several threads, and print what `describe` returns.

    run_client  sends requests continuously, one at a time
    """
    for _ in range(clients):
        threading.Thread(target=run_client, daemon=True).start()
    while True:
        time.sleep(1)
        print(json.dumps(describe()), flush=True)
