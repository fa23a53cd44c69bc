"""Cases of AKS beyond access to its API server, and of registries, log workspaces, alerts, tags and budgets."""

from typing import Any, Final

from kernel.support_calendars import AKS as CALENDAR
from policies.controls.azure.cost import TAGGED
from tests.support.policies.azure_cases import ACR, AKS, CACHE, POOL, VNET
from tests.support.policies.cases import (
    UNKNOWN_TEXT,
    Cases,
    Declared,
    Subject,
    nested,
    property_cases,
    resource_cases,
)

LOGS, TABLE = "azure-native:operationalinsights:Workspace", "azure-native:operationalinsights:Table"
ACTIVITY_ALERT, QUERY_ALERT = "azure-native:monitor:ActivityLogAlert", "azure-native:monitor:ScheduledQueryRule"
ALERT, ACTIONS = "azure-native:monitor:MetricAlert", "azure-native:monitor:ActionGroup"
BUDGET, LOCK = "azure-native:consumption:Budget", "azure-native:authorization:ManagementLockByScope"
DISKS, DISK = "azure-native:compute:DiskEncryptionSet", "azure-native:compute:Disk"
SNAPSHOT, REPLICATION = "azure-native:compute:Snapshot", "azure-native:containerregistry:Replication"
GROUP = "azure-native:resources:ResourceGroup"
MAINTENANCE = "azure-native:containerservice:MaintenanceConfiguration"
CLUSTER_WINDOW, NODES_WINDOW = "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"
OWNED: Final = {"environment": "dev", "owner": "ml-platform"}


def in_pools(setting: str, *, good: tuple[object, ...], bad: tuple[object, ...], absent_passes: bool = False) -> Cases:
    """Cases for a setting of nodes: in the cluster's list of pools, and in a pool that is a separate resource."""
    listed = f"agentPoolProfiles[*].{setting}"
    return resource_cases(
        AKS,
        good=[nested(listed, value) for value in good],
        bad=[nested(listed, value) for value in bad],
        absent=("passes" if absent_passes else "fails", {"agentPoolProfiles": [{"name": "system"}]}),
        unknown=("undecided", nested(listed, UNKNOWN_TEXT)),
        other=VNET,
        more_good=[[Declared(POOL, nested(setting, value))] for value in good],
        more_bad=[[Declared(POOL, nested(setting, value))] for value in bad],
    )


def scheduled(*names: object, channel: object = "patch") -> Subject:
    """A cluster that upgrades itself and its nodes, unless `channel` is off, and maintenance configurations."""
    cluster = Declared(AKS, {"autoUpgradeProfile": {"upgradeChannel": channel, "nodeOSUpgradeChannel": channel}}, "aks")
    return [
        cluster,
        *(
            Declared(MAINTENANCE, {"configName": name}, f"window-{number}", {"resourceName": "aks"})
            for number, name in enumerate(names)
        ),
    ]


def addon(name: str, *, enabled: bool) -> Cases:
    """Cases for an add-on that must be enabled, or that must be disabled or omitted."""
    path = f"addonProfiles.{name}.enabled"
    return resource_cases(
        AKS,
        good=[nested(path, enabled), nested(path.replace(name, name.lower()), enabled)],
        bad=[nested(path, not enabled), nested(path.replace(name, name.upper()), not enabled)],
        absent=("fails" if enabled else "passes", {}),
        unknown=("undecided", {"addonProfiles": UNKNOWN_TEXT}),
        other=POOL,
    )


def rotated(enabled: object, rotation: object) -> dict[str, Any]:
    provider = {"enabled": enabled, "config": {"enableSecretRotation": rotation}}
    return {"addonProfiles": {"azureKeyvaultSecretsProvider": provider}}


def system_pool(*taints: object, mode: object = "System") -> dict[str, Any]:
    return {"mode": mode, "nodeTaints": list(taints)}


def notified(**notification: Any) -> dict[str, Any]:
    return {"notifications": {"Actual": {"enabled": True, **notification}}}


NEWEST: Final = max(CALENDAR.ends, key=lambda version: int(version.partition(".")[2]))
RESERVED: Final = "CriticalAddonsOnly=true:NoSchedule"

CASES: dict[str, Cases] = {
    "azure-aks-node-encryption": in_pools("enableEncryptionAtHost", good=(True,), bad=(False,)),
    "azure-aks-node-ssh": in_pools("securityProfile.sshAccess", good=("Disabled", "EntraId"), bad=("LocalUser",)),
    "azure-aks-node-zones": in_pools("availabilityZones", good=(["1", "2", "3"],), bad=(["1"], [])),
    "azure-aks-node-autoscaling": in_pools("enableAutoScaling", good=(True,), bad=(False,)),
    "azure-aks-node-scale-sets": in_pools(
        "type", good=("VirtualMachineScaleSets",), bad=("AvailabilitySet",), absent_passes=True
    ),
    "azure-aks-node-pods": in_pools("maxPods", good=(50, 110), bad=(30,)),
    "azure-aks-node-surge": resource_cases(
        AKS,
        good=[
            nested("agentPoolProfiles[*].upgradeSettings.maxSurge", "33%"),
            {"agentPoolProfiles": [{"scaleSetPriority": "Spot"}]},
        ],
        bad=[nested("agentPoolProfiles[*].upgradeSettings.maxSurge", "0")],
        absent=("fails", {"agentPoolProfiles": [{"name": "system"}]}),
        unknown=("undecided", nested("agentPoolProfiles[*].upgradeSettings.maxSurge", UNKNOWN_TEXT)),
        other=VNET,
        more_good=[[Declared(POOL, nested("upgradeSettings.maxSurge", "1"))]],
        more_bad=[[Declared(POOL)]],
    ),
    "azure-aks-maintenance-window": Cases(
        compliant=[
            scheduled(CLUSTER_WINDOW, NODES_WINDOW),
            scheduled(CLUSTER_WINDOW, NODES_WINDOW, "default"),
            scheduled(channel="none"),
            scheduled(CLUSTER_WINDOW, channel="None"),
            [Declared(AKS, {"autoUpgradeProfile": {"nodeOSUpgradeChannel": "Unmanaged"}})],
            [Declared(MAINTENANCE, {"configName": CLUSTER_WINDOW, "resourceName": "other"})],
            [
                Declared(AKS, {"autoUpgradeProfile": {"upgradeChannel": "stable"}, "resourceName": "aks"}),
                Declared(MAINTENANCE, {"configName": CLUSTER_WINDOW, "resourceName": "aks"}, "window"),
            ],
        ],
        violating=[
            scheduled(CLUSTER_WINDOW),
            scheduled(NODES_WINDOW, "default"),
            [*scheduled(), Declared(MAINTENANCE, {"configName": CLUSTER_WINDOW, "resourceName": "other"}, "window")],
        ],
        absent=("passes", [Declared(AKS)]),
        unknown=("undecided", scheduled(CLUSTER_WINDOW, NODES_WINDOW, channel=UNKNOWN_TEXT)),
        other_type=[Declared(POOL)],
        also_undecided=[scheduled(CLUSTER_WINDOW, UNKNOWN_TEXT)],
    ),
    "azure-aks-node-system-taint": resource_cases(
        AKS,
        good=[{"agentPoolProfiles": [system_pool(RESERVED), system_pool(mode="User")]}],
        bad=[{"agentPoolProfiles": [system_pool()]}, {"agentPoolProfiles": [system_pool("gpu=true:NoSchedule")]}],
        absent=("passes", {}),
        unknown=("undecided", {"agentPoolProfiles": [system_pool(UNKNOWN_TEXT)]}),
        other=VNET,
        more_bad=[[Declared(POOL, system_pool())]],
    ),
    "azure-aks-version": property_cases(
        AKS,
        "kubernetesVersion",
        good=(NEWEST, f"{NEWEST}.3", "1.99"),
        bad=("1.20", "1.20.7", "latest"),
        absent="passes",
        other=POOL,
    ),
    "azure-aks-dashboard": addon("kubeDashboard", enabled=False),
    "azure-aks-run-command": property_cases(
        AKS, "apiServerAccessProfile.disableRunCommand", good=(True,), bad=(False,), absent="fails", other=POOL
    ),
    "azure-aks-secrets-encryption": property_cases(
        AKS, "securityProfile.azureKeyVaultKms.enabled", good=(True,), bad=(False,), absent="fails", other=POOL
    ),
    "azure-aks-disk-encryption": property_cases(
        AKS, "diskEncryptionSetID", good=("/ids/disks",), bad=("",), absent="fails", unknown="passes", other=POOL
    ),
    "azure-aks-defender": property_cases(
        AKS,
        "securityProfile.defender.securityMonitoring.enabled",
        good=(True,),
        bad=(False,),
        absent="fails",
        other=POOL,
    ),
    "azure-aks-monitoring": addon("omsagent", enabled=True),
    "azure-aks-azure-policy": addon("azurepolicy", enabled=True),
    "azure-aks-http-routing": addon("httpApplicationRouting", enabled=False),
    "azure-aks-secret-rotation": resource_cases(
        AKS,
        good=[rotated(True, "true"), rotated(False, "false")],
        bad=[rotated(True, "false")],
        absent=("passes", {}),
        unknown=("undecided", rotated(UNKNOWN_TEXT, "false")),
        other=POOL,
    ),
    "azure-aks-outbound": property_cases(
        AKS,
        "networkProfile.outboundType",
        good=("userAssignedNATGateway", "managedNATGateway", "userDefinedRouting"),
        bad=("loadBalancer",),
        absent="fails",
        other=POOL,
    ),
    "azure-aks-network-plugin": property_cases(
        AKS, "networkProfile.networkPlugin", good=("azure",), bad=("kubenet",), absent="fails", other=POOL
    ),
    "azure-aks-image-cleaner": property_cases(
        AKS, "securityProfile.imageCleaner.enabled", good=(True,), bad=(False,), absent="fails", other=POOL
    ),
    "azure-aks-paid-tier": property_cases(
        AKS, "sku.tier", good=("Standard", "Premium"), bad=("Free",), absent="fails", other=POOL
    ),
    "azure-acr-network-default": property_cases(
        ACR, "networkRuleSet.defaultAction", good=("Deny",), bad=("Allow",), absent="fails", other=CACHE
    ),
    "azure-acr-kms": property_cases(
        ACR, "encryption.status", good=("enabled",), bad=("disabled",), absent="fails", other=CACHE
    ),
    "azure-acr-export": property_cases(
        ACR, "policies.exportPolicy.status", good=("disabled",), bad=("enabled",), absent="fails", other=CACHE
    ),
    "azure-acr-data-endpoints": property_cases(
        ACR, "dataEndpointEnabled", good=(True,), bad=(False,), absent="fails", other=CACHE
    ),
    "azure-acr-zones": property_cases(
        (ACR, REPLICATION), "zoneRedundancy", good=("Enabled",), bad=("Disabled",), absent="fails", other=CACHE
    ),
    "azure-acr-retention": property_cases(
        ACR, "policies.retentionPolicy.status", good=("enabled",), bad=("disabled",), absent="fails", other=CACHE
    ),
    "azure-logs-local-auth": property_cases(
        LOGS, "features.disableLocalAuth", good=(True,), bad=(False,), absent="fails", other=TABLE
    ),
    "azure-logs-public-network": resource_cases(
        LOGS,
        good=[{"publicNetworkAccessForIngestion": "Disabled", "publicNetworkAccessForQuery": "Disabled"}],
        bad=[
            {"publicNetworkAccessForQuery": "Enabled"},
            {"publicNetworkAccessForIngestion": "Enabled"},
        ],
        absent=("fails", {}),
        unknown=(
            "undecided",
            {"publicNetworkAccessForIngestion": UNKNOWN_TEXT, "publicNetworkAccessForQuery": "Disabled"},
        ),
        other=TABLE,
    ),
    "azure-logs-retention": property_cases(
        LOGS, "retentionInDays", good=(30, 90), bad=(7,), absent="passes", other=TABLE
    ),
    "azure-logs-table-retention": property_cases(
        TABLE, "retentionInDays", good=(30, 90, -1), bad=(4, 0), absent="passes", other=LOGS
    ),
    "azure-alert-receivers": resource_cases(
        ALERT,
        good=[{"actions": [{"actionGroupId": "/ids/alerts"}]}, {"actions": [{"actionGroupId": UNKNOWN_TEXT}]}],
        bad=[{"actions": []}],
        absent=("fails", {}),
        unknown=("passes", {"actions": UNKNOWN_TEXT}),
        other=ACTIONS,
        more_good=[
            [Declared(ACTIVITY_ALERT, {"actions": {"actionGroups": [{"actionGroupId": "/ids/alerts"}]}})],
            [Declared(QUERY_ALERT, {"actions": {"actionGroups": ["/ids/alerts"]}})],
        ],
        more_bad=[
            [Declared(ACTIVITY_ALERT, {"actions": {"actionGroups": [{"actionGroupId": ""}]}})],
            [Declared(ACTIVITY_ALERT)],
            *([Declared(QUERY_ALERT, {"actions": {"actionGroups": groups}})] for groups in ([], [""])),
        ],
    ),
    "azure-cost-tags": property_cases(
        TAGGED,
        "tags",
        good=(OWNED, {"Environment": "dev", "Owner": UNKNOWN_TEXT, "more": "x"}),
        bad=({"environment": "dev"}, {**OWNED, "owner": ""}),
        absent="fails",
        other=LOCK,
    ),
    "azure-cost-budget": resource_cases(
        BUDGET,
        good=[notified(contactEmails=["a@b.c"]), notified(contactGroups=[UNKNOWN_TEXT])],
        bad=[
            notified(contactEmails=[], contactGroups=[], contactRoles=[]),
            {
                "notifications": {
                    kind: {"enabled": False, "contactEmails": ["a@b.c"]} for kind in ("Actual", "Forecasted")
                }
            },
        ],
        absent=("fails", {}),
        unknown=("undecided", {"notifications": UNKNOWN_TEXT}),
        other=LOCK,
    ),
    "azure-disk-key-rotation": property_cases(
        DISKS, "rotationToLatestKeyVersionEnabled", good=(True,), bad=(False,), absent="fails", other=DISK
    ),
    "azure-disk-public-network": resource_cases(
        DISK,
        good=[
            {"publicNetworkAccess": "Disabled"},
            {"publicNetworkAccess": "Enabled", "networkAccessPolicy": "DenyAll"},
            {"networkAccessPolicy": "AllowPrivate"},
        ],
        bad=[{"publicNetworkAccess": "Enabled"}, {"networkAccessPolicy": "AllowAll"}],
        absent=("fails", {}),
        unknown=("undecided", {"publicNetworkAccess": UNKNOWN_TEXT}),
        other=DISKS,
        more_good=[[Declared(SNAPSHOT, {"publicNetworkAccess": "Disabled"})]],
        more_bad=[[Declared(SNAPSHOT, {"publicNetworkAccess": "Enabled"})]],
    ),
}
