"""The life of a stack on Azure: roles that take time, upgrades, autoscaling, a failover, and its destruction.

Proves from resource options and inputs that nothing uses a role before it is effective, and that later updates do not
revert what Azure changes by itself. It does not prove how long roles really take, nor how Azure handles a request
without a number of nodes or a zone: the simulated Azure is instant and changes nothing by itself.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from infra.core.settings import Cloud
from infra.core.settings.versions import KUBERNETES
from tests.support.recording import Recorder
from tests.support.sample_foundations import record_foundation

pytestmark = pytest.mark.slow

SLEEP = "time:index/sleep:Sleep"
ASSIGNMENT = "azure-native:authorization:RoleAssignment"
COSMOS_ASSIGNMENT = "azure-native:cosmosdb:SqlResourceSqlRoleAssignment"
GROUP = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def dev() -> Recorder:
    return record_foundation("azure", cluster={"admins": [GROUP]}).recorder


@pytest.fixture(scope="module")
def prod() -> Recorder:
    return record_foundation("azure", "prod").recorder


@pytest.mark.parametrize(
    ("type_", "name", "wait", "duration"),
    [
        ("containerregistry:Registry", "registry", "secrets-encryption-propagation", "10m"),
        ("storage:StorageAccount", "artifacts", "secrets-encryption-propagation", "10m"),
        ("storage:StorageAccount", "telemetry", "secrets-encryption-propagation", "10m"),
        ("dbforpostgresql:Server", "database", "secrets-encryption-propagation", "10m"),
        ("cosmosdb:DatabaseAccount", "experiments", "secrets-encryption-propagation", "10m"),
        ("compute:DiskEncryptionSet", "cluster-disks", "secrets-encryption-propagation", "10m"),
        ("containerservice:ManagedCluster", "cluster", "cluster-control-propagation", "10m"),
        ("machinelearningservices:Workspace", "training", "training-propagation", "10m"),
        ("cosmosdb:SqlResourceSqlRoleAssignment", "identity-training-models", "identity-propagation", "10m"),
    ],
)
def test_resources_wait_until_the_role_they_use_is_effective(
    dev: Recorder, type_: str, name: str, wait: str, duration: str
) -> None:
    assert (SLEEP, wait) in dev.list_dependencies(f"azure-native:{type_}", name)
    (sleep,) = [resource for resource in dev.of_type(SLEEP) if resource.name == wait]
    assert sleep.inputs["createDuration"] == duration


def test_every_identity_with_a_key_waits_for_its_role(dev: Recorder) -> None:
    """The test above covers all resources that are encrypted with the platform's key."""
    encrypted = [
        resource
        for resource in dev.resources
        if "-encryption" in str(resource.inputs.get("identity", {})) and resource.type != SLEEP
    ]
    assert len(encrypted) >= 6
    for resource in encrypted:
        waits = dev.list_dependencies(resource.type, resource.name)
        assert (SLEEP, "secrets-encryption-propagation") in waits, resource.name


def test_the_wait_follows_the_roles_that_it_is_for(dev: Recorder) -> None:
    waits = dev.list_dependencies(SLEEP, "cluster-control-propagation")
    assert {name for type_, name in waits if type_ == ASSIGNMENT and name.startswith("cluster-")} == {
        "cluster-control-nodes-subnet",
        "cluster-control-api-subnet",
        "cluster-control-kubelet",
        "cluster-control-disks",
        "cluster-control-key",
        "cluster-control-vault",
        "cluster-kubelet-pull",
    }


def test_changes_of_the_cosmos_account_follow_one_another(dev: Recorder) -> None:
    steps = [
        ("azure-native:network:PrivateEndpoint", "experiments"),
        ("azure-native:cosmosdb:SqlResourceSqlDatabase", "experiments"),
        ("azure-native:cosmosdb:SqlResourceSqlContainer", "experiments-results"),
        (COSMOS_ASSIGNMENT, "identity-training-models"),
        (COSMOS_ASSIGNMENT, "identity-experiment-router-assignments"),
        (COSMOS_ASSIGNMENT, "identity-experiment-router-results"),
    ]
    for before, after in pairwise(steps):
        assert before in dev.list_dependencies(*after)


def test_keys_and_secrets_are_deleted_only_with_their_vault(dev: Recorder) -> None:
    retained = [
        (resource.type, resource.name)
        for type_ in ("azure-native:keyvault:Key", "azure-native:keyvault:Secret")
        for resource in dev.of_type(type_)
    ]
    assert len(retained) >= 2
    assert [key for key in retained if not dev.requests[key].retainOnDelete] == []


def test_pools_have_the_version_of_the_cluster_and_follow_it(dev: Recorder) -> None:
    version = KUBERNETES[Cloud.AZURE].default
    cluster = dev.single("azure-native:containerservice:ManagedCluster")
    pool = dev.single("azure-native:containerservice:AgentPool")
    assert cluster.inputs["kubernetesVersion"] == version
    assert cluster.inputs["agentPoolProfiles"][0]["orchestratorVersion"] == version
    assert pool.inputs["orchestratorVersion"] == version
    assert (cluster.type, cluster.name) in dev.list_dependencies(pool.type, pool.name)


def test_no_number_of_nodes_is_sent_that_would_override_the_autoscaler(dev: Recorder) -> None:
    (system,) = dev.single("azure-native:containerservice:ManagedCluster").inputs["agentPoolProfiles"]
    user = dev.single("azure-native:containerservice:AgentPool").inputs
    for pool in (system, user):
        assert pool["enableAutoScaling"] is True
        assert "count" not in pool


def test_azure_chooses_the_zones_of_the_database(prod: Recorder) -> None:
    server = prod.single("azure-native:dbforpostgresql:Server").inputs
    assert server["highAvailability"]["mode"] == "ZoneRedundant"
    assert not server.get("availabilityZone")
    assert not server["highAvailability"].get("standbyAvailabilityZone")


@pytest.mark.parametrize(
    ("type_", "name"),
    [("keyvault:Vault", "vaultName"), ("machinelearningservices:Workspace", "workspaceName")],
)
def test_names_that_stay_in_use_after_deletion_differ_in_each_new_stack(
    dev: Recorder, prod: Recorder, type_: str, name: str
) -> None:
    """The digits are created with the stack, and deleted with it."""
    for recorder in (dev, prod):
        digits = {resource.outputs["hex"] for resource in recorder.of_type("random:index/randomId:RandomId")}
        names = [resource.inputs[name] for resource in recorder.of_type(f"azure-native:{type_}")]
        assert names
        assert all(name[-8:] in digits for name in names)


def test_admins_administer_the_cluster(dev: Recorder) -> None:
    cluster = dev.single("azure-native:containerservice:ManagedCluster")
    (grant,) = [resource.inputs for resource in dev.of_type(ASSIGNMENT) if resource.name.startswith("cluster-admin-")]
    assert grant["principalId"] == GROUP
    assert grant["principalType"] == "Group"
    assert grant["scope"].endswith(f"/{cluster.outputs['name']}")
    assert grant["roleDefinitionId"].endswith("/b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b")


def test_images_are_built_on_machines_that_reach_the_registry(dev: Recorder) -> None:
    compute = dev.single("azure-native:machinelearningservices:Compute").inputs
    assert (
        dev.single("azure-native:machinelearningservices:Workspace").inputs["imageBuildCompute"]
        == (compute["computeName"])
    )
