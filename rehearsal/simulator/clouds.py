"""The simulated clouds of a rehearsal."""

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
    """A simulation of every cloud, all with the same state, by the name of the Pulumi package."""
    clouds = [import_module(module).CLOUD for module in _CLOUDS]
    return {cloud.name: Simulation(cloud, state) for cloud in clouds}
