"""Simulated random passwords have the requested length and characters, so that clouds with password rules accept them.

Not proven: how random they are, which is up to the standard library.
"""

from __future__ import annotations

import string

import pytest

from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from rehearsal.simulator.random_provider import CLOUD

PASSWORD = "random:index/randomPassword:RandomPassword"


@pytest.mark.parametrize(
    ("minimum", "letters"),
    [
        ("minLower", string.ascii_lowercase),
        ("minUpper", string.ascii_uppercase),
        ("minNumeric", string.digits),
        ("minSpecial", "!"),
    ],
)
def test_a_password_has_the_required_characters(minimum: str, letters: str) -> None:
    state = StateStore(":memory:")
    inputs = Values({"length": 8, "overrideSpecial": "!", minimum: 8})
    _, outputs = Simulation(CLOUD, state).create("urn::p", PASSWORD, inputs, preview=False)
    state.close()
    assert len(outputs.plain["result"]) == 8
    assert set(outputs.plain["result"]) <= set(letters)
