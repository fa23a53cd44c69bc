"""Simulated random passwords: what is asked of them is in them, so that clouds with rules for passwords take them.

Proves the classes and the length. How random they are is the standard library's business.
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
def test_a_password_has_as_many_of_a_class_as_were_asked_for(minimum: str, letters: str) -> None:
    state = StateStore(":memory:")
    asked = Values({"length": 8, "overrideSpecial": "!", minimum: 8})
    _, outputs = Simulation(CLOUD, state).create("urn::p", PASSWORD, asked, preview=False)
    state.close()
    assert len(outputs.plain["result"]) == 8
    assert set(outputs.plain["result"]) <= set(letters)
