"""What `infra.azure` declares, resource by resource.

Proves that tags, names, roles, node bounds and private access reach the resources as intended, and that the simulated
Azure accepts all of it in every environment. It does not prove that Azure itself does: quotas, feature flags of a
subscription and the time a role takes to spread are not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

import pytest

from infra.access import WORKLOADS, Access, Store, Workload
from infra.azure import create_foundation
from infra.azure.identity import ROLES, Role
from infra.azure.network import SubnetBlocks
from infra.contract import Foundation
from rehearsal.simulator.azure.cloud import MODELS
from rehearsal.simulator.azure.identity import ROLES as KNOWN_ROLES
from tests.support.recording import RecordedResource, Recorder, is_secret, record_program, stack_context

# Types of Azure that have no tags, or (Cosmos DB's parts) keep none.
UNTAGGED = frozenset(
    f"azure-native:{type_}"
    for type_ in (
        "authorization:RoleAssignment",
        "cosmosdb:SqlResourceSqlContainer",
        "cosmosdb:SqlResourceSqlDatabase",
        "cosmosdb:SqlResourceSqlRoleAssignment",
        "dbforpostgresql:Configuration",
        "dbforpostgresql:Database",
        "managedidentity:FederatedIdentityCredential",
        "monitor:DataCollectionRuleAssociation",
        "monitor:DiagnosticSetting",
        "network:PrivateDnsZoneGroup",
        "network:Subnet",
        "storage:BlobContainer",
        "storage:BlobServiceProperties",
        "storage:ManagementPolicy",
    )
)
CLOSED = (
    "azure-native:containerregistry:Registry",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:keyvault:Vault",
    "azure-native:machinelearningservices:Workspace",
    "azure-native:storage:StorageAccount",
)


@dataclass(frozen=True)
class Built:
    recorder: Recorder
    foundation: Foundation
    tags: Mapping[str, str]
    secret: Mapping[str, bool]

    def of(self, type_: str) -> list[RecordedResource]:
        return self.recorder.of(f"azure-native:{type_}")

    def one(self, type_: str) -> Mapping[str, Any]:
        return self.recorder.one(f"azure-native:{type_}").inputs


def build(environment: str = "dev", **settings: Any) -> Built:
    context = stack_context("azure", environment, **settings)
    recorder, built = record_program(lambda: create_foundation(context))
    secret = {
        "kubeconfig": is_secret(built.cluster.kubeconfig),
        "password": is_secret(built.tracking_db.password),
    }
    return Built(recorder, built, context.naming.tags, secret)


@pytest.fixture(scope="module")
def dev() -> Built:
    return build(
        cluster={
            "systemPool": {"minimum": 3, "maximum": 4},
            "userPool": {"size": "Standard_D8s_v5", "minimum": 1, "maximum": 7},
        },
        telemetry={"alertEmail": "ml@example.com"},
    )


@pytest.fixture(scope="module")
def prod() -> Built:
    return build("prod", cluster={"authorizedRanges": ["203.0.113.0/24"]})


def test_everything_that_can_carry_tags_carries_all_of_them(dev: Built) -> None:
    azure = [resource for resource in dev.recorder.resources if resource.type.startswith("azure-native:")]
    untagged = {
        resource.type
        for resource in azure
        if resource.type not in UNTAGGED and resource.inputs.get("tags") != dict(dev.tags)
    }
    assert azure
    assert untagged == set()


def test_the_simulated_azure_models_what_is_declared_and_nothing_else(dev: Built) -> None:
    declared = {r.type for r in dev.recorder.resources if r.type.startswith("azure-native:")}
    assert declared == set(MODELS)


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_the_longest_names_are_accepted(environment: str) -> None:
    built = build(environment, organization="abcdefgh")
    assert all(len(account.inputs["accountName"]) <= 24 for account in built.of("storage:StorageAccount"))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_has_the_roles_of_its_row_and_no_other(dev: Built, workload: Workload) -> None:
    """The registry's role on the registry, the artifacts' on their container, Cosmos DB's own on its account."""
    ends = {
        Store.ARTIFACTS: "/containers/mlflow",
        Store.REGISTRY: dev.one("containerregistry:Registry")["registryName"],
    }
    expected = {
        (role_of(store, access), ends[store])
        for store, access in workload.needs.items()
        if store in ends and access is not Access.CONNECT
    }
    cosmos = {
        {Access.READ: "1", Access.WRITE: "2"}[access]
        for store, access in workload.needs.items()
        if store is Store.EXPERIMENTS
    }
    principal = identity(dev, workload)["principalId"]
    granted = [r.inputs for r in dev.of("authorization:RoleAssignment") if r.inputs["principalId"] == principal]
    data = [r.inputs for r in dev.of("cosmosdb:SqlResourceSqlRoleAssignment") if r.inputs["principalId"] == principal]

    assert {
        (tail(grant["roleDefinitionId"]), end)
        for grant in granted
        for end in ends.values()
        if grant["scope"].endswith(end)
    } == expected
    assert len(granted) == len(expected)
    assert {grant["roleDefinitionId"][-1] for grant in data} == cosmos


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_only_the_workloads_service_account_may_take_its_identity(dev: Built, workload: Workload) -> None:
    (credential,) = [
        r.inputs
        for r in dev.of("managedidentity:FederatedIdentityCredential")
        if r.inputs["resourceName"] == identity(dev, workload)["name"]
    ]
    assert credential["subject"] == f"system:serviceaccount:{workload.namespace}:{workload.service_account}"
    assert (
        credential["issuer"]
        == dev.recorder.one("azure-native:containerservice:ManagedCluster").outputs["oidcIssuerProfile"]["issuerURL"]
    )


def test_every_role_is_a_built_in_role_known_elsewhere_by_its_name() -> None:
    """The GUIDs stand in two places, written separately: a slip in one of them shows."""
    assert {role.value for role in Role} <= set(KNOWN_ROLES)
    assert {pair: KNOWN_ROLES[role] for pair, role in ROLES.items()} == {
        (Store.ARTIFACTS, Access.READ): "Storage Blob Data Reader",
        (Store.ARTIFACTS, Access.WRITE): "Storage Blob Data Contributor",
        (Store.REGISTRY, Access.READ): "AcrPull",
        (Store.REGISTRY, Access.WRITE): "AcrPush",
    }


def test_pools_have_their_sizes_and_bounds(dev: Built) -> None:
    (system,) = dev.one("containerservice:ManagedCluster")["agentPoolProfiles"]
    user = dev.one("containerservice:AgentPool")
    assert [system[key] for key in ("count", "minCount", "maxCount")] == [3, 3, 4]
    assert [user[key] for key in ("vmSize", "count", "minCount", "maxCount")] == ["Standard_D8s_v5", 1, 1, 7]
    assert system["nodeTaints"] == ["CriticalAddonsOnly=true:NoSchedule"]
    for pool in (system, user):
        assert pool["availabilityZones"] == ["1", "2", "3"]
        assert pool["tags"] == dict(dev.tags)


def test_stores_are_reached_through_the_network_only(dev: Built) -> None:
    targets = [
        connection["privateLinkServiceId"]
        for endpoint in dev.of("network:PrivateEndpoint")
        for connection in endpoint.inputs["privateLinkServiceConnections"]
    ]
    for type_ in CLOSED:
        for store in dev.recorder.of(type_):
            settings = store.inputs.get("properties", store.inputs)
            assert settings["publicNetworkAccess"] == "Disabled", store.name
            assert any(target.endswith(f"/{store.outputs['name']}") for target in targets), store.name
    assert dev.one("dbforpostgresql:Server")["network"]["publicNetworkAccess"] == "Disabled"


def test_the_api_server_is_private_unless_ranges_are_authorized(dev: Built, prod: Built) -> None:
    closed = dev.one("containerservice:ManagedCluster")["apiServerAccessProfile"]
    opened = prod.one("containerservice:ManagedCluster")["apiServerAccessProfile"]
    assert closed["enablePrivateCluster"] is True
    assert "authorizedIPRanges" not in closed
    assert opened["enablePrivateCluster"] is False
    assert opened["authorizedIPRanges"] == ["203.0.113.0/24"]


def test_stores_are_encrypted_with_the_platforms_key(dev: Built) -> None:
    key = dev.recorder.one("azure-native:keyvault:Key").outputs
    (vault,) = [r.outputs["properties"]["vaultUri"] for r in dev.of("keyvault:Vault") if r.name == "secrets"]
    assert all(
        account.inputs["encryption"]["keyVaultProperties"] == {"keyVaultUri": vault, "keyName": key["name"]}
        for account in dev.of("storage:StorageAccount")
    )
    registry = dev.one("containerregistry:Registry")["encryption"]
    assert registry["keyVaultProperties"]["keyIdentifier"] == key["keyUri"]
    assert dev.one("cosmosdb:DatabaseAccount")["keyVaultKeyUri"] == key["keyUri"]
    assert dev.one("dbforpostgresql:Server")["dataEncryption"]["primaryKeyURI"] == key["keyUriWithVersion"]


def test_production_survives_a_zone_and_is_kept_longer(dev: Built, prod: Built) -> None:
    assert dev.one("dbforpostgresql:Server")["highAvailability"]["mode"] == "Disabled"
    assert prod.one("dbforpostgresql:Server")["highAvailability"]["mode"] == "ZoneRedundant"
    assert prod.one("dbforpostgresql:Server")["backup"]["backupRetentionDays"] == 35
    assert prod.one("cosmosdb:DatabaseAccount")["locations"][0]["isZoneRedundant"] is True
    assert "capabilities" not in prod.one("cosmosdb:DatabaseAccount")


def test_every_service_sends_its_audit_log_to_the_workspace(dev: Built) -> None:
    services = (
        "containerregistry:Registry",
        "containerservice:ManagedCluster",
        "cosmosdb:DatabaseAccount",
        "dbforpostgresql:Server",
        "keyvault:Vault",
        "machinelearningservices:Workspace",
    )
    names = {service.outputs["name"] for type_ in services for service in dev.of(type_)}
    logged = {tail(setting.inputs["resourceUri"]) for setting in dev.of("monitor:DiagnosticSetting")}
    assert names <= logged


def test_secrets_stay_secret(dev: Built) -> None:
    assert dev.secret == {"kubeconfig": True, "password": True}


@pytest.mark.parametrize("cidr", ["10.20.0.0/16", "10.20.0.0/20"])
def test_the_network_is_cut_without_overlap(cidr: str) -> None:
    cut = SubnetBlocks.split(cidr)
    blocks = [IPv4Network(block) for block in (cut.nodes, cut.endpoints, cut.database, cut.api)]
    assert all(block.subnet_of(IPv4Network(cidr)) for block in blocks)
    assert not any(one.overlaps(other) for one, other in combinations(blocks, 2))
    assert blocks[0].num_addresses >= 1000  # both pools at their most, 200 nodes, and room to replace them


def identity(built: Built, workload: Workload) -> Mapping[str, Any]:
    (found,) = [
        resource.outputs
        for resource in built.of("managedidentity:UserAssignedIdentity")
        if resource.name == f"identity-{workload.name}"
    ]
    return found


def role_of(store: Store, access: Access) -> str:
    return ROLES[store, access].value


def tail(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]
