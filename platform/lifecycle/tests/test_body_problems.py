"""Each server responds to every problem of a body, so that a client's mistake never becomes a server error.

Proves that each problem has a handler; the tests of each server prove its response. The model server handles them in
its own code, which tests/serving proves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from lifecycle.core.http_server import BodyTooSlowError, MalformedBodyError, TooManyBodiesError
from lifecycle.drift import collector
from lifecycle.experiment import api
from lifecycle.promotion import receiver
from lifecycle.retraining import server

# The errors of `read_body`, except BodyTooLargeError, whose response names a setting.
PROBLEMS = {BodyTooSlowError, TooManyBodiesError, MalformedBodyError, ClientDisconnect}


@pytest.mark.parametrize(
    "handlers",
    [api._HANDLERS, collector._HANDLERS, receiver._HANDLERS, server._HANDLERS],
    ids=["experiment", "drift", "promotion", "retraining"],
)
def test_every_problem_of_a_body_has_an_answer(handlers: Mapping[Any, Any]) -> None:
    assert handlers.keys() >= PROBLEMS
