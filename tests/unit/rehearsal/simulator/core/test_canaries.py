"""The simulated clouds remember the secrets that they generate, and those that they generated earlier.

Proves which values become canaries. Not proven: that the engine sends earlier ones back.
"""

from __future__ import annotations

from rehearsal.simulator.clouds import create_simulations
from rehearsal.simulator.core.canaries import Canaries
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values

PASSWORD = "random:index/randomPassword:RandomPassword"
URN = f"urn:pulumi:test::shop::shop:core:Store${PASSWORD}::db"


def create_simulation(canaries: Canaries) -> Simulation:
    return create_simulations(StateStore(":memory:"), canaries=canaries)["random"]


def test_a_generated_secret_is_a_canary_with_its_owner() -> None:
    canaries = Canaries()
    _, outputs = create_simulation(canaries).create(URN, PASSWORD, Values({"length": 24}), preview=False)
    assert list(canaries) == [
        (outputs.plain["result"], "the result of RandomPassword db"),
        (outputs.plain["bcryptHash"], "the bcryptHash of RandomPassword db"),
    ]


def test_a_preview_generates_nothing() -> None:
    canaries = Canaries()
    create_simulation(canaries).create(URN, PASSWORD, Values({"length": 24}), preview=True)
    assert len(canaries) == 0


def test_a_secret_of_an_earlier_command_is_remembered_from_the_outputs_in_the_engines_state() -> None:
    canaries = Canaries()
    create_simulation(canaries).remember(URN, PASSWORD, Values({"result": "Abcdefgh12345678", "length": 16}))
    assert list(canaries) == [("Abcdefgh12345678", "the result of RandomPassword db")]


def test_all_instances_of_a_provider_share_their_canaries() -> None:
    canaries = Canaries()
    create_simulation(canaries).with_own_configuration().create(URN, PASSWORD, Values({"length": 24}), preview=False)
    assert len(canaries) == 2


def test_short_text_and_values_that_are_not_text_are_ignored() -> None:
    canaries = Canaries()
    canaries.add("short", "x")
    canaries.add(None, "x")
    canaries.add_result([[{"name": "clusterUser", "value": "c" * 40}]], "azure-native:x:listKeys")
    assert list(canaries) == [("c" * 40, "the result of azure-native:x:listKeys")]
