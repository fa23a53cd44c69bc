"""The simulated clouds take note of the secrets that they generate, and of those that they generated before.

Proves what becomes a canary, by the providers' protocol where the engine sends it.
"""

from __future__ import annotations

from rehearsal.simulator.clouds import create_simulations
from rehearsal.simulator.core.canaries import Canaries
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values

PASSWORD = "random:index/randomPassword:RandomPassword"
URN = f"urn:pulumi:test::shop::shop:core:Store${PASSWORD}::db"


def simulation(canaries: Canaries) -> Simulation:
    return create_simulations(StateStore(":memory:"), canaries=canaries)["random"]


def test_what_is_generated_is_a_canary_with_its_owner() -> None:
    canaries = Canaries()
    _, outputs = simulation(canaries).create(URN, PASSWORD, Values({"length": 24}), preview=False)
    assert list(canaries) == [
        (outputs.plain["result"], "the result of RandomPassword db"),
        (outputs.plain["bcryptHash"], "the bcryptHash of RandomPassword db"),
    ]


def test_a_preview_generates_nothing() -> None:
    canaries = Canaries()
    simulation(canaries).create(URN, PASSWORD, Values({"length": 24}), preview=True)
    assert len(canaries) == 0


def test_what_an_earlier_command_generated_is_remembered_by_what_the_engine_sends() -> None:
    canaries = Canaries()
    simulation(canaries).remember(URN, PASSWORD, Values({"result": "Abcdefgh12345678", "length": 16}))
    assert list(canaries) == [("Abcdefgh12345678", "the result of RandomPassword db")]


def test_other_instances_of_a_provider_add_to_the_same() -> None:
    canaries = Canaries()
    simulation(canaries).with_own_configuration().create(URN, PASSWORD, Values({"length": 24}), preview=False)
    assert len(canaries) == 2


def test_short_texts_and_what_is_no_text_are_left_out() -> None:
    canaries = Canaries()
    canaries.add("short", "x")
    canaries.add(None, "x")
    canaries.add_result([[{"name": "clusterUser", "value": "c" * 40}]], "azure-native:x:listKeys")
    assert list(canaries) == [("c" * 40, "the result of azure-native:x:listKeys")]
