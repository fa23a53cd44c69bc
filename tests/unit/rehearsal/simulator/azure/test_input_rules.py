"""Requests that Azure refuses for their inputs only, in previews too; valid and unknown inputs pass.

Proves the models of Azure rule by rule. Not proven: that Azure has these rules and messages. No test calls Azure. A
message that does not start with an error code is a paraphrase: Azure's code was not known.
"""

from __future__ import annotations

from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.cloud import CLOUD, MODELS
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from tests.support.azure_subscription import GROUP, ROLES, VALID_INPUTS, Subscription, identity_id, with_change
from tests.support.every_case import check_every

CONDITION = "criteria.allOf.0"
RULES = "managedNetwork.outboundRules"
WEEKLY = "maintenanceWindow.schedule.weekly"
SCALE = "properties.properties.scaleSettings"

# type, path, a value that Azure refuses there, and a part of the error message.
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
    ("privatedns:PrivateZone", "privateZoneName", "a." * 34 + "azurecr", "invalid"),
    ("privatedns:PrivateZone", "location", "westeurope", "'westeurope' is not available for resource type"),
    ("managedidentity:UserAssignedIdentity", "resourceName", "ab", "InvalidResourceName"),
    ("managedidentity:FederatedIdentityCredential", "issuer", "http://issuer", "https"),
    ("managedidentity:FederatedIdentityCredential", "audiences", ["a", "b"], "exactly one"),
    ("authorization:RoleAssignment", "roleDefinitionId", f"{ROLES}/unheard-of", "InvalidRoleDefinitionId"),
    ("authorization:RoleAssignment", "roleAssignmentName", "mine", "GUID"),
    ("operationalinsights:Workspace", "retentionInDays", 731, "RetentionInDays"),
    ("operationalinsights:Workspace", "workspaceName", "log", "InvalidResourceName"),
    ("applicationinsights:Component", "workspaceResourceId", None, "WorkspaceResourceId"),
    ("monitor:ActionGroup", "groupShortName", "thirteen chars", "12 characters"),
    ("monitor:DiagnosticSetting", "workspaceId", None, "data sink"),
    ("monitor:MetricAlert", "location", "eastus", "'eastus' is not available for resource type"),
    ("monitor:MetricAlert", "scopes", [], "needs a scope"),
    ("monitor:MetricAlert", "severity", 5, "severity 5"),
    ("monitor:MetricAlert", "evaluationFrequency", "PT10M", "evaluationFrequency 'PT10M'"),
    ("monitor:MetricAlert", "windowSize", "PT45M", "windowSize 'PT45M'"),
    ("monitor:MetricAlert", "windowSize", "PT1M", "not be shorter"),
    ("monitor:MetricAlert", "criteria.allOf", [], "needs a condition"),
    ("monitor:MetricAlert", f"{CONDITION}.operator", "Above", "operator 'Above'"),
    ("monitor:MetricAlert", f"{CONDITION}.timeAggregation", "Median", "timeAggregation 'Median'"),
    ("monitor:ScheduledQueryRule", "scopes", [], "needs a scope"),
    ("monitor:ScheduledQueryRule", "evaluationFrequency", "PT7M", "evaluationFrequency 'PT7M'"),
    ("monitor:ScheduledQueryRule", "windowSize", "PT12H", "windowSize 'PT12H'"),
    ("monitor:ScheduledQueryRule", "windowSize", "PT5M", "not be shorter"),
    ("monitor:ScheduledQueryRule", "criteria.allOf", [], "needs a condition"),
    ("monitor:ScheduledQueryRule", f"{CONDITION}.query", "// nothing but a comment", "query must not be empty"),
    ("monitor:ScheduledQueryRule", f"{CONDITION}.operator", "GreaterOrLessThan", "operator 'GreaterOrLessThan'"),
    ("monitor:ScheduledQueryRule", f"{CONDITION}.timeAggregation", "Median", "timeAggregation 'Median'"),
    ("monitor:ScheduledQueryRule", f"{CONDITION}.metricMeasureColumn", None, "metricMeasureColumn is required"),
    ("monitor:ScheduledQueryRule", f"{CONDITION}.timeAggregation", "Count", "metricMeasureColumn cannot be set"),
    ("monitor:ScheduledQueryRule", f"{CONDITION}.dimensions", [{"name": "a"}] * 7, "at most 6 dimensions"),
    ("monitor:ScheduledQueryRule", f"{CONDITION}.failingPeriods.numberOfEvaluationPeriods", 7, "1 to 6"),
    ("applicationinsights:Workbook", "resourceName", "overview", "must be a GUID"),
    ("applicationinsights:Workbook", "kind", "user", "must be 'shared'"),
    ("applicationinsights:Workbook", "serializedData", "Notebook/1.0", "as JSON"),
    ("applicationinsights:Workbook", "displayName", "", "needs the property displayName"),
    ("consumption:Budget", "budgetName", "a month", "budget name"),
    ("consumption:Budget", "timeGrain", "Daily", "time grain"),
    ("consumption:Budget", "amount", 0.5, "at least 1"),
    ("consumption:Budget", "timePeriod.startDate", "2026-11-02T00:00:00Z", "first of a month"),
    ("consumption:Budget", "timePeriod.startDate", "2017-05-01T00:00:00Z", "June 1, 2017"),
    ("consumption:Budget", "notifications", {str(number): {} for number in range(6)}, "at most 5 notifications"),
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
    ("containerregistry:Registry", "publicNetworkAccess", "Enabled", "Exports can be disabled only"),
    ("containerregistry:Registry", "policies.retentionPolicy.days", 400, "365"),
    ("storage:StorageAccount", "accountName", "Store1", "AccountNameInvalid"),
    ("storage:StorageAccount", "accountName", "a" * 25, "AccountNameInvalid"),
    ("storage:StorageAccount", "encryption.keyVaultProperties", None, "MissingKeyvaultProperties"),
    ("storage:BlobServiceProperties", "blobServicesName", "mine", "default"),
    ("storage:BlobServiceProperties", "deleteRetentionPolicy.days", 0, "365"),
    ("storage:BlobContainer", "containerName", "MLflow", "invalid characters"),
    ("storage:ManagementPolicy", "managementPolicyName", "mine", "default"),
    ("cosmosdb:DatabaseAccount", "accountName", "Cosmos", "lower-case"),
    ("cosmosdb:DatabaseAccount", "locations", [{"locationName": "a"}, {"locationName": "b"}], "multiple regions"),
    ("cosmosdb:DatabaseAccount", "defaultIdentity", None, "user-assigned"),
    ("cosmosdb:DatabaseAccount", "defaultIdentity", "FirstPartyIdentity", "user-assigned"),
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
    ("dbforpostgresql:Server", "maintenanceWindow", {"customWindow": "Enabled", "dayOfWeek": 7}, "not in 0 to 6"),
    ("dbforpostgresql:Server", "maintenanceWindow", {"startHour": 24}, "not in 0 to 23"),
    ("dbforpostgresql:Server", "maintenanceWindow", {"startMinute": 60}, "not in 0 to 59"),
    ("dbforpostgresql:Database", "databaseName", "9lives", "database name"),
    ("dbforpostgresql:Configuration", "value", "maybe", "InvalidParameterValue"),
    ("compute:DiskEncryptionSet", "activeKey.keyUrl", "https://kv-one.vault.azure.net/keys/platform", "version"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.name", "System", "InvalidParameter"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.name", "a" * 13, "12 characters"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.mode", "User", "system agent pool"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.maxCount", None, "must be set"),
    ("containerservice:ManagedCluster", "agentPoolProfiles.0.count", 9, "must lie between"),
    ("containerservice:ManagedCluster", "kubernetesVersion", "1.20", "K8sVersionNotSupported"),
    ("containerservice:ManagedCluster", "location", "Qatar Central", "not available in region Qatar Central"),
    ("containerservice:ManagedCluster", "networkProfile.dnsServiceIP", "172.21.0.10", "not in the service CIDR"),
    ("containerservice:ManagedCluster", "networkProfile.dnsServiceIP", "172.20.0.1", "first address"),
    ("containerservice:ManagedCluster", "networkProfile.podCidr", "172.16.0.0/12", "overlaps the service CIDR"),
    ("containerservice:ManagedCluster", "networkProfile.networkDataplane", "azure", "cilium"),
    ("containerservice:ManagedCluster", "aadProfile", None, "Entra"),
    ("containerservice:ManagedCluster", "oidcIssuerProfile", {"enabled": False}, "OIDC issuer"),
    ("containerservice:ManagedCluster", "networkProfile.networkDataplane", None, "NetworkPolicyNotSupported"),
    ("containerservice:ManagedCluster", "apiServerAccessProfile.authorizedIPRanges", ["203.0.113.0/24"], "Private"),
    ("containerservice:ManagedCluster", "apiServerAccessProfile.enableVnetIntegration", False, "VNet integration"),
    (
        "containerservice:ManagedCluster",
        "securityProfile.azureKeyVaultKms.keyId",
        "https://kv-one.vault.azure.net/keys/platform",
        "must include the key's version",
    ),
    ("containerservice:AgentPool", "agentPoolName", "user-pool", "InvalidParameter"),
    ("containerservice:AgentPool", "minCount", 6, "must lie between"),
    ("containerservice:AgentPool", "mode", "Spot", "mode"),
    ("containerservice:AgentPool", "scaleSetPriority", "Spot", "Spot pools can't set max surge"),
    ("containerservice:AgentPool", "upgradeSettings.maxSurge", "a third", "a number of nodes, or a percentage"),
    ("containerservice:AgentPool", "upgradeSettings.maxSurge", "101%", "percentage up to 100%"),
    ("containerservice:AgentPool", "upgradeSettings.maxSurge", "0", "max unavailable has to be set"),
    ("containerservice:AgentPool", "upgradeSettings.maxUnavailable", "half", "a number of nodes"),
    ("containerservice:AgentPool", "upgradeSettings.drainTimeoutInMinutes", 4, "not in 5 to 1440 minutes"),
    ("containerservice:AgentPool", "upgradeSettings.drainTimeoutInMinutes", 1441, "not in 5 to 1440 minutes"),
    ("containerservice:AgentPool", "upgradeSettings.nodeSoakDurationInMinutes", 31, "not in 0 to 30 minutes"),
    (
        "containerservice:ManagedCluster",
        "agentPoolProfiles.0.upgradeSettings",
        {"maxSurge": "1", "maxUnavailable": "1"},
        "System pools can't set max unavailable",
    ),
    ("containerservice:MaintenanceConfiguration", "configName", "weekly", "allowed configNames"),
    ("containerservice:MaintenanceConfiguration", "maintenanceWindow", None, "needs a maintenanceWindow"),
    ("containerservice:MaintenanceConfiguration", WEEKLY, None, "has none"),
    (
        "containerservice:MaintenanceConfiguration",
        "maintenanceWindow.schedule.daily",
        {"intervalDays": 1},
        "it has daily, weekly",
    ),
    ("containerservice:MaintenanceConfiguration", f"{WEEKLY}.intervalWeeks", 2, "Only weekly schedule is supported"),
    ("containerservice:MaintenanceConfiguration", "maintenanceWindow.durationHours", 3, "not in 4 to 24"),
    ("containerservice:MaintenanceConfiguration", "maintenanceWindow.durationHours", 25, "not in 4 to 24"),
    ("containerservice:MaintenanceConfiguration", "maintenanceWindow.startTime", "24:00", "'00:00' and '23:59'"),
    ("containerservice:MaintenanceConfiguration", "maintenanceWindow.utcOffset", "UTC", "like '+00:00'"),
    ("containerservice:MaintenanceConfiguration", "maintenanceWindow.startDate", "1.1.2030", "like '2026-12-31'"),
    ("machinelearningservices:Workspace", "workspaceName", "ml", "ValidationError"),
    ("machinelearningservices:Workspace", "primaryUserAssignedIdentity", identity_id("other"), "identities"),
    ("machinelearningservices:Workspace", RULES, {"a": {"type": "FQDN", "destination": "pypi.org"}}, "rule name a"),
    (
        "machinelearningservices:Workspace",
        RULES,
        {"store": {"type": "FQDN", "destination": "store1.blob.core.windows.net"}},
        "must be a private endpoint",
    ),
    (
        "machinelearningservices:Workspace",
        "managedNetwork",
        {
            "isolationMode": "AllowInternetOutbound",
            "outboundRules": {"host": {"type": "FQDN", "destination": "pypi.org"}},
        },
        "not supported when the isolation mode is AllowInternetOutbound",
    ),
    ("machinelearningservices:Compute", "computeName", "low-", "Compute name"),
    ("machinelearningservices:Compute", "properties.properties.vmPriority", "Spot", "VM priority"),
    ("machinelearningservices:Compute", f"{SCALE}.minNodeCount", 5, "greater"),
]


def test_every_type_is_modelled_once() -> None:
    assert {type_: model.type for type_, model in MODELS.items()} == {type_: type_ for type_ in MODELS}
    assert {f"azure-native:{type_}" for type_ in VALID_INPUTS} <= set(MODELS)


def test_valid_inputs_pass() -> None:
    def check(type_: str) -> None:
        assert Subscription().check(type_, VALID_INPUTS[type_]) == []

    check_every(VALID_INPUTS, check)


def test_invalid_inputs_are_refused() -> None:
    def check(case: tuple[str, str, Any, str]) -> None:
        type_, path, value, message = case
        reasons = Subscription().check(type_, with_change(VALID_INPUTS[type_], path, value))
        assert len(reasons) == 1
        assert message in reasons[0]

    check_every(REFUSED, check)


def test_unknown_inputs_pass() -> None:
    def check(case: tuple[str, str]) -> None:
        type_, path = case
        for unknown in (path, path.split(".", 1)[0]):
            assert Subscription().check(type_, with_change(VALID_INPUTS[type_], unknown, UNKNOWN)) == [], unknown

    check_every(sorted({(type_, path) for type_, path, *_ in REFUSED}), check)


def test_an_alert_on_logs_covers_at_most_two_days() -> None:
    rule = with_change(VALID_INPUTS["monitor:ScheduledQueryRule"], "windowSize", "P2D")
    assert Subscription().check("monitor:ScheduledQueryRule", rule) == []
    periods = {"numberOfEvaluationPeriods": 2, "minFailingPeriodsToAlert": 1}
    (reason,) = Subscription().check(
        "monitor:ScheduledQueryRule", with_change(rule, f"{CONDITION}.failingPeriods", periods)
    )
    assert "longer than two days" in reason


def test_the_upgrades_of_a_cluster_have_any_schedule_and_a_window() -> None:
    kind = "containerservice:MaintenanceConfiguration"
    upgrades = with_change(VALID_INPUTS[kind], "configName", "aksManagedAutoUpgradeSchedule")
    daily = with_change(upgrades, "maintenanceWindow.schedule", {"daily": {"intervalDays": 1}})
    assert Subscription().check(kind, daily) == []
    slots = [{"day": "Sunday", "hourSlots": [22, 23]}]
    releases = with_change(with_change(VALID_INPUTS[kind], "maintenanceWindow", None), "timeInWeek", slots)
    assert Subscription().check(kind, releases) == []
    (reason,) = Subscription().check(kind, with_change(releases, "configName", "aksManagedAutoUpgradeSchedule"))
    assert "'aksManagedAutoUpgradeSchedule' needs a maintenanceWindow" in reason


def test_a_spot_pool_without_surge_is_accepted() -> None:
    spot = with_change(VALID_INPUTS["containerservice:AgentPool"], "scaleSetPriority", "Spot")
    minutes = {"drainTimeoutInMinutes": 30}
    assert Subscription().check("containerservice:AgentPool", with_change(spot, "upgradeSettings", minutes)) == []


def test_a_new_cluster_has_an_issuer_by_default_since_kubernetes_1_34() -> None:
    without = with_change(VALID_INPUTS["containerservice:ManagedCluster"], "oidcIssuerProfile", None)
    for version, is_refused in (("1.34", False), ("1.33", True)):
        reasons = Subscription().check(
            "containerservice:ManagedCluster", with_change(without, "kubernetesVersion", version)
        )
        assert any("OIDC issuer" in reason for reason in reasons) is is_refused


def test_an_unknown_azure_environment_is_refused() -> None:
    with pytest.raises(CloudError, match="unknown Azure environment"):
        CLOUD.configure({"environment": "mars"})


def test_a_location_is_required() -> None:
    simulation = Simulation(CLOUD, StateStore(":memory:"))
    inputs = Values(VALID_INPUTS["managedidentity:UserAssignedIdentity"])
    _, (reason,) = simulation.check("urn::x", "azure-native:managedidentity:UserAssignedIdentity", inputs)
    assert "pulumi config set azure-native:location" in reason
