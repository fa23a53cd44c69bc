"""A simulated Azure subscription for tests of Azure resource models, and valid inputs for it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.azure.cloud import CLOUD
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values

SUBSCRIPTION = CLOUD.account["subscriptionId"]
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
VNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-one"
NODES, API, DATABASE, ENDPOINTS = (f"{VNET}/subnets/{name}" for name in ("nodes", "api", "database", "endpoints"))
ROLES = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
OPERATOR = f"{ROLES}/f1a07417-d97a-45cb-824c-7a7467783830"
CRYPTO_USER = f"{ROLES}/12338af0-0e69-4776-bea7-57ae8d297424"
APPROVER = f"{ROLES}/b556d68e-0be0-4f35-a333-ad7ee1ce17ea"
READER = f"{ROLES}/acdd72a7-3385-48ef-bd42-f606fba81ae7"
ZONES = f"{GROUP}/providers/Microsoft.Network/privateDnsZones"


def identity_id(name: str) -> str:
    return f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


def in_group(**inputs: Any) -> dict[str, Any]:
    return {"resourceGroupName": "rg", **inputs}


def subnet_inputs(name: str, prefix: str, **inputs: Any) -> dict[str, Any]:
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

# A valid set of inputs for each type that has rules; some of them refer to others.
VALID_INPUTS: Mapping[str, dict[str, Any]] = {
    "resources:ResourceGroup": {"resourceGroupName": "rg"},
    "network:VirtualNetwork": in_group(virtualNetworkName="vnet", addressSpace={"addressPrefixes": ["10.0.0.0/16"]}),
    "network:Subnet": subnet_inputs("nodes", "10.0.0.0/18", natGateway={"id": "nat"}),
    "network:NetworkSecurityGroup": in_group(
        networkSecurityGroupName="nsg",
        securityRules=[
            {"name": name, "priority": priority, "direction": "Inbound", "access": "Allow", "protocol": "Tcp"}
            for name, priority in (("one", 100), ("two", 110))
        ],
    ),
    "network:VirtualNetworkPeering": in_group(
        virtualNetworkName="vnet",
        virtualNetworkPeeringName="hub",
        remoteVirtualNetwork={
            "id": "/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/hub/providers/"
            "Microsoft.Network/virtualNetworks/hub"
        },
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
        "principalId": CLOUD.account["objectId"],
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
    "monitor:MetricAlert": in_group(
        ruleName="vault",
        location="global",
        enabled=True,
        severity=1,
        scopes=[VAULT],
        evaluationFrequency="PT5M",
        windowSize="PT15M",
        criteria={
            "odataType": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
            "allOf": [
                {
                    "criterionType": "StaticThresholdCriterion",
                    "name": "available",
                    "metricName": "Availability",
                    "timeAggregation": "Average",
                    "operator": "LessThan",
                    "threshold": 99,
                }
            ],
        },
    ),
    "monitor:ScheduledQueryRule": in_group(
        ruleName="pool",
        severity=2,
        scopes=[f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"],
        evaluationFrequency="PT15M",
        windowSize="PT15M",
        criteria={
            "allOf": [
                {
                    "query": "KubeNodeInventory | summarize Nodes = count()",
                    "timeAggregation": "Minimum",
                    "metricMeasureColumn": "Nodes",
                    "operator": "GreaterThanOrEqual",
                    "threshold": 3,
                    "failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1},
                }
            ]
        },
    ),
    "applicationinsights:Workbook": in_group(
        resourceName="0a1b2c3d-0000-4000-8000-000000000000",
        displayName="acme-gw-dev",
        kind="shared",
        category="workbook",
        serializedData='{"version": "Notebook/1.0", "items": []}',
    ),
    "consumption:Budget": {
        "scope": f"/subscriptions/{CLOUD.account['subscriptionId']}",
        "budgetName": "monthly",
        "category": "Cost",
        "timeGrain": "Monthly",
        "amount": 5000,
        "timePeriod": {"startDate": "2026-11-01T00:00:00Z"},
        "notifications": {
            "Actual": {
                "enabled": True,
                "operator": "GreaterThan",
                "threshold": 80,
                "contactEmails": ["ml@example.com"],
            }
        },
    },
    "monitor:DataCollectionRule": in_group(
        dataCollectionRuleName="rule",
        destinations={"logAnalytics": [{"name": "logs"}]},
        dataFlows=[{"streams": ["Microsoft-KubeEvents"], "destinations": ["logs"]}],
    ),
    "keyvault:Vault": in_group(
        vaultName="kv-one",
        properties={
            "tenantId": CLOUD.account["tenantId"],
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
        resource={"id": "results", "partitionKey": {"paths": ["/shard"], "kind": "Hash"}},
    ),
    "cosmosdb:SqlResourceSqlRoleAssignment": in_group(
        accountName="cosmos1",
        roleAssignmentId="0a1b2c3d-0000-4000-8000-000000000000",
        roleDefinitionId=f"{GROUP}/providers/Microsoft.DocumentDB/databaseAccounts/cosmos1/sqlRoleDefinitions/"
        "00000000-0000-0000-0000-000000000002",
        scope=f"{GROUP}/providers/Microsoft.DocumentDB/databaseAccounts/cosmos1",
        principalId=CLOUD.account["objectId"],
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
        kubernetesVersion="1.36",
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
        upgradeSettings={"maxSurge": "33%", "drainTimeoutInMinutes": 30, "nodeSoakDurationInMinutes": 5},
    ),
    "containerservice:MaintenanceConfiguration": in_group(
        resourceName="aks",
        configName="default",
        maintenanceWindow={
            "schedule": {"weekly": {"dayOfWeek": "Sunday", "intervalWeeks": 1}},
            "startTime": "22:00",
            "startDate": "2030-01-01",
            "utcOffset": "+00:00",
            "durationHours": 4,
        },
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
ZONE = in_group(privateZoneName="gw.private.postgres.database.azure.com", location="global")
AKS = VALID_INPUTS["containerservice:ManagedCluster"]
SERVER = VALID_INPUTS["dbforpostgresql:Server"]


def with_change(inputs: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the inputs with another value at a dotted path; None removes the property."""
    copied = copy.deepcopy(inputs)
    *steps, last = path.split(".")
    parent: Any = copied
    for step in steps:
        parent = parent[int(step)] if isinstance(parent, list) else parent.setdefault(step, {})
    if value is None:
        del parent[last]
    else:
        parent[last] = value
    return copied


class Subscription:
    """A simulated subscription with an empty state, whose provider is configured with a location unless it is empty."""

    def __init__(self, location: str = "westeurope") -> None:
        self.state = StateStore(":memory:")
        self.simulation = Simulation(CLOUD, self.state)
        self.simulation.configure({"location": location} if location else {})

    def check(self, type_: str, inputs: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
        return self.simulation.check("urn::x", f"azure-native:{type_}", Values(inputs), Values(old or {}))[1]

    def create(self, type_: str, inputs: dict[str, Any], name: str = "") -> tuple[str, Mapping[str, Any]]:
        urn = f"urn:pulumi:s::p::azure-native:{type_}::{name or len(str(inputs))}"
        complete, _ = self.simulation.check(urn, f"azure-native:{type_}", Values(inputs))
        id_, outputs = self.simulation.create(urn, f"azure-native:{type_}", complete, preview=False)
        return id_, outputs.plain

    def update(self, type_: str, id_: str, inputs: dict[str, Any], *, preview: bool = False) -> Mapping[str, Any]:
        type_ = f"azure-native:{type_}"
        record = self.state.get(type_, id_)
        old = Values(dict(record.outputs if record else {}))
        complete, _ = self.simulation.check(
            "urn::x", type_, Values(inputs), Values(dict(record.inputs if record else {}))
        )
        return self.simulation.update("urn::x", type_, id_, complete, old, preview=preview).plain

    def create_valid(self, *types: str) -> None:
        for type_ in types:
            self.create(type_, VALID_INPUTS[type_])


def assign_role(azure: Subscription, role: str, scope: str, identity: str = "control") -> None:
    """Assign an identity a role on a scope."""
    found = azure.state.find(identity_id(identity))
    assert found
    inputs = {"scope": scope, "principalId": found.outputs["principalId"], "roleDefinitionId": role}
    azure.create("authorization:RoleAssignment", inputs, f"{role[-4:]}-{scope}")


def private_endpoint(target: str, group: str, subnet: str = ENDPOINTS) -> dict[str, Any]:
    connection = {"name": group, "privateLinkServiceId": target, "groupIds": [group]}
    return in_group(privateEndpointName="pe", subnet={"id": subnet}, privateLinkServiceConnections=[connection])
