"""Grants that take effect some time after they were created, and the pauses in which a program waits for them.

By default grants take effect immediately, and only the graph of resources shows whether a program waits. With
`GRANTS=slow`, a grant of this run takes effect after a pause that names it and is as long as the grant may take. A real
pause takes minutes, longer than every operation that does not wait for it; here it ends when nothing happens in the
clouds any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kernel.go_durations import parse_seconds
from kernel.paths import Path
from rehearsal.polling import wait_until
from rehearsal.simulator.azure.identity import ASSIGNMENT, ROLES
from rehearsal.simulator.core.canaries import Canaries
from rehearsal.simulator.core.circumstances import Circumstances
from rehearsal.simulator.core.cloud import Cloud
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.node_drain import NodeDrain
from rehearsal.simulator.core.resource_model import Resource, ResourceModel, ResourceRequest, StateReader
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from rehearsal.simulator.core.values import Values

PAUSE = "time:index/sleep:Sleep"
_ACCESS = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
# Seconds. Source: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting, and for roles within a
# cluster https://learn.microsoft.com/azure/aks/entra-id-authorization
_ASSIGNMENT_DELAY, _CLUSTER_DELAY = 600.0, 300.0
_CLUSTER_ROLE = "Azure Kubernetes Service RBAC Cluster Admin"
# The longest delay that was reported. Source: https://github.com/gravitational/teleport/pull/49467
_ACCESS_DELAY = 30.0
_QUIET = 1.0  # seconds without an operation in the clouds, after which nothing more is expected

UseCheck = Callable[[StateReader, Resource], Iterable[str]]
"""Why a resource cannot use the resources that it names with the grants in effect; empty if it can."""


def find_delay(type_: str, inputs: Mapping[str, Any]) -> float | None:
    """Seconds that a grant may take to become effective; None if the resource is not a grant."""
    if type_ == _ACCESS:
        return _ACCESS_DELAY
    if type_ != ASSIGNMENT:
        return None
    role = ROLES.get(str(inputs.get("roleDefinitionId")).rpartition("/")[2])
    return _CLUSTER_DELAY if role == _CLUSTER_ROLE else _ASSIGNMENT_DELAY


def get_length(pause: Mapping[str, Any]) -> float:
    """Seconds that the creation of a pause with these inputs takes."""
    return parse_seconds(str(pause.get("createDuration", "")))


class EffectiveState:
    """A state without the grants that are not in effect yet: new ones that no pause has waited for."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._old = frozenset(record.id for record in state.all() if _is_grant(record))

    def find(self, reference: str) -> Resource | None:
        found = self._state.find(reference)
        return found if found is None or self._is_in_effect(found) else None

    def all(self, type_: str) -> Iterable[Resource]:
        return [record for record in self._state.all(type_) if self._is_in_effect(record)]

    def _is_in_effect(self, record: Resource) -> bool:
        delay = find_delay(record.type, record.inputs)
        if delay is None or record.id in self._old:
            return True
        pauses = (each for each in self._state.all(PAUSE) if get_length(each.inputs) >= delay)
        return any(_names(pause, record) for pause in pauses)


class LateSimulation(Simulation):
    """A cloud whose grants take effect late."""

    def __init__(
        self,
        cloud: Cloud,
        state: StateStore,
        drain: NodeDrain,
        circumstances: Circumstances,
        canaries: Canaries,
        effective: EffectiveState,
        check_use: UseCheck,
    ) -> None:
        super().__init__(cloud, state, drain, circumstances, canaries)
        self._effective = effective
        self._check_use = check_use

    def with_own_configuration(self) -> Simulation:
        return LateSimulation(
            self._cloud,
            self._state,
            self._drain,
            self._circumstances,
            self._canaries,
            self._effective,
            self._check_use,
        )

    def create(self, urn: str, type_: str, inputs: Values, *, preview: bool) -> tuple[str, Values]:
        if type_ == PAUSE and not preview:
            _wait_for_quiet(self._state)
        return super().create(urn, type_, inputs, preview=preview)

    def _request(
        self, model: ResourceModel, urn: str, inputs: Values, *, generation: int = 0, id_: str = ""
    ) -> ResourceRequest:
        request = super()._request(model, urn, inputs, generation=generation, id_=id_)
        # Whether a grant exists already is known immediately.
        return request if find_delay(model.type, request.inputs) else replace(request, state=self._effective)

    def _require_acceptable(self, model: ResourceModel, request: ResourceRequest, secrets: Iterable[Path]) -> None:
        super()._require_acceptable(model, request, secrets)
        record = ResourceRecord(request.type, request.id, request.urn, request.generation, request.inputs, {})
        if reasons := list(self._check_use(self._effective, record)):
            raise CloudError("; ".join(reasons))


def _is_grant(record: Resource) -> bool:
    return find_delay(record.type, record.inputs) is not None


def _names(pause: Resource, grant: Resource) -> bool:
    """Whether a pause restarts for another grant: its triggers contain the grant's ID or its principal."""
    triggers = pause.inputs.get("triggers") or {}
    return bool({grant.id, grant.inputs.get("principalArn")} & {*triggers, *triggers.values()})


def _wait_for_quiet(state: StateStore) -> None:
    operations = _follow(state)
    wait_until(lambda: next(operations), timeout=float("inf"), interval=_QUIET / 5)


def _follow(state: StateStore) -> Iterator[bool]:
    """Yield, at every step, whether nothing has happened in the clouds for _QUIET seconds."""
    last, since = state.count_operations(), time.monotonic()
    while True:
        if (count := state.count_operations()) != last:
            last, since = count, time.monotonic()
        yield time.monotonic() - since >= _QUIET
