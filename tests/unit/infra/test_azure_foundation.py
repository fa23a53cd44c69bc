"""The resources that `infra.azure` declares.

Proves that tags, names, roles, node bounds and private access reach the resources as intended, and that the simulated
Azure accepts all of it in every environment. It does not prove that Azure itself does: quotas, feature flags of a
subscription and the propagation time of roles are not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

import pulumi
import pytest

from infra.access import WORKLOADS, Access, Store, Workload
from infra.azure import create_foundation
from infra.azure.identity import ROLES, Role
from infra.azure.network import SubnetBlocks
from infra.contract import Foundation
from rehearsal.simulator.azure.cloud import MODELS
from rehearsal.simulator.azure.identity import ROLES as KNOWN_ROLES
from tests.support.recording import RecordedResource, Recorder, is_secret, record_program, resolve, stack_context

pytestmark = pytest.mark.slow

# Types without tags; Cosmos DB does not store the tags of databases and containers.
UNTAGGED = frozenset(
    f"azure-native:{type_}"
    for type_ in (
        "authorization:RoleAssignment",
        "consumption:Budget",
        "containerservice:MaintenanceConfiguration",
        "cosmosdb:SqlResourceSqlContainer",
        "cosmosdb:SqlResourceSqlDatabase",
        "cosmosdb:SqlResourceSqlRoleAssignment",
        "dbforpostgresql:Configuration",
        "dbforpostgresql:Database",
        "managedidentity:FederatedIdentityCredential",
        "monitor:DataCollectionRuleAssociation",
        "monitor:DiagnosticSetting",
        "network:PrivateDnsZoneGroup",
        "network:VirtualNetworkPeering",
        "network:Subnet",
        "storage:BlobContainer",
        "storage:BlobServiceProperties",
        "storage:ManagementPolicy",
    )
)
HUB = (
    "/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/hub/providers/Microsoft.Network/"
    "virtualNetworks/hub"
)
PRIVATE = (
    "azure-native:containerregistry:Registry",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:keyvault:Vault",
    "azure-native:machinelearningservices:Workspace",
    "azure-native:storage:StorageAccount",
)
SUBSCRIPTION, TENANT = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"


@dataclass(frozen=True)
class DeclaredStack:
    recorder: Recorder
    foundation: Foundation
    tags: Mapping[str, str]
    secret: Mapping[str, bool]
    kubeconfig: str

    def of_type(self, type_: str) -> list[RecordedResource]:
        return self.recorder.of_type(f"azure-native:{type_}")

    def single(self, type_: str) -> Mapping[str, Any]:
        return self.recorder.single(f"azure-native:{type_}").inputs


def declare(environment: str = "dev", **settings: Any) -> DeclaredStack:
    context = stack_context("azure", environment, **settings)
    recorder, foundation = record_program(lambda: create_foundation(context))
    secret = {
        "kubeconfig": is_secret(foundation.cluster.kubeconfig),
        "password": is_secret(foundation.tracking_db.password),
    }
    kubeconfig = resolve(foundation.cluster.kubeconfig)
    return DeclaredStack(recorder, foundation, context.naming.tags, secret, kubeconfig)


@pytest.fixture(scope="module")
def dev() -> DeclaredStack:
    return declare(
        cluster={
            "systemPool": {"minimum": 3, "maximum": 4},
            "userPool": {"size": "Standard_D8s_v5", "minimum": 1, "maximum": 7},
        },
        network={"hub": HUB},
        telemetry={"alertEmail": "ml@example.com"},
        cost={"monthlyBudget": 5000},
        subscription=SUBSCRIPTION,
        tenant=TENANT,
        tags={"team": "recommendations"},
    )


@pytest.fixture(scope="module")
def prod() -> DeclaredStack:
    return declare("prod", cluster={"authorizedRanges": ["203.0.113.0/24"]})


def test_every_taggable_resource_has_the_stacks_tags(dev: DeclaredStack) -> None:
    azure = [resource for resource in dev.recorder.resources if resource.type.startswith("azure-native:")]
    untagged = {
        resource.type
        for resource in azure
        if resource.type not in UNTAGGED and resource.inputs.get("tags") != dict(dev.tags)
    }
    assert dev.tags["team"] == "recommendations"
    assert azure
    assert untagged == set()


def test_every_declared_azure_type_has_a_resource_model_and_no_other_type_has_one(dev: DeclaredStack) -> None:
    declared = {r.type for r in dev.recorder.resources if r.type.startswith("azure-native:")}
    assert declared == set(MODELS)


def test_the_provider_is_pinned_to_the_subscription_of_the_settings(dev: DeclaredStack, prod: DeclaredStack) -> None:
    pinned = dev.recorder.single("pulumi:providers:azure-native").inputs
    assert (pinned["subscriptionId"], pinned["tenantId"]) == (SUBSCRIPTION, TENANT)
    assert "subscriptionId" not in prod.recorder.single("pulumi:providers:azure-native").inputs


@pytest.mark.parametrize("stack", ["azure-abcdefghijkl", "_" + "Z" * 99])
def test_the_longest_names_are_accepted(stack: str) -> None:
    accounts = declare(stack=stack, organization="abcdefgh").of_type("storage:StorageAccount")
    assert all(len(account.inputs["accountName"]) <= 24 for account in accounts)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_has_the_roles_of_its_row_and_no_other(dev: DeclaredStack, workload: Workload) -> None:
    """Roles are assigned on the registry, the vault, and the containers of the object stores and of Cosmos DB."""
    (vault,) = [resource for resource in dev.of_type("keyvault:Vault") if resource.name == "secrets"]
    ends = {
        Store.ARTIFACTS: "/containers/mlflow",
        Store.INFERENCES: "/containers/inferences",
        Store.REGISTRY: dev.single("containerregistry:Registry")["registryName"],
        Store.SECRETS: vault.inputs["vaultName"],
        Store.LOGS: "/containers/logs",
        Store.TRACES: "/containers/traces",
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
    granted = [r.inputs for r in dev.of_type("authorization:RoleAssignment") if r.inputs["principalId"] == principal]
    data = [
        r.inputs for r in dev.of_type("cosmosdb:SqlResourceSqlRoleAssignment") if r.inputs["principalId"] == principal
    ]

    # Jobs of Azure ML run as the workload; their own store has a test in test_azure_training.
    jobs = {account.id for account in dev.of_type("storage:StorageAccount") if account.name == "training-jobs"}
    granted = [grant for grant in granted if grant["scope"] not in jobs]
    assert {
        (tail(grant["roleDefinitionId"]), end)
        for grant in granted
        for end in ends.values()
        if grant["scope"].endswith(end)
    } == expected
    assert len(granted) == len(expected)
    assert {grant["roleDefinitionId"][-1] for grant in data} == cosmos
    scopes = {grant["scope"].partition("/dbs/")[2] for grant in data}
    assert scopes == {f"experiments/colls/{table}" for table in workload.tables}


def test_inferences_and_records_of_experiments_expire(dev: DeclaredStack) -> None:
    (policy,) = (one for one in dev.of_type("storage:ManagementPolicy") if one.name == "artifacts")
    rules = {rule["name"]: rule["definition"] for rule in policy.inputs["policy"]["rules"]}
    assert rules["expired-inferences"]["filters"]["prefixMatch"] == ["inferences/"]
    deletion = rules["expired-inferences"]["actions"]["baseBlob"]["delete"]
    assert deletion == {"daysAfterModificationGreaterThan": 30}
    assert "prefixMatch" not in rules["old-versions"]["filters"]
    lifetimes = {
        one.inputs["containerName"]: one.inputs["resource"].get("defaultTtl")
        for one in dev.of_type("cosmosdb:SqlResourceSqlContainer")
    }
    assert lifetimes == {"models": None, "assignments": 90 * 24 * 3600, "results": 90 * 24 * 3600}


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_only_the_workloads_service_account_can_use_its_identity(dev: DeclaredStack, workload: Workload) -> None:
    (credential,) = [
        r.inputs
        for r in dev.of_type("managedidentity:FederatedIdentityCredential")
        if r.inputs["resourceName"] == identity(dev, workload)["name"]
    ]
    assert credential["subject"] == f"system:serviceaccount:{workload.namespace}:{workload.service_account}"
    assert (
        credential["issuer"]
        == dev.recorder.single("azure-native:containerservice:ManagedCluster").outputs["oidcIssuerProfile"]["issuerURL"]
    )


def test_every_role_is_a_built_in_role_with_the_same_name_in_the_simulator() -> None:
    """Program and simulator define the GUIDs independently, so a typo in one of them makes this fail."""
    assert {role.value for role in Role} <= set(KNOWN_ROLES)
    assert {pair: KNOWN_ROLES[role] for pair, role in ROLES.items()} == {
        (Store.ARTIFACTS, Access.READ): "Storage Blob Data Reader",
        (Store.ARTIFACTS, Access.WRITE): "Storage Blob Data Contributor",
        (Store.INFERENCES, Access.READ): "Storage Blob Data Reader",
        (Store.INFERENCES, Access.WRITE): "Storage Blob Data Contributor",
        (Store.REGISTRY, Access.READ): "AcrPull",
        (Store.REGISTRY, Access.WRITE): "AcrPush",
        (Store.SECRETS, Access.READ): "Key Vault Secrets User",
        (Store.LOGS, Access.READ): "Storage Blob Data Reader",
        (Store.LOGS, Access.WRITE): "Storage Blob Data Contributor",
        (Store.TRACES, Access.READ): "Storage Blob Data Reader",
        (Store.TRACES, Access.WRITE): "Storage Blob Data Contributor",
    }


def test_the_platforms_disks_are_encrypted_with_its_key_and_follow_pods_into_other_zones(dev: DeclaredStack) -> None:
    """They use the same disk encryption set as the nodes' disks, which the cluster's identity may read."""
    disks = dev.foundation.cluster.disks
    assert disks.provisioner == "disk.csi.azure.com"
    encryption = dev.recorder.single("azure-native:compute:DiskEncryptionSet").id
    known = {key: resolve(pulumi.Output.from_input(value)) for key, value in disks.parameters.items()}
    assert known == {"skuName": "StandardSSD_ZRS", "diskEncryptionSetID": encryption}
    control = dev.single("containerservice:ManagedCluster")["identity"]["userAssignedIdentities"]
    grants = [grant.inputs for grant in dev.of_type("authorization:RoleAssignment")]
    (grant,) = [grant for grant in grants if grant["scope"] == encryption]
    assert tail(grant["roleDefinitionId"]) == Role.READER
    reader = dev.recorder.state.find(control[0])
    assert reader is not None
    assert reader.outputs["principalId"] == grant["principalId"]


def test_external_secrets_signs_in_to_the_vault_with_its_service_account(dev: DeclaredStack) -> None:
    (vault,) = [resource for resource in dev.of_type("keyvault:Vault") if resource.name == "secrets"]
    store = dev.foundation.secrets.store_provider["azurekv"]
    assert resolve(store["vaultUrl"]) == vault.outputs["properties"]["vaultUri"]
    assert store["authType"] == "WorkloadIdentity"
    assert store["serviceAccountRef"] == {"name": "external-secrets", "namespace": "external-secrets"}


@pytest.mark.parametrize(("days", "expected"), [(30, 37), (365, 372)])
def test_logs_and_traces_older_than_the_retention_period_are_deleted(days: int, expected: int) -> None:
    """A week after Loki and Tempo delete them, which read their stores until then."""
    stack = declare(telemetry={"retentionDays": days})
    (policy,) = [one.inputs for one in stack.of_type("storage:ManagementPolicy") if one.name == "telemetry"]
    (rule,) = policy["policy"]["rules"]
    assert rule["definition"]["actions"] == {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": expected}}}


def test_pools_have_their_sizes_and_bounds(dev: DeclaredStack) -> None:
    (system,) = dev.single("containerservice:ManagedCluster")["agentPoolProfiles"]
    user = dev.single("containerservice:AgentPool")
    assert [system[key] for key in ("minCount", "maxCount")] == [3, 4]
    assert [user[key] for key in ("vmSize", "minCount", "maxCount")] == ["Standard_D8s_v5", 1, 7]
    assert system["nodeTaints"] == ["CriticalAddonsOnly=true:NoSchedule"]
    for pool in (system, user):
        assert pool["availabilityZones"] == ["1", "2", "3"]
        assert pool["tags"] == dict(dev.tags)


def test_stores_are_reachable_only_through_the_network(dev: DeclaredStack) -> None:
    targets = [
        connection["privateLinkServiceId"]
        for endpoint in dev.of_type("network:PrivateEndpoint")
        for connection in endpoint.inputs["privateLinkServiceConnections"]
    ]
    for type_ in PRIVATE:
        for store in dev.recorder.of_type(type_):
            settings = store.inputs.get("properties", store.inputs)
            assert settings["publicNetworkAccess"] == "Disabled", store.name
            assert any(target.endswith(f"/{store.outputs['name']}") for target in targets), store.name
    assert dev.single("dbforpostgresql:Server")["network"]["publicNetworkAccess"] == "Disabled"


def test_the_api_server_is_private_unless_ranges_are_authorized(dev: DeclaredStack, prod: DeclaredStack) -> None:
    closed = dev.single("containerservice:ManagedCluster")["apiServerAccessProfile"]
    opened = prod.single("containerservice:ManagedCluster")["apiServerAccessProfile"]
    assert closed["enablePrivateCluster"] is True
    assert "authorizedIPRanges" not in closed
    assert opened["enablePrivateCluster"] is False
    assert opened["authorizedIPRanges"] == ["203.0.113.0/24"]


def test_the_network_is_peered_with_the_hub_before_anything_uses_it(dev: DeclaredStack) -> None:
    peering = dev.single("network:VirtualNetworkPeering")
    assert peering["remoteVirtualNetwork"]["id"] == HUB
    assert peering["allowForwardedTraffic"] is True
    users = [(endpoint.type, endpoint.name) for endpoint in dev.of_type("network:PrivateEndpoint")]
    for user in (*users, ("azure-native:containerservice:ManagedCluster", "cluster")):
        assert ("azure-native:network:VirtualNetworkPeering", "network-hub") in dev.recorder.list_dependencies(*user)


def test_a_private_api_server_is_reachable_only_from_nodes_and_named_ranges(
    dev: DeclaredStack, prod: DeclaredStack
) -> None:
    nodes = SubnetBlocks.split("10.20.0.0/16").nodes
    rules = security_rules(dev, "network-api")
    assert {
        (rule["sourceAddressPrefix"], rule["destinationPortRange"]) for rule in rules if rule["access"] == "Allow"
    } == {(nodes, "443"), (nodes, "4443"), ("AzureLoadBalancer", "9988"), ("10.0.0.0/24", "443")}
    last = max(rules, key=lambda rule: int(rule["priority"]))
    assert (last["access"], last["sourceAddressPrefix"], last["destinationPortRange"]) == ("Deny", "*", "*")
    assert security_rules(prod, "network-api") == []


def test_the_kubeconfig_has_a_server_name_that_a_hub_resolves(dev: DeclaredStack) -> None:
    profile = dev.single("containerservice:ManagedCluster")["apiServerAccessProfile"]
    assert profile["enablePrivateClusterPublicFQDN"] is True
    cluster = dev.recorder.single("azure-native:containerservice:ManagedCluster").outputs
    assert f"https://{cluster['fqdn']}:443" in dev.kubeconfig


def test_production_survives_the_loss_of_a_zone_and_has_longer_backups(dev: DeclaredStack, prod: DeclaredStack) -> None:
    assert dev.single("dbforpostgresql:Server")["highAvailability"]["mode"] == "Disabled"
    assert prod.single("dbforpostgresql:Server")["highAvailability"]["mode"] == "ZoneRedundant"
    assert prod.single("dbforpostgresql:Server")["backup"]["backupRetentionDays"] == 35
    assert prod.single("cosmosdb:DatabaseAccount")["locations"][0]["isZoneRedundant"] is True
    assert "capabilities" not in prod.single("cosmosdb:DatabaseAccount")


def test_every_service_sends_its_audit_log_to_the_workspace(dev: DeclaredStack) -> None:
    services = (
        "containerregistry:Registry",
        "containerservice:ManagedCluster",
        "cosmosdb:DatabaseAccount",
        "dbforpostgresql:Server",
        "keyvault:Vault",
        "machinelearningservices:Workspace",
    )
    names = {service.outputs["name"] for type_ in services for service in dev.of_type(type_)}
    logged = {tail(setting.inputs["resourceUri"]) for setting in dev.of_type("monitor:DiagnosticSetting")}
    assert names <= logged


def test_secrets_stay_secret(dev: DeclaredStack) -> None:
    assert dev.secret == {"kubeconfig": True, "password": True}


@pytest.mark.parametrize("cidr", ["10.20.0.0/16", "10.20.0.0/20"])
def test_subnets_share_the_network_without_overlap(cidr: str) -> None:
    cut = SubnetBlocks.split(cidr)
    blocks = [IPv4Network(block) for block in (cut.nodes, cut.endpoints, cut.database, cut.api)]
    assert all(block.subnet_of(IPv4Network(cidr)) for block in blocks)
    assert not any(one.overlaps(other) for one, other in combinations(blocks, 2))
    assert blocks[0].num_addresses >= 1000  # both pools at their maximum of 200 nodes, and as many to replace them


def identity(stack: DeclaredStack, workload: Workload) -> Mapping[str, Any]:
    (inputs,) = [
        resource.outputs
        for resource in stack.of_type("managedidentity:UserAssignedIdentity")
        if resource.name == f"identity-{workload.name}"
    ]
    return inputs


def security_rules(stack: DeclaredStack, name: str) -> list[Mapping[str, Any]]:
    (group,) = [resource for resource in stack.of_type("network:NetworkSecurityGroup") if resource.name == name]
    return list(group.inputs.get("securityRules", []))


def role_of(store: Store, access: Access) -> str:
    return ROLES[store, access].value


def tail(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]
