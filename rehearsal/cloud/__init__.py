"""The simulated clouds: what a provider of each would answer, without an account."""

from __future__ import annotations

from importlib import import_module

from rehearsal.cloud.simulation import Simulation
from rehearsal.cloud.world import FileWorld

_CLOUDS = ("rehearsal.cloud.azure", "rehearsal.cloud.aws", "rehearsal.cloud.kubernetes", "rehearsal.cloud.randoms")


def simulations(world: FileWorld) -> dict[str, Simulation]:
    """Every simulated cloud over one world, by the name of its Pulumi package."""
    clouds = [import_module(module).CLOUD for module in _CLOUDS]
    return {cloud.name: Simulation(cloud, world) for cloud in clouds}
