"""The simulated clouds of a rehearsal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from kernel.support_calendars import AKS, AZURE_POSTGRESQL, EKS, RDS_POSTGRESQL
from rehearsal.simulator import offline_kubernetes, random_provider, time_provider
from rehearsal.simulator.aws import access as aws_access
from rehearsal.simulator.aws import cloud as aws
from rehearsal.simulator.aws import movement as aws_movement
from rehearsal.simulator.azure import access as azure_access
from rehearsal.simulator.azure import cloud as azure
from rehearsal.simulator.azure import movement as azure_movement
from rehearsal.simulator.core.access import ServiceAccess
from rehearsal.simulator.core.canaries import Canaries
from rehearsal.simulator.core.circumstances import USUAL, Caller, Circumstances
from rehearsal.simulator.core.cloud import Cloud
from rehearsal.simulator.core.movement import apply_moves
from rehearsal.simulator.core.node_drain import NO_CLUSTER, NodeDrain
from rehearsal.simulator.core.one_writer import OneWriter
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest, StateReader
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.late_grants import EffectiveState, LateSimulation, UseCheck

_CLOUDS: Mapping[str, Cloud] = {
    cloud.name: cloud
    for cloud in (azure.CLOUD, aws.CLOUD, offline_kubernetes.CLOUD, random_provider.CLOUD, time_provider.CLOUD)
}


def _find_cloud(type_: str) -> Cloud | None:
    """The simulated cloud that a resource type belongs to."""
    return _CLOUDS.get(type_.split(":", 1)[0])


def _find_model(type_: str) -> ResourceModel | None:
    cloud = _find_cloud(type_)
    return cloud.get_model(type_) if cloud else None


def find_unmodelled(types: Iterable[str]) -> list[str]:
    """The resource types that belong to a simulated cloud and have no model, sorted."""
    return sorted(type_ for type_ in set(types) if _find_cloud(type_) is not None and _find_model(type_) is None)


def find_one_writer(type_: str) -> OneWriter | None:
    """The rule of a type of which a cloud changes only one resource at a time; None for other types."""
    model = _find_model(type_)
    return model.one_writer if model else None


def is_never_updated(type_: str) -> bool:
    """Whether a cloud accepts updates of a type and changes nothing."""
    model = _find_model(type_)
    return model is not None and model.is_never_updated


def list_notes(resources: Iterable[Mapping[str, Any]], circumstances: Circumstances = USUAL) -> list[str]:
    """What the simulated clouds did not check in the resources of the engine's state, one line each."""
    state = StateStore(":memory:")
    lines: list[str] = []
    for resource in resources:
        type_, urn = str(resource["type"]), str(resource["urn"])
        cloud, model = _find_cloud(type_), _find_model(type_)
        if cloud is None or model is None:
            continue
        inputs = resource.get("inputs", {})
        request = ResourceRequest(type_, urn, inputs, state, cloud.account, circumstances=circumstances)
        lines += [f"{request.name}: {note}" for note in (rule(request) for rule in model.notes) if note]
    return lines


def list_old_calendars(today: date) -> list[str]:
    """Support calendars whose last comparison with their source is too old to be complete on the given day."""
    ages = (calendar.describe_age(today) for calendar in (AKS, EKS, AZURE_POSTGRESQL, RDS_POSTGRESQL))
    return [f"{age}, which is too long before {today} for it to have all versions of that day" for age in ages if age]


def describe_service_access(state: StateReader, caller: Caller) -> Iterator[ServiceAccess]:
    """The services that are reached apart from the management API, and whether the caller can reach them."""
    yield from aws_access.describe_service_access(state, caller)
    yield from azure_access.describe_service_access(state, caller)


def find_cluster_refusal(state: StateReader, caller: Caller) -> str:
    """Why the caller cannot reach the stack's cluster; empty if it can, or if there is no cluster."""
    services = describe_service_access(state, caller)
    return next((access.refusal for access in services if access.service == "Kubernetes API" and access.refusal), "")


def list_actors() -> list[str]:
    """The names of the actors of all clouds."""
    return sorted({*aws_movement.ACTORS, *azure_movement.ACTORS})


def move_clouds(state: StateStore, actor: str, today: date) -> list[str]:
    """Have an actor change existing resources; returns a line for each change."""
    acting = (actors[actor] for actors in (aws_movement.ACTORS, azure_movement.ACTORS) if actor in actors)
    return [line for act in acting for line in apply_moves(state, list(act(state, today)))]


def create_simulations(
    state: StateStore,
    drain: NodeDrain = NO_CLUSTER,
    circumstances: Circumstances = USUAL,
    *,
    renders_charts: bool = True,
    canaries: Canaries | None = None,
    check_use: UseCheck = lambda _state, _resource: (),
) -> dict[str, Simulation]:
    """A simulation of every cloud, all with the same state and cluster, keyed by the name of the Pulumi package.

    `canaries` collects the secrets that they generate. If grants take effect late, `check_use` refuses resources that
    use one too early, in addition to the rules of the models.
    """
    clouds = dict(_CLOUDS)
    if not renders_charts:
        clouds[offline_kubernetes.UNRENDERED.name] = offline_kubernetes.UNRENDERED
    canaries = Canaries() if canaries is None else canaries
    if circumstances.has_slow_grants:
        arguments = (state, drain, circumstances, canaries, EffectiveState(state), check_use)
        return {name: LateSimulation(cloud, *arguments) for name, cloud in clouds.items()}
    return {name: Simulation(cloud, state, drain, circumstances, canaries) for name, cloud in clouds.items()}
