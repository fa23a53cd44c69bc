"""The simulated clouds of a rehearsal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rehearsal.simulator import offline_kubernetes, random_provider, time_provider
from rehearsal.simulator.aws import cloud as aws
from rehearsal.simulator.azure import cloud as azure
from rehearsal.simulator.core.node_drain import NO_CLUSTER, NodeDrain
from rehearsal.simulator.core.resource_model import ResourceRequest
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


def list_notes(resources: Iterable[Mapping[str, Any]]) -> list[str]:
    """What the simulated clouds did not check of the resources in the engine's state, a line each."""
    state, clouds = StateStore(":memory:"), {cloud.name: cloud for cloud in _CLOUDS}
    lines: list[str] = []
    for resource in resources:
        type_, urn = str(resource["type"]), str(resource["urn"])
        cloud = clouds.get(type_.split(":", 1)[0])
        model = cloud.get_model(type_) if cloud else None
        if cloud is None or model is None:
            continue
        request = ResourceRequest(type_, urn, resource.get("inputs", {}), state, cloud.account)
        lines += [f"{request.name}: {note}" for note in (rule(request) for rule in model.notes) if note]
    return lines


def create_simulations(
    state: StateStore, drain: NodeDrain = NO_CLUSTER, *, renders_charts: bool = True
) -> dict[str, Simulation]:
    """A simulation of every cloud, all with the same state and cluster, by the name of the Pulumi package."""
    clouds = {cloud.name: cloud for cloud in _CLOUDS}
    if not renders_charts:
        clouds[offline_kubernetes.UNRENDERED.name] = offline_kubernetes.UNRENDERED
    return {name: Simulation(cloud, state, drain) for name, cloud in clouds.items()}
