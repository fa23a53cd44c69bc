"""The simulated `time` provider, and the version that each simulated provider reports.

Proves that waits are accepted as the real provider accepts them, restart with other triggers, and take no time. Not
proven: how the real provider waits.
"""

from __future__ import annotations

import pytest

from rehearsal.simulator.clouds import create_simulations
from rehearsal.simulator.core.provider import Provider
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from rehearsal.simulator.time_provider import CLOUD

SLEEP = "time:index/sleep:Sleep"


@pytest.fixture
def clock() -> Simulation:
    return Simulation(CLOUD, StateStore(":memory:"))


@pytest.mark.parametrize(
    ("duration", "is_valid"), [("10m", True), ("1.5h", True), ("10 minutes", False), ("10", False)]
)
def test_a_duration_is_a_number_and_a_unit(clock: Simulation, duration: str, *, is_valid: bool) -> None:
    _, problems = clock.check("urn::s", SLEEP, Values({"createDuration": duration}))
    assert bool(problems) is not is_valid


def test_a_wait_ends_immediately_and_restarts_with_other_triggers(clock: Simulation) -> None:
    inputs = Values({"createDuration": "10m", "triggers": {"0": "a"}})
    id_, outputs = clock.create("urn::s", SLEEP, inputs, preview=False)
    assert outputs.plain["triggers"] == {"0": "a"}
    difference = clock.diff("urn::s", SLEEP, id_, inputs, Values({"createDuration": "10m", "triggers": {"0": "b"}}))
    assert difference.replaces


@pytest.mark.parametrize("name", ["aws", "azure-native", "kubernetes", "random", "time"])
def test_a_provider_has_the_version_of_its_sdk(name: str) -> None:
    simulation = create_simulations(StateStore(":memory:"))[name]
    assert Provider(simulation).GetPluginInfo(None, None).version
