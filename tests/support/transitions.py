"""Updates of single resources, to test transitions that a simulated cloud refuses. Proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.node_drain import BlockedEviction
from rehearsal.simulator.core.resource_model import ResourceModel
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from rehearsal.simulator.core.values import Values
from tests.support.azure_subscription import with_change


class Change(NamedTuple):
    """A change of one property that the cloud refuses, and one that it accepts.

    accepted  another new value, or the old one if the property cannot change at all
    """

    type: str
    path: str
    old: Any
    accepted: Any
    refused: Any
    message: str


def find_update_error(
    simulation: Simulation,
    state: StateStore,
    type_: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    id_: str = "the-resource",
) -> str:
    """The cloud's error in the preview of an update; empty if it accepts."""
    before = state.get(type_, id_)
    state.put(ResourceRecord(type_, id_, "urn::x", 0, old, before.outputs if before else {}))
    try:
        simulation.update("urn::x", type_, id_, Values(dict(new)), Values(), preview=True)
    except CloudError as error:
        return str(error)
    return ""


def inputs_at(inputs: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The inputs with a value at a dotted path; None removes it."""
    with_value = with_change(dict(inputs), path, "")
    return with_change(with_value, path, value)


def has_transitions(model: ResourceModel) -> bool:
    return bool(model.transitions)


class FullNodes:
    """Nodes with one pod that cannot be evicted."""

    def find_blocked_eviction(self, pool: str) -> BlockedEviction | None:
        return BlockedEviction(
            node=f"{pool}-1",
            pod="mlflow/mlflow-0",
            budget="mlflow",
            error="Cannot evict pod as it would violate the pod's disruption budget.",
            detail="The disruption budget mlflow needs 1 healthy pods and has 1 currently",
        )
