"""The simulated clouds of a rehearsal."""

from __future__ import annotations

from collections.abc import Iterable

from rehearsal.simulator import offline_kubernetes, random_provider, time_provider
from rehearsal.simulator.aws import cloud as aws
from rehearsal.simulator.azure import cloud as azure
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore

_CLOUDS = (azure.CLOUD, aws.CLOUD, offline_kubernetes.CLOUD, random_provider.CLOUD, time_provider.CLOUD)


def find_unmodelled(types: Iterable[str]) -> list[str]:
    """Those of some resource types that belong to a simulated cloud and have no model, sorted."""
    clouds = {cloud.name: cloud for cloud in _CLOUDS}
    return sorted(
        type_
        for type_ in set(types)
        if (cloud := clouds.get(type_.split(":", 1)[0])) is not None and cloud.get_model(type_) is None
    )


def create_simulations(state: StateStore) -> dict[str, Simulation]:
    """A simulation of every cloud, all with the same state, by the name of the Pulumi package."""
    return {cloud.name: Simulation(cloud, state) for cloud in _CLOUDS}
