"""Run as a module: the real server, whose model fails or sleeps (simulated) for certain rows.

A row whose `alcohol` is FAIL makes predict raise, SLEEP makes it sleep for `salt` seconds, and CRASH ends the process
as if native code had read invalid memory.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import sklearn.linear_model

FAIL, SLEEP, CRASH = -1001.0, -1002.0, -1003.0
SECRET = "4711.25"  # in the exception, as libraries quote values there; must reach no log and no client

_predict = sklearn.linear_model.LinearRegression.predict


def predict(self: Any, data: Any) -> Any:
    rows = numpy.asarray(data)  # alcohol first, salt last
    if (rows[:, 0] == CRASH).any():
        os.kill(os.getpid(), signal.SIGSEGV)
    if (rows[:, 0] == FAIL).any():
        raise ValueError(f"could not digest {SECRET}")
    durations = rows[rows[:, 0] == SLEEP, -1]
    if len(durations):
        Path(os.environ["ASLEEP_FILE"]).touch()
        time.sleep(durations.max())
    return _predict(self, data)


def hook(error: BaseException, request: Mapping[str, Any]) -> None:
    """An error hook that appends to a file."""
    with Path(os.environ["HOOK_FILE"]).open("a") as file:
        file.write(f"{type(error).__name__} {request['endpoint']} {request['request_id']}\n")


if __name__ == "__main__":
    sklearn.linear_model.LinearRegression.predict = predict
    from lifecycle.serving import fast_path
    from lifecycle.serving.__main__ import main

    fast_path.accelerate = lambda estimator, method, _: getattr(estimator, method)  # the fast path would bypass predict
    sys.exit(main())
