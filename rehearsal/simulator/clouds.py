"""The simulated clouds: what a provider of each would answer, without an account."""

from __future__ import annotations

from importlib import import_module

from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore

_CLOUDS = (
    "rehearsal.simulator.azure.cloud",
    "rehearsal.simulator.aws.cloud",
    "rehearsal.simulator.offline_kubernetes",
    "rehearsal.simulator.random_provider",
)


def create_simulations(state: StateStore) -> dict[str, Simulation]:
    """Every simulated cloud over one state, by the name of its Pulumi package."""
    clouds = [import_module(module).CLOUD for module in _CLOUDS]
    return {cloud.name: Simulation(cloud, state) for cloud in clouds}
