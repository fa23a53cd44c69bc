"""The simulated Azure refuses what Azure refuses.

Proves for each rule that the good passes, the bad is refused, and that what a preview does not know yet passes. It does
not prove that Azure has the rule, or says it in these words: no test asks Azure. A refusal without an error code in
front paraphrases Azure; its code was not known.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from rehearsal.cloud.azure import CLOUD, MODELS
from rehearsal.cloud.model import Refusal
from rehearsal.cloud.simulation import Simulation
from rehearsal.cloud.values import UNKNOWN, Values
from rehearsal.cloud.world import FileWorld

SUBSCRIPTION = CLOUD.facts["subscriptionId"]
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
VNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-one"
NODES, API, DATABASE, ENDPOINTS = (f"{VNET}/subnets/{name}" for name in ("nodes", "api", "database", "endpoints"))
ROLES = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
OPERATOR = f"{ROLES}/f1a07417-d97a-45cb-824c-7a7467783830"
CRYPTO_USER = f"{ROLES}/12338af0-0e69-4776-bea7-57ae8d297424"
READER = f"{ROLES}/acdd72a7-3385-48ef-bd42-f606fba81ae7"


def identity_id(name: str) -> str:
    return f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


def in_group(**inputs: Any) -> dict[str, Any]:
    return {"resourceGroupName": "rg", **inputs}


def subnet(name: str, prefix: str, **inputs: Any) -> dict[str, Any]:
    return in_group(virtualNetworkName="vnet", subnetName=name, addressPrefix=prefix, **inputs)


POOL = {
    "name": "system",
    "mode": "System",
    "vmSize": "Standard_D4s_v5",
    "enableAutoScaling": True,
    "minCount": 2,
    "maxCount": 3,
    "count": 2,
    "vnetSubnetID": NODES,
}

# One accepted set of inputs for each type that has rules; several serve as the world that the others refer to.
GOOD: Mapping[str, dict[str, Any]] = {
    "resources:ResourceGroup": {"resourceGroupName": "rg"},
    "network:VirtualNetwork": in_group(virtualNetworkName="vnet", addressSpace={"addressPrefixes": ["10.0.0.0/16"]}),
    "network:Subnet": subnet("nodes", "10.0.0.0/18", natGateway={"id": "nat"}),
    "network:NetworkSecurityGroup": in_group(
        networkSecurityGroupName="nsg",
        securityRules=[
            {"name": "one", "priority": 100, "direction": "Inbound"},
            {"name": "two", "priority": 110, "direction": "Inbound"},
        ],
    ),
    "network:PublicIPAddress": in_group(
        publicIpAddressName="ip", sku={"name": "Standard"}, publicIPAllocationMethod="Static"
    ),
    "network:FlowLog": {
        "resourceGroupName": "NetworkWatcherRG",
        "networkWatcherName": "NetworkWatcher_westeurope",
        "flowLogName": "flows",
        "targetResourceId": VNET,
        "storageId": f"{GROUP}/providers/Microsoft.Storage/storageAccounts/store1",
        "retentionPolicy": {"enabled": True, "days": 90},
    },
    "privatedns:PrivateZone": in_group(privateZoneName="privatelink.azurecr.io", location="global"),
    "managedidentity:UserAssignedIdentity": in_group(resourceName="someone"),
    "managedidentity:FederatedIdentityCredential": in_group(
        resourceName="someone",
        federatedIdentityCredentialResourceName="kubernetes",
        issuer="https://issuer.example/",
        subject="system:serviceaccount:a:b",
        audiences=["api://AzureADTokenExchange"],
    ),
    "authorization:RoleAssignment": {
        "scope": VNET,
        "principalId": CLOUD.facts["objectId"],
        "roleDefinitionId": OPERATOR,
        "roleAssignmentName": "0a1b2c3d-0000-4000-8000-000000000000",
    },
    "operationalinsights:Workspace": in_group(workspaceName="logs", retentionInDays=30),
    "applicationinsights:Component": in_group(
        resourceName="insights",
        kind="web",
        applicationType="web",
        ingestionMode="LogAnalytics",
        workspaceResourceId=f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs",
    ),
    "monitor:ActionGroup": in_group(
        actionGroupName="alerts", groupShortName="groundwork", enabled=True, location="Global"
    ),
    "monitor:DiagnosticSetting": {
        "name": "audit",
        "resourceUri": VAULT,
        "workspaceId": f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs",
        "logs": [{"category": "AuditEvent", "enabled": True}],
    },
    "monitor:DataCollectionRule": in_group(
        dataCollectionRuleName="rule",
        destinations={"logAnalytics": [{"name": "logs"}]},
        dataFlows=[{"streams": ["Microsoft-KubeEvents"], "destinations": ["logs"]}],
    ),
    "keyvault:Vault": in_group(
        vaultName="kv-one",
        properties={
            "tenantId": CLOUD.facts["tenantId"],
            "sku": {"family": "A", "name": "standard"},
            "enablePurgeProtection": True,
            "softDeleteRetentionInDays": 90,
        },
    ),
    "keyvault:Key": in_group(vaultName="kv-one", keyName="platform", properties={"kty": "RSA", "keySize": 3072}),
    "keyvault:Secret": in_group(vaultName="kv-one", secretName="password", properties={"value": "made up"}),
    "containerregistry:Registry": in_group(
        registryName="registry1",
        sku={"name": "Premium"},
        publicNetworkAccess="Disabled",
        policies={"exportPolicy": {"status": "disabled"}, "retentionPolicy": {"status": "enabled", "days": 30}},
    ),
    "storage:StorageAccount": in_group(
        accountName="store1",
        kind="StorageV2",
        sku={"name": "Standard_ZRS"},
        encryption={
            "keySource": "Microsoft.Keyvault",
            "keyVaultProperties": {"keyVaultUri": "https://kv-one.vault.azure.net/", "keyName": "platform"},
        },
    ),
    "storage:BlobServiceProperties": in_group(
        accountName="store1", blobServicesName="default", deleteRetentionPolicy={"enabled": True, "days": 30}
    ),
    "storage:BlobContainer": in_group(accountName="store1", containerName="mlflow", publicAccess="None"),
    "storage:ManagementPolicy": in_group(accountName="store1", managementPolicyName="default", policy={"rules": []}),
    "cosmosdb:DatabaseAccount": in_group(
        accountName="cosmos1",
        databaseAccountOfferType="Standard",
        locations=[{"locationName": "westeurope"}],
        capabilities=[{"name": "EnableServerless"}],
        keyVaultKeyUri="https://kv-one.vault.azure.net/keys/platform",
        defaultIdentity="UserAssignedIdentity=x",
        backupPolicy={"type": "Continuous"},
    ),
    "cosmosdb:SqlResourceSqlDatabase": in_group(
        accountName="cosmos1", databaseName="experiments", resource={"id": "experiments"}
    ),
    "cosmosdb:SqlResourceSqlContainer": in_group(
        accountName="cosmos1",
        databaseName="experiments",
        containerName="results",
        resource={"id": "results", "partitionKey": {"paths": ["/experiment"], "kind": "Hash"}},
    ),
    "cosmosdb:SqlResourceSqlRoleAssignment": in_group(
        accountName="cosmos1",
        roleAssignmentId="0a1b2c3d-0000-4000-8000-000000000000",
        roleDefinitionId=f"{GROUP}/providers/Microsoft.DocumentDB/databaseAccounts/cosmos1/sqlRoleDefinitions/"
        "00000000-0000-0000-0000-000000000002",
        scope=f"{GROUP}/providers/Microsoft.DocumentDB/databaseAccounts/cosmos1",
        principalId=CLOUD.facts["objectId"],
    ),
    "dbforpostgresql:Server": in_group(
        serverName="pg-one",
        sku={"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"},
        storage={"storageSizeGB": 64},
        backup={"backupRetentionDays": 7},
        administratorLogin="mlflow",
        administratorLoginPassword="aB3aB3aB3aB3",
        availabilityZone="1",
        highAvailability={"mode": "ZoneRedundant", "standbyAvailabilityZone": "2"},
        network={
            "delegatedSubnetResourceId": DATABASE,
            "privateDnsZoneArmResourceId": f"{GROUP}/providers/Microsoft.Network/privateDnsZones/"
            "gw.private.postgres.database.azure.com",
        },
    ),
    "dbforpostgresql:Database": in_group(serverName="pg-one", databaseName="mlflow"),
    "dbforpostgresql:Configuration": in_group(
        serverName="pg-one", configurationName="require_secure_transport", value="on"
    ),
    "compute:DiskEncryptionSet": in_group(
        diskEncryptionSetName="disks",
        activeKey={"keyUrl": f"https://kv-one.vault.azure.net/keys/platform/{'0' * 32}"},
    ),
    "containerservice:ManagedCluster": in_group(
        resourceName="aks",
        dnsPrefix="aks",
        kubernetesVersion="1.33",
        agentPoolProfiles=[POOL],
        networkProfile={
            "podCidr": "10.244.0.0/16",
            "serviceCidr": "172.20.0.0/16",
            "dnsServiceIP": "172.20.0.10",
            "networkPolicy": "cilium",
            "networkDataplane": "cilium",
            "outboundType": "userAssignedNATGateway",
        },
        disableLocalAccounts=True,
        aadProfile={"managed": True},
        oidcIssuerProfile={"enabled": True},
        securityProfile={
            "workloadIdentity": {"enabled": True},
            "azureKeyVaultKms": {
                "enabled": True,
                "keyVaultNetworkAccess": "Private",
                "keyVaultResourceId": VAULT,
            },
        },
        apiServerAccessProfile={"enablePrivateCluster": True, "enableVnetIntegration": True, "subnetId": API},
        identity={"type": "UserAssigned", "userAssignedIdentities": [identity_id("control")]},
        identityProfile={"kubeletidentity": {"resourceId": identity_id("kubelet")}},
    ),
    "containerservice:AgentPool": in_group(
        resourceName="aks",
        agentPoolName="user",
        mode="User",
        enableAutoScaling=True,
        minCount=1,
        maxCount=5,
        count=1,
    ),
    "machinelearningservices:Workspace": in_group(
        workspaceName="workspace",
        storageAccount=f"{GROUP}/providers/Microsoft.Storage/storageAccounts/store1",
        keyVault=VAULT,
        applicationInsights=f"{GROUP}/providers/Microsoft.Insights/components/insights",
        identity={"type": "UserAssigned", "userAssignedIdentities": [identity_id("someone")]},
        primaryUserAssignedIdentity=identity_id("someone"),
        managedNetwork={"isolationMode": "AllowOnlyApprovedOutbound"},
    ),
    "machinelearningservices:Compute": in_group(
        workspaceName="workspace",
        computeName="low-priority",
        properties={
            "computeType": "AmlCompute",
            "properties": {
                "vmPriority": "LowPriority",
                "enableNodePublicIp": False,
                "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 4},
            },
        },
    ),
}

KMS = "securityProfile.azureKeyVaultKms"
SCALE = "properties.properties.scaleSettings"

# type, path, a value that Azure refuses there, and a piece of its words.
REFUSED = [
    ("resources:ResourceGroup", "resourceGroupName", "rg.", "InvalidResourceGroup"),
    ("network:VirtualNetwork", "addressSpace.addressPrefixes", ["10.0.0.1/16"], "should be 10.0.0.0/16"),
    ("network:VirtualNetwork", "addressSpace.addressPrefixes", ["ten"], "InvalidAddressPrefixFormat"),
    ("network:VirtualNetwork", "virtualNetworkName", "-vnet", "InvalidResourceName"),
    ("network:Subnet", "addressPrefix", "10.0.0.0/30", "too small"),
    ("network:Subnet", "addressPrefix", "10.0.1.0/18", "InvalidCIDRNotation"),
    ("network:NetworkSecurityGroup", "securityRules.0.priority", 99, "InvalidPriority"),
    ("network:NetworkSecurityGroup", "securityRules.0.priority", 110, "SecurityRuleConflict"),
    ("network:PublicIPAddress", "publicIPAllocationMethod", "Dynamic", "Static"),
    ("network:FlowLog", "retentionPolicy.days", 366, "0 to 365"),
    ("network:FlowLog", "networkWatcherName", "mine", "ResourceNotFound"),
    (
        "network:FlowLog",
        "targetResourceId",
        f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/nsg",
        "NSG flow logs",
    ),
    ("privatedns:PrivateZone", "privateZoneName", "azurecr", "invalid"),
    ("privatedns:PrivateZone", "location", "westeurope", "global"),
    ("managedidentity:UserAssignedIdentity", "resourceName", "ab", "InvalidResourceName"),
    ("managedidentity:FederatedIdentityCredential", "issuer", "http://issuer", "https"),
    ("managedidentity:FederatedIdentityCredential", "audiences", ["a", "b"], "exactly one"),
    ("authorization:RoleAssignment", "roleDefinitionId", f"{ROLES}/unheard-of", "RoleDefinitionDoesNotExist"),
    ("authorization:RoleAssignment", "roleAssignmentName", "mine", "GUID"),
    ("operationalinsights:Workspace", "retentionInDays", 731, "RetentionInDays"),
    ("operationalinsights:Workspace", "workspaceName", "log", "InvalidResourceName"),
    ("applicationinsights:Component", "workspaceResourceId", None, "WorkspaceResourceId"),
    ("monitor:ActionGroup", "groupShortName", "thirteen chars", "12 characters"),
    ("monitor:ActionGroup", "location", "westeurope", "Global"),
    ("monitor:DiagnosticSetting", "logs.0.category", "AuditEvents", "not supported"),
    ("monitor:DiagnosticSetting", "workspaceId", None, "data sink"),
    ("monitor:DataCollectionRule", "dataFlows.0.destinations", ["elsewhere"], "InvalidPayload"),
    ("keyvault:Vault", "vaultName", "kv--one", "VaultNameNotValid"),
    ("keyvault:Vault", "vaultName", "a" * 25, "VaultNameNotValid"),
    ("keyvault:Vault", "properties.enablePurgeProtection", False, "irreversible"),
    ("keyvault:Vault", "properties.softDeleteRetentionInDays", 91, "between 7 and 90"),
    ("keyvault:Key", "keyName", "my_key", "BadParameter"),
    ("keyvault:Key", "properties.kty", "AES", "key type"),
    ("keyvault:Key", "properties.keySize", 1024, "key size"),
    ("keyvault:Secret", "secretName", "my_secret", "BadParameter"),
    ("keyvault:Secret", "properties.value", "x" * 25_601, "25k"),
    ("containerregistry:Registry", "registryName", "registry-1", "registry name"),
    ("containerregistry:Registry", "sku.name", "Standard", "Premium"),
    ("containerregistry:Registry", "publicNetworkAccess", "Enabled", "xports can be disabled only"),
    ("containerregistry:Registry", "policies.retentionPolicy.days", 400, "365"),
    ("storage:StorageAccount", "accountName", "Store1", "AccountNameInvalid"),
    ("storage:StorageAccount", "accountName", "a" * 25, "AccountNameInvalid"),
    ("storage:StorageAccount", "sku.name", "Standard_XRS", "sku"),
    ("storage:StorageAccount", "encryption.keyVaultProperties", None, "keyVaultProperties"),
    ("storage:BlobServiceProperties", "blobServicesName", "mine", "default"),
    ("storage:BlobServiceProperties", "deleteRetentionPolicy.days", 0, "365"),
    ("storage:BlobContainer", "containerName", "MLflow", "invalid characters"),
    ("storage:ManagementPolicy", "managementPolicyName", "mine", "default"),
    ("cosmosdb:DatabaseAccount", "accountName", "Cosmos", "lower-case"),
    ("cosmosdb:DatabaseAccount", "locations", [{"locationName": "a"}, {"locationName": "b"}], "multiple regions"),
    ("cosmosdb:DatabaseAccount", "defaultIdentity", None, "user-assigned"),
    (
        "cosmosdb:SqlResourceSqlDatabase",
        "options",
        {"autoscaleSettings": {"maxThroughput": 400}},
        "1000",
    ),
    ("cosmosdb:SqlResourceSqlContainer", "resource.partitionKey.paths", ["experiment"], "could not be accepted"),
    ("cosmosdb:SqlResourceSqlContainer", "resource.partitionKey.paths", ["/a", "/b"], "at most 1"),
    ("cosmosdb:SqlResourceSqlRoleAssignment", "roleDefinitionId", "elsewhere", "Role Definition"),
    ("cosmosdb:SqlResourceSqlRoleAssignment", "roleAssignmentId", "mine", "GUID"),
    ("dbforpostgresql:Server", "serverName", "PG", "server name"),
    ("dbforpostgresql:Server", "administratorLogin", "admin", "reserved"),
    ("dbforpostgresql:Server", "administratorLogin", "pg_mlflow", "reserved"),
    ("dbforpostgresql:Server", "administratorLoginPassword", "onlyletters", "complexity"),
    ("dbforpostgresql:Server", "sku.tier", "MemoryOptimized", "not one of the tier"),
    ("dbforpostgresql:Server", "sku", {"name": "Standard_B2s", "tier": "Burstable"}, "Burstable tier"),
    ("dbforpostgresql:Server", "storage.storageSizeGB", 100, "not a size of disk"),
    ("dbforpostgresql:Server", "backup.backupRetentionDays", 36, "7 to 35"),
    ("dbforpostgresql:Server", "highAvailability.standbyAvailabilityZone", "1", "another zone"),
    ("dbforpostgresql:Server", "network.privateDnsZoneArmResourceId", None, "privateDnsZoneArmResourceId"),
    ("dbforpostgresql:Database", "databaseName", "9lives", "database name"),
    ("dbforpostgresql:Configuration", "configurationName", "force_tls", "does not exist"),
    ("dbforpostgresql:Configuration", "value", "maybe", "InvalidParameterValue"),
    ("compute:DiskEncryptionSet", "activeKey.keyUrl", "https://kv-one.vault.azure.net/keys/platform", "version"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.name", "System", "InvalidParameter"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.name", "a" * 13, "12 characters"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.mode", "User", "system agent pool"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.maxCount", None, "must be set"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.count", 9, "must lie between"),
    ("containerservice:ManagedCluster", "kubernetesVersion", "1.20", "K8sVersionNotSupported"),
    ("containerservice:ManagedCluster", "networkProfile.dnsServiceIP", "172.21.0.10", "not in the service CIDR"),
    ("containerservice:ManagedCluster", "networkProfile.dnsServiceIP", "172.20.0.1", "first address"),
    ("containerservice:ManagedCluster", "networkProfile.podCidr", "172.16.0.0/12", "overlaps the service CIDR"),
    ("containerservice:ManagedCluster", "networkProfile.networkDataplane", "azure", "cilium"),
    ("containerservice:ManagedCluster", "aadProfile", None, "Entra"),
    ("containerservice:ManagedCluster", "oidcIssuerProfile", {"enabled": False}, "OIDC issuer"),
    ("containerservice:ManagedCluster", "apiServerAccessProfile.authorizedIPRanges", ["203.0.113.0/24"], "Private"),
    ("containerservice:ManagedCluster", "apiServerAccessProfile.enableVnetIntegration", False, "VNet integration"),
    ("containerservice:AgentPool", "agentPoolName", "user-pool", "InvalidParameter"),
    ("containerservice:AgentPool", "minCount", 6, "must lie between"),
    ("containerservice:AgentPool", "mode", "Spot", "mode"),
    ("machinelearningservices:Workspace", "workspaceName", "ml", "ValidationError"),
    ("machinelearningservices:Workspace", "primaryUserAssignedIdentity", identity_id("other"), "identities"),
    ("machinelearningservices:Compute", "computeName", "low-1", "Compute name"),
    ("machinelearningservices:Compute", "properties.properties.vmPriority", "Spot", "VM priority"),
    ("machinelearningservices:Compute", f"{SCALE}.minNodeCount", 5, "greater"),
]


def changed(inputs: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the inputs with another value at a dotted path; None takes it away."""
    copied = copy.deepcopy(inputs)
    *steps, last = path.split(".")
    holder: Any = copied
    for step in steps:
        holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return copied


class Azure:
    """The simulated Azure with a world of its own."""

    def __init__(self) -> None:
        self.simulation = Simulation(CLOUD, FileWorld(":memory:"))
        self.simulation.configure({"location": "westeurope"})

    def check(self, type_: str, inputs: dict[str, Any]) -> list[str]:
        return self.simulation.check("urn::x", f"azure-native:{type_}", Values(inputs))

    def create(self, type_: str, inputs: dict[str, Any], name: str = "") -> tuple[str, Mapping[str, Any]]:
        urn = f"urn:pulumi:s::p::azure-native:{type_}::{name or len(str(inputs))}"
        id_, outputs = self.simulation.create(urn, f"azure-native:{type_}", Values(inputs), preview=False)
        return id_, outputs.plain

    def update(self, type_: str, id_: str, inputs: dict[str, Any]) -> None:
        self.simulation.update("urn::x", f"azure-native:{type_}", id_, Values(inputs), Values(), preview=False)

    def good(self, *types: str) -> None:
        for type_ in types:
            self.create(type_, GOOD[type_])


@pytest.fixture
def azure() -> Azure:
    """A group, a network with its four subnets, and a vault with a key."""
    azure = Azure()
    azure.good("resources:ResourceGroup", "network:VirtualNetwork", "keyvault:Vault", "keyvault:Key")
    azure.create("network:NatGateway", in_group(natGatewayName="nat", sku={"name": "Standard"}))
    nat = f"{GROUP}/providers/Microsoft.Network/natGateways/nat"
    azure.create("network:Subnet", subnet("nodes", "10.0.0.0/18", natGateway={"id": nat}))
    azure.create("network:Subnet", subnet("endpoints", "10.0.64.0/24"))
    for name, block, service in (
        ("database", "10.0.65.0/24", "Microsoft.DBforPostgreSQL/flexibleServers"),
        ("api", "10.0.66.0/24", "Microsoft.ContainerService/managedClusters"),
    ):
        azure.create("network:Subnet", subnet(name, block, delegations=[{"name": "s", "serviceName": service}]))
    return azure


@pytest.fixture
def cluster(azure: Azure) -> Azure:
    """What a cluster needs beside the network, all but the roles of its identity."""
    for name in ("control", "kubelet"):
        azure.create("managedidentity:UserAssignedIdentity", in_group(resourceName=name), name)
    return azure


def permit(azure: Azure, role: str, scope: str) -> None:
    control = azure.simulation._world.find(identity_id("control"))
    assert control
    inputs = {"scope": scope, "principalId": control.outputs["principalId"], "roleDefinitionId": role}
    azure.create("authorization:RoleAssignment", inputs, role[-4:])


def test_every_type_has_its_entry_once() -> None:
    assert {type_: model.type for type_, model in MODELS.items()} == {type_: type_ for type_ in MODELS}
    assert {f"azure-native:{type_}" for type_ in GOOD} <= set(MODELS)


@pytest.mark.parametrize("type_", GOOD)
def test_the_good_passes(type_: str) -> None:
    assert Azure().check(type_, GOOD[type_]) == []


@pytest.mark.parametrize(("type_", "path", "value", "words"), REFUSED)
def test_the_bad_is_refused(type_: str, path: str, value: Any, words: str) -> None:
    reasons = Azure().check(type_, changed(GOOD[type_], path, value))
    assert len(reasons) == 1
    assert words in reasons[0]


@pytest.mark.parametrize(("type_", "path"), sorted({(type_, path) for type_, path, *_ in REFUSED}))
def test_the_unknown_passes(type_: str, path: str) -> None:
    assert Azure().check(type_, changed(GOOD[type_], path, UNKNOWN)) == []
    whole = path.split(".", 1)[0]
    assert Azure().check(type_, changed(GOOD[type_], whole, UNKNOWN)) == []


def endpoint(target: str, group: str, home: str = ENDPOINTS) -> dict[str, Any]:
    connection = {"name": group, "privateLinkServiceId": target, "groupIds": [group]}
    return in_group(privateEndpointName="pe", subnet={"id": home}, privateLinkServiceConnections=[connection])


ZONES = f"{GROUP}/providers/Microsoft.Network/privateDnsZones"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/registry1"
SMALL_REGISTRY = in_group(registryName="registry1", sku={"name": "Standard"})
LINK = in_group(
    privateZoneName="privatelink.azurecr.io",
    virtualNetworkLinkName="one",
    location="global",
    virtualNetwork={"id": VNET},
)
ZONE = in_group(privateZoneName="gw.private.postgres.database.azure.com", location="global")
CARELESS_VAULT = in_group(vaultName="kv-two", properties={"tenantId": "t", "sku": {"name": "standard"}})
AKS = GOOD["containerservice:ManagedCluster"]
ROLE = GOOD["authorization:RoleAssignment"]
SERVER = GOOD["dbforpostgresql:Server"]

# What has to be there first, the type asked for, its inputs, and a piece of Azure's words.
IMPOSSIBLE: list[tuple[list[tuple[str, dict[str, Any]]], str, dict[str, Any], str]] = [
    ([], "managedidentity:UserAssignedIdentity", {"resourceGroupName": "no", "resourceName": "abc"}, "GroupNotFound"),
    ([], "network:Subnet", subnet("far", "10.1.0.0/24"), "NetcfgInvalidSubnet"),
    ([], "network:Subnet", subnet("twin", "10.0.65.0/25"), "NetcfgSubnetRangesOverlap"),
    ([], "network:Subnet", {**subnet("x", "10.0.99.0/24"), "virtualNetworkName": "other"}, "ParentResourceNotFound"),
    (
        [],
        "network:Subnet",
        subnet("x", "10.0.99.0/24", networkSecurityGroup={"id": f"{GROUP}/providers/Microsoft.Network/nsg/x"}),
        "InvalidResourceReference",
    ),
    (
        [("containerregistry:Registry", SMALL_REGISTRY)],
        "network:PrivateEndpoint",
        endpoint(REGISTRY, "registry"),
        "SKU",
    ),
    ([], "network:PrivateEndpoint", endpoint(VAULT, "blob"), "is not a group"),
    ([], "network:PrivateEndpoint", endpoint(VAULT, "vault", DATABASE), "delegated to"),
    (
        [("privatedns:PrivateZone", GOOD["privatedns:PrivateZone"]), ("privatedns:VirtualNetworkLink", LINK)],
        "privatedns:VirtualNetworkLink",
        {**LINK, "virtualNetworkLinkName": "two"},
        "overlapping namespaces",
    ),
    ([], "authorization:RoleAssignment", {**ROLE, "principalId": "x"}, "PrincipalNotFound"),
    (
        [("authorization:RoleAssignment", ROLE)],
        "authorization:RoleAssignment",
        {**ROLE, "roleAssignmentName": "0a1b2c3d-0000-4000-8000-000000000009"},
        "RoleAssignmentExists",
    ),
    (
        [],
        "authorization:RoleAssignment",
        {**ROLE, "scope": f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-two"},
        "ResourceNotFound",
    ),
    (
        [],
        "authorization:RoleAssignment",
        {**ROLE, "scope": "/subscriptions/other/resourceGroups/rg"},
        "SubscriptionNotFound",
    ),
    ([], "keyvault:Key", in_group(vaultName="kv-one", keyName="hsm", properties={"kty": "RSA-HSM"}), "premium"),
    (
        [],
        "compute:DiskEncryptionSet",
        in_group(
            diskEncryptionSetName="disks",
            activeKey={"keyUrl": f"https://kv-one.vault.azure.net/keys/lost/{'0' * 32}"},
        ),
        "KeyNotFound",
    ),
    (
        [("keyvault:Vault", CARELESS_VAULT)],
        "storage:StorageAccount",
        changed(
            GOOD["storage:StorageAccount"],
            "encryption.keyVaultProperties.keyVaultUri",
            "https://kv-two.vault.azure.net/",
        ),
        "KeyVaultPolicyError",
    ),
    (
        [("storage:StorageAccount", GOOD["storage:StorageAccount"])],
        "storage:BlobContainer",
        {**GOOD["storage:BlobContainer"], "publicAccess": "Blob"},
        "PublicAccessNotPermitted",
    ),
    (
        [("cosmosdb:DatabaseAccount", GOOD["cosmosdb:DatabaseAccount"])],
        "cosmosdb:SqlResourceSqlDatabase",
        {**GOOD["cosmosdb:SqlResourceSqlDatabase"], "options": {"autoscaleSettings": {"maxThroughput": 1000}}},
        "serverless",
    ),
    (
        [("privatedns:PrivateZone", ZONE)],
        "dbforpostgresql:Server",
        changed(SERVER, "network.delegatedSubnetResourceId", API),
        "not delegated",
    ),
    (
        [("privatedns:PrivateZone", GOOD["privatedns:PrivateZone"])],
        "dbforpostgresql:Server",
        changed(SERVER, "network.privateDnsZoneArmResourceId", f"{ZONES}/privatelink.azurecr.io"),
        "must end with",
    ),
]


@pytest.mark.parametrize(("before", "type_", "inputs", "words"), IMPOSSIBLE)
def test_what_does_not_fit_the_world_is_refused(
    azure: Azure, before: list[tuple[str, dict[str, Any]]], type_: str, inputs: dict[str, Any], words: str
) -> None:
    for other, theirs in before:
        azure.create(other, theirs)
    assert azure.check(type_, inputs) == []
    with pytest.raises(Refusal, match=words):
        azure.create(type_, inputs)


def test_what_fits_the_world_is_created(azure: Azure) -> None:
    """The same steps as above, with nothing wrong: it is the fault that is refused, not the step."""
    azure.create("network:Subnet", subnet("near", "10.0.99.0/24"))
    azure.good("containerregistry:Registry", "privatedns:PrivateZone", "storage:StorageAccount")
    azure.good("storage:BlobContainer", "cosmosdb:DatabaseAccount", "cosmosdb:SqlResourceSqlDatabase")
    azure.good("authorization:RoleAssignment", "cosmosdb:SqlResourceSqlContainer")
    azure.good("cosmosdb:SqlResourceSqlRoleAssignment", "operationalinsights:Workspace", "monitor:DiagnosticSetting")
    azure.create("privatedns:VirtualNetworkLink", LINK)
    azure.create("network:PrivateEndpoint", endpoint(REGISTRY, "registry"))
    azure.create("privatedns:PrivateZone", ZONE)
    azure.good("dbforpostgresql:Server", "network:FlowLog")
    version = next(iter(azure.simulation._world.all("azure-native:keyvault:Key"))).outputs["keyUriWithVersion"]
    azure.create("compute:DiskEncryptionSet", in_group(diskEncryptionSetName="d", activeKey={"keyUrl": version}))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("networkProfile.serviceCidr", "10.0.0.0/16", "ServiceCidrOverlapExistingSubnetsCidr"),
        ("networkProfile.podCidr", "10.0.0.0/16", "overlaps the subnet CIDR"),
        ("agentPoolProfiles.0.vnetSubnetID", ENDPOINTS, "NAT gateway"),
        ("apiServerAccessProfile.subnetId", ENDPOINTS, "not delegated"),
    ],
)
def test_a_cluster_must_fit_its_network(cluster: Azure, path: str, value: str, words: str) -> None:
    permit(cluster, OPERATOR, identity_id("kubelet"))
    permit(cluster, CRYPTO_USER, VAULT)
    inputs = changed(changed(AKS, path, value), "networkProfile.dnsServiceIP", None)
    with pytest.raises(Refusal, match=words):
        cluster.create("containerservice:ManagedCluster", inputs)


def test_a_clusters_identity_needs_its_roles_first(cluster: Azure) -> None:
    with pytest.raises(Refusal, match=r"CustomKubeletIdentityMissingPermissionError.*Key Vault Crypto User"):
        cluster.create("containerservice:ManagedCluster", AKS)
    permit(cluster, OPERATOR, identity_id("kubelet"))
    permit(cluster, CRYPTO_USER, VAULT)
    cluster.create("containerservice:ManagedCluster", AKS)


def test_a_role_on_a_group_reaches_what_is_in_it(cluster: Azure) -> None:
    permit(cluster, OPERATOR, GROUP)
    permit(cluster, READER, VAULT)
    with pytest.raises(Refusal, match="Key Vault Crypto User"):
        cluster.create("containerservice:ManagedCluster", AKS)
    permit(cluster, CRYPTO_USER, GROUP)
    cluster.create("containerservice:ManagedCluster", AKS)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("agentPoolProfiles.0.vmSize", "Standard_D8s_v5", "PropertyChangeNotAllowed"),
        ("agentPoolProfiles.0.name", "other", "new agent pool was introduced"),
    ],
)
def test_pools_of_a_cluster_keep_their_shape(cluster: Azure, path: str, value: str, words: str) -> None:
    permit(cluster, OPERATOR, identity_id("kubelet"))
    permit(cluster, CRYPTO_USER, VAULT)
    id_, _ = cluster.create("containerservice:ManagedCluster", AKS)
    with pytest.raises(Refusal, match=words):
        cluster.update("containerservice:ManagedCluster", id_, changed(AKS, path, value))
    cluster.update("containerservice:ManagedCluster", id_, changed(AKS, "agentPoolProfiles.0.maxCount", 9))


def test_the_kubeconfig_leads_to_the_cluster_and_holds_no_credential(cluster: Azure) -> None:
    permit(cluster, OPERATOR, identity_id("kubelet"))
    permit(cluster, CRYPTO_USER, VAULT)
    _, outputs = cluster.create("containerservice:ManagedCluster", AKS)
    token = "azure-native:containerservice:listManagedClusterUserCredentials"
    answer = cluster.simulation.invoke(token, Values({"resourceGroupName": "rg", "resourceName": "aks"}))
    assert ("kubeconfigs",) in answer.secrets
    kubeconfig = yaml.safe_load(base64.b64decode(answer.plain["kubeconfigs"][0]["value"]))
    assert kubeconfig["clusters"][0]["cluster"]["server"] == f"https://{outputs['privateFQDN']}:443"
    assert set(kubeconfig["users"][0]["user"]) == {"exec"}
    with pytest.raises(Refusal, match="ResourceNotFound"):
        cluster.simulation.invoke(token, Values({"resourceGroupName": "rg", "resourceName": "none"}))


def test_disks_do_not_shrink_and_vaults_keep_their_retention(azure: Azure) -> None:
    azure.create("privatedns:PrivateZone", ZONE)
    server, outputs = azure.create("dbforpostgresql:Server", SERVER)
    assert outputs["fullyQualifiedDomainName"] == "pg-one.postgres.database.azure.com"
    with pytest.raises(Refusal, match="cannot be reduced"):
        azure.update("dbforpostgresql:Server", server, changed(SERVER, "storage.storageSizeGB", 32))
    shorter = changed(GOOD["keyvault:Vault"], "properties.softDeleteRetentionInDays", 7)
    with pytest.raises(Refusal, match="can't be modified"):
        azure.update("keyvault:Vault", VAULT, shorter)


def test_a_subnet_in_use_stays_where_it_is(azure: Azure) -> None:
    azure.create("network:PrivateEndpoint", endpoint(VAULT, "vault"))
    with pytest.raises(Refusal, match="cannot be updated"):
        azure.update("network:Subnet", ENDPOINTS, subnet("endpoints", "10.0.70.0/24"))
    with pytest.raises(Refusal, match="in use by"):
        azure.simulation.delete("urn::x", "azure-native:network:Subnet", ENDPOINTS)


def test_two_credentials_of_one_identity_say_different_things(azure: Azure) -> None:
    azure.good("managedidentity:UserAssignedIdentity", "managedidentity:FederatedIdentityCredential")
    first = GOOD["managedidentity:FederatedIdentityCredential"]
    with pytest.raises(Refusal, match="must be unique"):
        azure.create(
            "managedidentity:FederatedIdentityCredential",
            {**first, "federatedIdentityCredentialResourceName": "again"},
        )


def test_ids_compare_without_case_and_attached_identities_are_named(azure: Azure) -> None:
    azure.good("managedidentity:UserAssignedIdentity")
    spelt_otherwise = identity_id("someone").replace("resourceGroups", "resourcegroups")
    identity = {"type": "UserAssigned", "userAssignedIdentities": [spelt_otherwise]}
    _, outputs = azure.create("storage:StorageAccount", {**GOOD["storage:StorageAccount"], "identity": identity})
    attached = outputs["identity"]["userAssignedIdentities"][spelt_otherwise]
    assert attached["principalId"]
    assert attached["principalId"] != attached["clientId"]


def test_companions_of_a_workspace_must_suit_it(azure: Azure) -> None:
    azure.good("managedidentity:UserAssignedIdentity", "operationalinsights:Workspace")
    azure.good("applicationinsights:Component")
    azure.create("storage:StorageAccount", {**GOOD["storage:StorageAccount"], "isHnsEnabled": True})
    with pytest.raises(Refusal, match="HNS"):
        azure.good("machinelearningservices:Workspace")


@pytest.mark.parametrize("isolation", ["AllowOnlyApprovedOutbound", "Disabled"])
def test_private_machines_need_a_network_of_their_own(azure: Azure, isolation: str) -> None:
    azure.good("managedidentity:UserAssignedIdentity", "operationalinsights:Workspace")
    azure.good("applicationinsights:Component", "storage:StorageAccount")
    workspace = changed(GOOD["machinelearningservices:Workspace"], "managedNetwork.isolationMode", isolation)
    azure.create("machinelearningservices:Workspace", workspace)
    if isolation == "Disabled":
        with pytest.raises(Refusal, match="without public IP"):
            azure.good("machinelearningservices:Compute")
    else:
        azure.good("machinelearningservices:Compute")


def test_an_unknown_environment_of_azure_is_refused() -> None:
    with pytest.raises(Refusal, match="unknown Azure environment"):
        CLOUD.configure({"environment": "mars"})


def test_without_any_location_nothing_can_be_placed() -> None:
    placeless = Simulation(CLOUD, FileWorld(":memory:"))
    inputs = Values(GOOD["managedidentity:UserAssignedIdentity"])
    (reason,) = placeless.check("urn::x", "azure-native:managedidentity:UserAssignedIdentity", inputs)
    assert reason.startswith("LocationRequired")
