"""Access to what the foundations declare: who has it, from where, and with which identity.

Proves that the simulated clouds decide it from the declared network, ranges, entries and roles, that the declared ways
in are sufficient for everybody whom the settings name, and that each refusal names the setting that grants access. Not
proven: names in DNS, routes between networks, and rules of connected networks, which are not the stack's.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra import aws, azure
from rehearsal.project import Project, current
from rehearsal.scene import Scene
from rehearsal.simulator.clouds import describe_service_access, find_cluster_refusal
from rehearsal.simulator.core.access import ServiceAccess
from rehearsal.simulator.core.circumstances import Caller, Circumstances
from rehearsal.simulator.core.state_store import StateStore
from tests.support.recording import Recorder, record_program, stack_context

pytestmark = pytest.mark.slow

PUBLIC = {"authorizedRanges": ["203.0.113.0/24"]}
PRIVATE = {"privateAccessFrom": ["10.90.0.0/24"]}
GROUP, ROLE = "11111111-2222-3333-4444-555555555555", "arn:aws:iam::444455556666:role/ml-admins"
ADMINS = {"azure": [GROUP], "aws": [ROLE]}
FOUNDATIONS = {"azure": azure.create_foundation, "aws": aws.create_foundation}
each_cloud = pytest.mark.parametrize("cloud", FOUNDATIONS)
_DEPLOYED: dict[tuple[str, str], StateStore] = {}


@pytest.fixture(scope="module")
def project() -> Project:
    return current()


def find_caller(project: Project, name: str, cluster: dict[str, Any]) -> Caller:
    return Scene(caller=name).resolve(project, {f"{project.name}:cluster": cluster}).caller


def deploy(cloud: str, cluster: dict[str, Any], caller: Caller) -> StateStore:
    context = stack_context(cloud, cluster=cluster)
    recorder, _ = record_program(lambda: FOUNDATIONS[cloud](context), recorder=Recorder(Circumstances(caller=caller)))
    return recorder.state


def get_deployed(project: Project, cloud: str, cluster: dict[str, Any]) -> StateStore:
    """The state after a stack was deployed by its usual caller."""
    key = cloud, str(cluster)
    if key not in _DEPLOYED:
        _DEPLOYED[key] = deploy(cloud, cluster, find_caller(project, "inside", cluster))
    return _DEPLOYED[key]


def list_refused(state: StateStore, caller: Caller) -> list[ServiceAccess]:
    """The services that the caller cannot reach."""
    return [access for access in describe_service_access(state, caller) if access.refusal]


@each_cloud
@pytest.mark.parametrize("cluster", [PUBLIC, PRIVATE], ids=["public", "private"])
def test_callers_in_the_networks_of_the_settings_reach_the_cluster(
    project: Project, cloud: str, cluster: dict[str, Any]
) -> None:
    caller = find_caller(project, "inside", cluster)
    assert find_cluster_refusal(get_deployed(project, cloud, cluster), caller) == ""


@each_cloud
@pytest.mark.parametrize(
    ("cluster", "setting"), [(PUBLIC, "cluster.authorizedRanges"), (PRIVATE, "cluster.privateAccessFrom")]
)
def test_callers_elsewhere_do_not_reach_the_cluster_and_the_setting_is_named(
    project: Project, cloud: str, cluster: dict[str, Any], setting: str
) -> None:
    refusal = find_cluster_refusal(get_deployed(project, cloud, cluster), find_caller(project, "outside", cluster))
    assert refusal.startswith("configured Kubernetes cluster is unreachable")
    assert "i/o timeout" in refusal
    assert "198.51.100.7" in refusal
    assert refusal.endswith(f"The stack's setting for that is {setting}.")


@each_cloud
def test_another_range_of_a_private_network_is_not_admitted(project: Project, cloud: str) -> None:
    caller = find_caller(project, "inside", {"privateAccessFrom": ["10.91.0.0/24"]})
    assert "10.91.0.1" in find_cluster_refusal(get_deployed(project, cloud, PRIVATE), caller)


@each_cloud
@pytest.mark.parametrize("person", ["ci", "operator"])
def test_a_second_person_has_access_only_by_the_setting(project: Project, cloud: str, person: str) -> None:
    refusal = find_cluster_refusal(get_deployed(project, cloud, PUBLIC), find_caller(project, person, PUBLIC))
    assert "i/o timeout" not in refusal
    assert refusal.endswith("The stack's setting for that is cluster.admins.")
    cluster = {**PUBLIC, "admins": ADMINS[cloud]}
    assert find_cluster_refusal(get_deployed(project, cloud, cluster), find_caller(project, person, cluster)) == ""


@each_cloud
def test_a_pipeline_that_deploys_first_administers_what_it_creates(project: Project, cloud: str) -> None:
    caller = find_caller(project, "ci", PUBLIC)
    assert find_cluster_refusal(deploy(cloud, PUBLIC, caller), caller) == ""


def test_services_on_azure_are_closed_from_outside_and_open_inside(project: Project) -> None:
    state = get_deployed(project, "azure", PRIVATE)
    outside = {access.service for access in list_refused(state, find_caller(project, "outside", PRIVATE))}
    assert outside == {"Kubernetes API", "vault", "registry", "storage account", "document database", "database"}
    inside = list_refused(state, find_caller(project, "inside", PRIVATE))
    assert {access.service for access in inside} == {"vault"}
    assert all(access.refusal.startswith("ForbiddenByRbac: Caller") for access in inside)


def test_a_service_without_its_private_endpoint_is_unreachable(project: Project) -> None:
    (registry,) = get_deployed(project, "azure", PRIVATE).all("azure-native:containerregistry:Registry")
    state = StateStore(":memory:")
    for record in get_deployed(project, "azure", PRIVATE).all():
        is_endpoint = record.type == "azure-native:network:PrivateEndpoint"
        if not (is_endpoint and registry.id.lower() in str(record.inputs).lower()):
            state.put(record)
    caller = find_caller(project, "inside", PRIVATE)
    (refusal,) = [access.refusal for access in describe_service_access(state, caller) if access.service == "registry"]
    assert "no private endpoint leads to" in refusal


def test_keys_and_secrets_on_azure_are_not_deleted_through_their_unreachable_vault(project: Project) -> None:
    """The provider deletes them in the vault's data plane, which callers cannot reach and have no role for."""
    recorder = Recorder(Circumstances(caller=find_caller(project, "outside", PUBLIC)))
    record_program(lambda: azure.create_foundation(stack_context("azure", cluster=PUBLIC)), recorder=recorder)
    deleted_by_data_plane = ("azure-native:keyvault:Key", "azure-native:keyvault:Secret")
    assert all(recorder.of_type(type_) for type_ in deleted_by_data_plane)
    for (type_, _), request in recorder.requests.items():
        if type_ in deleted_by_data_plane:
            assert request.retainOnDelete


def test_databases_on_aws_are_reachable_only_inside_their_network(project: Project) -> None:
    callers = {
        "outside": find_caller(project, "outside", PUBLIC),
        "connected": Caller(address="10.200.0.1"),
        "own network": Caller(),
    }
    state = get_deployed(project, "aws", PUBLIC)
    refusals = {
        place: [access.refusal for access in describe_service_access(state, caller) if access.service == "database"]
        for place, caller in callers.items()
    }
    assert all("198.51.100.7 is outside" in refusal for refusal in refusals["outside"])
    assert all("none of its security groups admits 10.200.0.1" in refusal for refusal in refusals["connected"])
    assert all(refusal == "" for refusal in refusals["own network"])
