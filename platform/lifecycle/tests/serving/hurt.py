"""Run as a module: the real server, but its model is hurt on purpose (simulated), as the rows that it gets say.

A row whose `alcohol` is FAIL makes predict raise, one with SLEEP makes it sleep for `salt` seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import sklearn.linear_model

FAIL, SLEEP = -1001.0, -1002.0
SECRET = "4711.25"  # stands in the exception, as libraries put values there; must reach no log and no client

_predict = sklearn.linear_model.LinearRegression.predict


def predict(self: Any, table: Any) -> Any:
    rows = numpy.asarray(table)  # alcohol first, salt last
    if (rows[:, 0] == FAIL).any():
        raise ValueError(f"could not digest {SECRET}")
    asleep = rows[rows[:, 0] == SLEEP, -1]
    if len(asleep):
        Path(os.environ["ASLEEP_FILE"]).touch()
        time.sleep(asleep.max())
    return _predict(self, table)


def hook(error: BaseException, about: Mapping[str, Any]) -> None:
    """An error-tracking hook that remembers."""
    with Path(os.environ["HOOK_FILE"]).open("a") as file:
        file.write(f"{type(error).__name__} {about['endpoint']} {about['request_id']}\n")


if __name__ == "__main__":
    sklearn.linear_model.LinearRegression.predict = predict
    from lifecycle.serving import fast
    from lifecycle.serving.__main__ import main

    fast.faster = lambda estimator, method, _: getattr(estimator, method)  # what is faster does not call predict
    sys.exit(main())
