"""Grants that take effect late, as with `GRANTS=slow`.

Proves when a grant takes effect, that resources that use it earlier are refused, and that a pause ends after all
operations that do not wait for it. tests/unit/rehearsal/wiring/test_order.py proves that the stacks wait for grants.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rehearsal.simulator.clouds import create_simulations
from rehearsal.simulator.core.circumstances import Circumstances
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import Resource, StateReader
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from rehearsal.simulator.core.values import Values
from rehearsal.simulator.late_grants import PAUSE, EffectiveState, find_delay
from tests.support.azure_subscription import GROUP, OPERATOR, VALID_INPUTS

ASSIGNMENT, ACCESS = (
    "azure-native:authorization:RoleAssignment",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
)
ADMIN = "/roleDefinitions/b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
SLOW = Circumstances(has_slow_grants=True)


def assignment(name: str = "a", role: str = OPERATOR) -> ResourceRecord:
    return ResourceRecord(ASSIGNMENT, f"/x/{name}", "urn", 0, {"roleDefinitionId": role}, {})


def pause(length: str, **triggers: str) -> ResourceRecord:
    return ResourceRecord(PAUSE, length, "urn", 0, {"createDuration": length, "triggers": triggers}, {})


ACCESS_OF_ADA = ResourceRecord(ACCESS, "c#ada#p", "urn", 0, {"principalArn": "ada"}, {})


@pytest.mark.parametrize(
    ("grant", "waiting", "is_in_effect"),
    [
        (assignment(), [], False),
        (assignment(), [pause("10m", first="/x/a")], True),
        (assignment(), [pause("1h", first="/x/a")], True),
        (assignment(), [pause("10m", first="/x/b")], False),
        (assignment(), [pause("9m30s", first="/x/a")], False),
        (assignment(), [pause("10m")], False),
        (assignment(role=ADMIN), [pause("5m", first="/x/a")], True),
        (ACCESS_OF_ADA, [pause("30s", ada="cluster")], True),
        (ACCESS_OF_ADA, [pause("30s", grace="cluster")], False),
    ],
    ids=[
        "none",
        "as long",
        "longer",
        "for another grant",
        "too short",
        "for no grant",
        "role in a cluster",
        "for the principal",
        "for another principal",
    ],
)
def test_a_grant_takes_effect_once_a_pause_has_waited_for_it(
    grant: ResourceRecord, waiting: list[ResourceRecord], *, is_in_effect: bool
) -> None:
    state = StateStore(":memory:")
    effective = EffectiveState(state)
    for record in (grant, *waiting):
        state.put(record)
    assert list(effective.all(grant.type)) == ([grant] if is_in_effect else [])
    assert effective.find(grant.id) == (grant if is_in_effect else None)
    assert state.find(grant.id) == grant


def test_earlier_grants_are_in_effect() -> None:
    state = StateStore(":memory:")
    state.put(assignment())
    effective = EffectiveState(state)
    state.put(assignment("b"))
    assert [record.id for record in effective.all(ASSIGNMENT)] == ["/x/a"]


def test_only_grants_are_late() -> None:
    assert find_delay("azure-native:keyvault:Vault", {}) is None
    state = StateStore(":memory:")
    effective = EffectiveState(state)
    state.put(ResourceRecord("azure-native:keyvault:Vault", "/v", "urn", 0, {}, {}))
    assert effective.find("/v") is not None


def use_grant(effective: StateReader, resource: Resource) -> Iterator[str]:
    if resource.type.endswith(":VirtualNetwork") and not list(effective.all(ASSIGNMENT)):
        yield "it may not"


@pytest.fixture
def state() -> StateStore:
    return StateStore(":memory:")


@pytest.fixture
def simulations(state: StateStore) -> dict[str, Simulation]:
    found = create_simulations(state, circumstances=SLOW, check_use=use_grant)
    found["azure-native"].configure({"location": "westeurope"})
    return found


def create(simulations: dict[str, Simulation], type_: str, inputs: object, name: str = "x") -> str:
    cloud, urn = simulations[type_.split(":", 1)[0]], f"urn:pulumi:s::p::{type_}::{name}"
    assert isinstance(inputs, dict)
    complete, problems = cloud.check(urn, type_, Values(inputs))
    assert not problems
    return cloud.create(urn, type_, complete, preview=False)[0]


def assign(simulations: dict[str, Simulation]) -> str:
    create(simulations, "azure-native:resources:ResourceGroup", VALID_INPUTS["resources:ResourceGroup"])
    return create(simulations, ASSIGNMENT, {**VALID_INPUTS["authorization:RoleAssignment"], "scope": GROUP})


def test_a_resource_that_uses_a_grant_too_early_is_refused(simulations: dict[str, Simulation]) -> None:
    id_ = assign(simulations)
    network = ("azure-native:network:VirtualNetwork", VALID_INPUTS["network:VirtualNetwork"])
    with pytest.raises(CloudError, match=r"^it may not$"):
        create(simulations, *network)
    create(simulations, PAUSE, {"createDuration": "10m", "triggers": {"0": id_}})
    create(simulations, *network)


def test_another_instance_of_a_provider_has_the_same_grants(simulations: dict[str, Simulation]) -> None:
    assign(simulations)
    other = {**simulations, "azure-native": simulations["azure-native"].with_own_configuration()}
    other["azure-native"].configure({"location": "westeurope"})
    with pytest.raises(CloudError, match=r"^it may not$"):
        create(other, "azure-native:network:VirtualNetwork", VALID_INPUTS["network:VirtualNetwork"])


def test_a_grant_is_known_to_exist_immediately(simulations: dict[str, Simulation]) -> None:
    assign(simulations)
    name = "0a1b2c3d-0000-4000-8000-00000000000f"
    again = {**VALID_INPUTS["authorization:RoleAssignment"], "scope": GROUP, "roleAssignmentName": name}
    with pytest.raises(CloudError, match="RoleAssignmentExists"):
        create(simulations, ASSIGNMENT, again, "again")


def test_a_pause_ends_after_other_operations(state: StateStore, simulations: dict[str, Simulation]) -> None:
    waiting = threading.Thread(target=create, args=(simulations, PAUSE, {"createDuration": "10m"}))
    waiting.start()
    create(simulations, "azure-native:resources:ResourceGroup", VALID_INPUTS["resources:ResourceGroup"])
    waiting.join()
    assert [entry.type for entry in state.read_journal()] == ["azure-native:resources:ResourceGroup", PAUSE]
