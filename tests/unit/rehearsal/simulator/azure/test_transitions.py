"""Updates that Azure refuses because of the old values: for each restricted type, some are refused and others accepted.

Every model has to list its transitions, or that it has none (`UNRESTRICTED`): it does not load otherwise. A test here
fails if a model has transitions and no row has its type. Not proven: that Azure has these rules and messages. No test
calls Azure.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.cloud import CLOUD, MODELS
from rehearsal.simulator.azure.nodes import IMMUTABLE_POOL_PROPERTIES
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from tests.support.azure_subscription import (
    AKS,
    CRYPTO_USER,
    DATABASE,
    ENDPOINTS,
    NODES,
    OPERATOR,
    POOL,
    SERVER,
    VALID_INPUTS,
    VAULT,
    VNET,
    ZONE,
    Subscription,
    assign_role,
    identity_id,
    private_endpoint,
    subnet_inputs,
    with_change,
)
from tests.support.transitions import Change, FullNodes, find_update_error, has_transitions, inputs_at

_CLUSTER, _POOL = "containerservice:ManagedCluster", "containerservice:AgentPool"
_SERVER, _VAULT, _STORE = "dbforpostgresql:Server", "keyvault:Vault", "storage:StorageAccount"
_COSMOS, _CONTAINER = "cosmosdb:DatabaseAccount", "cosmosdb:SqlResourceSqlContainer"
_COSMOS_ROLE = "cosmosdb:SqlResourceSqlRoleAssignment"
_REGISTRY, _WORKSPACE = "containerregistry:Registry", "machinelearningservices:Workspace"
_ENDPOINT = "network:PrivateEndpoint"
_IMMOBILE = ("network:NetworkSecurityGroup", "network:NatGateway", "network:FlowLog", _ENDPOINT, _VAULT)
_SERVERLESS = [{"name": "EnableServerless"}]
_PROFILES = [[{**POOL, **change}] for change in ({}, {"maxCount": 9}, {"vmSize": "Standard_D8s_v5"})]
_ADDED = [*_PROFILES[0], {**POOL, "name": "user"}]

CHANGES = [
    Change(_COSMOS_ROLE, "principalId", "a", "a", "b", "Updating SQL Role Assignment Principal ID is not permitted"),
    Change(_COSMOS_ROLE, "scope", "/a", "/a", "/b", "Updating SQL Role Assignment Scope is not permitted"),
    Change(_SERVER, "storage.storageSizeGB", 64, 128, 32, "size of 32 GiB is less than the current size of 64"),
    Change(_SERVER, "storage.type", None, "Premium_LRS", "PremiumV2_LRS", "storage type cannot be changed"),
    Change(_SERVER, "version", "16", "17", "15", "changed from 16 to 15: only upgrades"),
    Change(_SERVER, "network.delegatedSubnetResourceId", DATABASE, DATABASE, NODES, "cannot be moved from subnet"),
    Change(_SERVER, "dataEncryption.type", None, "SystemManaged", "AzureKeyVault", "from None to AzureKeyVault"),
    Change(_VAULT, "properties.softDeleteRetentionInDays", 90, None, 7, "can't be modified: 90 cannot become 7"),
    Change(_VAULT, "properties.enablePurgeProtection", True, True, None, "cannot be set to false"),
    Change(_VAULT, "properties.enableSoftDelete", True, True, False, "cannot be set to false"),
    Change(_STORE, "kind", "BlobStorage", "StorageV2", "Storage", "'kind' was specified"),
    Change(_STORE, "encryption.requireInfrastructureEncryption", True, True, None, "cannot be updated from True"),
    Change(_STORE, "sku.name", "Standard_LRS", "Standard_GRS", "Standard_ZRS", "cannot be converted from Standard_LRS"),
    Change(_STORE, "sku.name", "Standard_ZRS", "Standard_GZRS", "Premium_ZRS", "cannot be converted"),
    Change(
        _REGISTRY, "zoneRedundancy", "Enabled", "Enabled", "Disabled", "redundancy of a registry cannot be disabled"
    ),
    Change(_REGISTRY, "encryption.status", "enabled", "enabled", "disabled", "enabled cannot become disabled"),
    Change(_REGISTRY, "encryption.status", None, "disabled", "enabled", "None cannot become enabled"),
    Change(
        "consumption:Budget",
        "timePeriod.startDate",
        "2026-11-01T00:00:00Z",
        "2026-11-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
        "Start date of budgets cannot be updated",
    ),
    Change(_COSMOS, "kind", "GlobalDocumentDB", "GlobalDocumentDB", "MongoDB", "kind of a database account"),
    Change(_COSMOS, "capabilities", _SERVERLESS, _SERVERLESS, [], "EnableServerless"),
    Change(_COSMOS, "backupPolicy.type", "Continuous", "Continuous", "Periodic", "cannot be changed to Periodic"),
    Change(
        _CONTAINER,
        "resource.partitionKey",
        {"paths": ["/a"]},
        {"paths": ["/a"], "kind": "Hash"},
        {"paths": ["/b"]},
        "key cannot be changed",
    ),
    Change(_CONTAINER, "resource.uniqueKeyPolicy", None, None, {"uniqueKeys": []}, "unique index cannot be modified"),
    Change("authorization:RoleAssignment", "roleDefinitionId", "a", "a", "b", "UpdateNotPermitted.* from a to b"),
    Change("applicationinsights:Component", "ingestionMode", "LogAnalytics", "LogAnalytics", None, "cannot return"),
    Change("network:PublicIPAddress", "zones", ["1"], ["1"], ["2"], "constraint .'1'. and the request has"),
    Change("network:NatGateway", "zones", None, None, ["2"], "constraint None and the request has"),
    Change("network:NatGateway", "sku.name", "Standard", "Standard", "StandardV2", "cannot change from Standard"),
    Change("compute:DiskEncryptionSet", "encryptionType", None, None, "Confidential", "'encryptionType'"),
    *(
        Change(
            type_, "location", "westeurope", "West Europe", "northeurope", "InvalidResourceLocation: .*'northeurope'"
        )
        for type_ in _IMMOBILE
    ),
    Change(_WORKSPACE, "keyVault", VAULT, VAULT, "another", "key vault of a workspace cannot be changed to another"),
    Change(_WORKSPACE, "storageAccount", "a", "a", "b", "storage of a workspace cannot be changed to b"),
    Change(_WORKSPACE, "hbiWorkspace", None, False, True, "hbiWorkspace of a workspace cannot be changed from None"),
    Change(_WORKSPACE, "encryption.status", "Enabled", "Enabled", "Disabled", "encryption of a workspace cannot be"),
    Change(
        _WORKSPACE,
        "managedNetwork.isolationMode",
        "AllowInternetOutbound",
        "AllowOnlyApprovedOutbound",
        "Disabled",
        "cannot be disabled",
    ),
    Change(_CLUSTER, "kubernetesVersion", "1.33", "1.34", "1.35", "Upgrading Kubernetes version 1.33 to 1.35 is not"),
    Change(_CLUSTER, "kubernetesVersion", "1.33.1", "1.34.0", "1.32", "Downgrading Kubernetes version from 1.33.1"),
    Change(
        _CLUSTER, "agentPoolProfiles", _PROFILES[0], _PROFILES[1], _PROFILES[2], "'properties.vmSize' is not allowed"
    ),
    Change(_CLUSTER, "agentPoolProfiles", _PROFILES[0], _PROFILES[0], _ADDED, "A new agent pool was introduced"),
    Change(_CLUSTER, "apiServerAccessProfile.enablePrivateCluster", True, True, False, "enablePrivateCluster"),
    Change(_CLUSTER, "oidcIssuerProfile.enabled", True, True, False, "OIDC issuer cannot be disabled"),
    Change(_CLUSTER, "aadProfile", {"managed": True}, {"managed": True, "tenantID": "t"}, None, "Entra integration"),
    *(
        Change(_POOL, path, None, None, "other", f"Changing property 'properties.{path}' is not allowed")
        for path in IMMUTABLE_POOL_PROPERTIES
    ),
    Change(_POOL, "orchestratorVersion", "1.33", "1.34", "1.32", "Downgrading agent pool version from 1.33 to 1.32"),
]
# These depend on other resources too; each has its own test below.
_IN_A_NETWORK = {"network:VirtualNetwork", "network:Subnet"}
_INPUTS: dict[str, dict[str, Any]] = {
    **VALID_INPUTS,
    "network:NatGateway": {"sku": {"name": "Standard"}},
    _ENDPOINT: private_endpoint(VAULT, "vault"),
    # A cluster with API server VNet integration can become public.
    _CLUSTER: with_change(AKS, "apiServerAccessProfile.enableVnetIntegration", None),
}


def _find_error(azure: Subscription, type_: str, old: dict[str, Any], new: dict[str, Any], id_: str = "it") -> str:
    return find_update_error(azure.simulation, azure.state, f"azure-native:{type_}", old, new, id_)


def test_every_restricted_type_is_tested() -> None:
    restricted = {type_ for type_, model in MODELS.items() if has_transitions(model)}
    tested = {change.type for change in CHANGES} | _IN_A_NETWORK
    assert restricted == {f"azure-native:{type_}" for type_ in tested}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.type}-{change.path}-{change.refused}"[:90])
def test_a_transition_is_refused_accepted_and_not_decided_while_unknown(azure: Subscription, change: Change) -> None:
    inputs = _INPUTS[change.type]
    old = inputs_at(inputs, change.path, change.old)
    accepted = (change.old, change.accepted, UNKNOWN)
    messages = [_find_error(azure, change.type, old, inputs_at(inputs, change.path, value)) for value in accepted]
    assert messages == ["", "", ""]
    refused = inputs_at(inputs, change.path, change.refused)
    assert re.search(change.message, _find_error(azure, change.type, old, refused))


def test_a_private_cluster_with_network_integration_can_become_public(azure: Subscription) -> None:
    public = with_change(AKS, "apiServerAccessProfile.enablePrivateCluster", False)
    assert _find_error(azure, _CLUSTER, AKS, public) == ""


def test_a_subnet_in_use_is_neither_moved_nor_delegated_elsewhere(azure: Subscription) -> None:
    moved = subnet_inputs("endpoints", "10.0.70.0/24")
    before = subnet_inputs("endpoints", "10.0.64.0/24")
    assert _find_error(azure, "network:Subnet", before, moved, ENDPOINTS) == ""
    azure.create("network:PrivateEndpoint", private_endpoint(VAULT, "vault"))
    assert "IpPrefix 10.0.64.0/24 on Subnet endpoints has active allocations" in _find_error(
        azure, "network:Subnet", before, moved, ENDPOINTS
    )
    azure.create("privatedns:PrivateZone", ZONE)
    azure.create(_SERVER, SERVER)
    delegations = [{"name": "s", "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}]
    delegated = subnet_inputs("database", "10.0.65.0/24", delegations=delegations)
    plain = subnet_inputs("database", "10.0.65.0/24")
    for before, after, values in (
        (delegated, plain, r"\[M\S+/flexibleServers\] to \[\]"),
        (plain, delegated, r"\[\] to \[M"),
    ):
        error = _find_error(azure, "network:Subnet", before, after, DATABASE)
        assert re.search(f"SubnetDelegationsCannotChangeWhenSubnetUsedByResource.* from {values}", error)


def test_a_subnet_with_private_endpoints_can_be_delegated(azure: Subscription) -> None:
    azure.create("network:PrivateEndpoint", private_endpoint(VAULT, "vault"))
    plain = subnet_inputs("endpoints", "10.0.64.0/24")
    delegations = [{"name": "s", "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}]
    assert _find_error(azure, "network:Subnet", plain, {**plain, "delegations": delegations}, ENDPOINTS) == ""


def test_the_address_space_of_a_network_must_contain_its_subnets(azure: Subscription) -> None:
    before = VALID_INPUTS["network:VirtualNetwork"]
    for prefixes, message in ((["10.0.0.0/16", "10.9.0.0/16"], ""), (["10.9.0.0/16"], "Subnet 'nodes' is not valid")):
        after = with_change(before, "addressSpace.addressPrefixes", prefixes)
        assert message in _find_error(azure, "network:VirtualNetwork", before, after, VNET)


def test_the_target_of_a_private_endpoint_cannot_change(azure: Subscription) -> None:
    before, after = private_endpoint(VAULT, "vault"), private_endpoint(f"{VAULT}-2", "vault")
    error = _find_error(azure, "network:PrivateEndpoint", before, after)
    assert error.startswith("CannotChangePrivateLinkConnectionOnPrivateEndpoint")


def test_the_minimum_of_an_existing_pool_may_be_above_its_count(azure: Subscription) -> None:
    """https://github.com/Azure/AKS/issues/1758: the autoscaler adds the nodes."""
    pool = {**VALID_INPUTS[_POOL], "count": 2, "minCount": 4}
    cluster = with_change(AKS, "agentPoolProfiles.0.minCount", 3)
    for type_, before, after in ((_POOL, VALID_INPUTS[_POOL], pool), (_CLUSTER, AKS, cluster)):
        assert "must lie between min count" in " ".join(azure.check(type_, after))
        assert azure.check(type_, after, before) == []


def test_pools_retain_their_version_until_upgraded_and_must_not_be_too_far_behind(cluster: Subscription) -> None:
    id_ = _create_cluster(cluster, "1.34")
    pool = {**VALID_INPUTS[_POOL], "vnetSubnetID": NODES, "vmSize": "Standard_D4s_v5"}
    with pytest.raises(CloudError, match=r"Node pool version 1\.35 and control plane version 1\.34 are incompatible"):
        cluster.create(_POOL, {**pool, "orchestratorVersion": "1.35"})
    _, outputs = cluster.create(_POOL, pool)
    assert outputs["currentOrchestratorVersion"] == "1.34"
    record = cluster.state.find(id_)
    assert record is not None
    for version in ("1.35", "1.36"):
        cluster.update(_CLUSTER, id_, {**AKS, "kubernetesVersion": version})
    record = cluster.state.find(id_)
    assert record is not None
    assert [pool["currentOrchestratorVersion"] for pool in record.outputs["agentPoolProfiles"]] == ["1.34"]
    with pytest.raises(CloudError, match="Minor version of node pool 34 is more than 2 versions less"):
        cluster.update(_CLUSTER, id_, {**AKS, "kubernetesVersion": "1.37"})


def _create_cluster(azure: Subscription, version: str) -> str:
    assign_role(azure, OPERATOR, identity_id("kubelet"))
    assign_role(azure, CRYPTO_USER, VAULT)
    return azure.create(_CLUSTER, {**AKS, "kubernetesVersion": version})[0]


def test_a_disruption_budget_can_block_the_upgrade_of_a_pool(cluster: Subscription) -> None:
    id_ = _create_cluster(cluster, "1.35")
    pool = {**VALID_INPUTS[_POOL], "vnetSubnetID": NODES, "vmSize": "Standard_D4s_v5"}
    pool_id, _ = cluster.create(_POOL, pool)
    full = Simulation(CLOUD, cluster.state, FullNodes())
    full.configure({"location": "westeurope"})
    cluster.simulation = full
    cluster.update(_CLUSTER, id_, {**AKS, "kubernetesVersion": "1.36"})  # upgrades only the control plane
    upgraded = [{**POOL, "orchestratorVersion": "1.36"}]
    for type_, updated, inputs in (
        (_POOL, pool_id, {**pool, "orchestratorVersion": "1.36"}),
        (_CLUSTER, id_, {**AKS, "kubernetesVersion": "1.36", "agentPoolProfiles": upgraded}),
    ):
        with pytest.raises(CloudError, match=r"Drain node \w+-1 failed when evicting pod mlflow-0 .* by pdb mlflow"):
            cluster.update(type_, updated, inputs)
    cluster.update(_POOL, pool_id, {**pool, "maxCount": 9})
