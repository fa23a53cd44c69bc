"""Logs, telemetry, alerts and audit."""

from __future__ import annotations

from collections.abc import Mapping

from rehearsal.simulator.azure.arm import arm, items
from rehearsal.simulator.core.resource_model import Draft, Model, matches, one_of, unless, within
from rehearsal.simulator.core.values import UNKNOWN

# Categories of resource logs, by what comes last of the resource's type; not checked against a live account.
# Documented at https://learn.microsoft.com/azure/azure-monitor/reference/logs-index
_CATEGORIES: Mapping[str, frozenset[str]] = {
    "vaults": frozenset({"AuditEvent", "AzurePolicyEvaluationDetails"}),
    "registries": frozenset({"ContainerRegistryRepositoryEvents", "ContainerRegistryLoginEvents"}),
    "blobServices": frozenset({"StorageRead", "StorageWrite", "StorageDelete"}),
    "flexibleServers": frozenset(
        {
            "PostgreSQLLogs",
            "PostgreSQLFlexSessions",
            "PostgreSQLFlexQueryStoreRuntime",
            "PostgreSQLFlexQueryStoreWaitStats",
            "PostgreSQLFlexTableStats",
            "PostgreSQLFlexDatabaseXacts",
            "PostgreSQLFlexPGBouncer",
        }
    ),
    "databaseAccounts": frozenset(
        {
            "DataPlaneRequests",
            "ControlPlaneRequests",
            "QueryRuntimeStatistics",
            "PartitionKeyStatistics",
            "PartitionKeyRUConsumption",
        }
    ),
    "managedClusters": frozenset(
        {
            "kube-apiserver",
            "kube-audit",
            "kube-audit-admin",
            "kube-controller-manager",
            "kube-scheduler",
            "cluster-autoscaler",
            "cloud-controller-manager",
            "guard",
            "csi-azuredisk-controller",
            "csi-azurefile-controller",
            "csi-snapshot-controller",
        }
    ),
    "workspaces": frozenset(
        {
            "AmlComputeClusterEvent",
            "AmlComputeClusterNodeEvent",
            "AmlComputeJobEvent",
            "AmlComputeCpuGpuUtilization",
            "AmlRunStatusChangedEvent",
            "ModelsChangeEvent",
            "ComputeInstanceEvent",
        }
    ),
}


def _categories_exist(draft: Draft) -> str | None:
    target = draft.get("resourceUri")
    if not isinstance(target, str) or "/" not in target:
        return None
    known = _CATEGORIES.get(target.split("/")[-2])
    for log in items(draft, "logs"):
        category = log.get("category", UNKNOWN)
        if known is not None and category is not UNKNOWN and category not in known:
            return f"BadRequest: Category '{category}' is not supported."
    return None


def _goes_nowhere(draft: Draft) -> bool:
    sinks = ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId")
    return all(draft.get(sink) is None for sink in sinks)


def _flows_have_destinations(draft: Draft) -> str | None:
    kinds = draft.get("destinations", {})
    if not isinstance(kinds, Mapping):
        return None
    named = {item.get("name") for kind in kinds for item in items(draft, f"destinations.{kind}")}
    for flow in items(draft, "dataFlows"):
        wanted = flow.get("destinations", [])
        lost = set(wanted) - named if isinstance(wanted, list) else set()
        if lost and UNKNOWN not in (*named, *lost):
            return f"InvalidPayload: Data collection rule is invalid: destination '{lost.pop()}' is not declared."
    return None


MODELS = (
    arm(
        "operationalinsights:Workspace",
        "Microsoft.OperationalInsights/workspaces/{workspaceName}",
        located=True,
        outputs={"customerId": "{uuid}", "provisioningState": "Succeeded"},
        rules=(
            matches(
                "workspaceName",
                r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
                "InvalidResourceName: Workspace name '{value}' must be 4 to 63 letters, digits or '-', the '-' neither "
                "first nor last.",
            ),
            within(
                "retentionInDays",
                30,
                730,
                "InvalidParameter: 'RetentionInDays' property doesn't match the SKU limits: {value} is not in "
                "30 to 730.",
            ),
        ),
    ),
    arm(
        "applicationinsights:Component",
        "Microsoft.Insights/components/{resourceName}",
        located=True,
        outputs={
            "appId": lambda draft: draft.uuid("app"),
            "instrumentationKey": lambda draft: draft.uuid("key"),
            "connectionString": lambda draft: (
                f"InstrumentationKey={draft.uuid('key')};ApplicationId={draft.uuid('app')}"
            ),
        },
        required=("kind", "applicationType"),
        rules=(
            unless(
                lambda draft: draft.get("ingestionMode") == "LogAnalytics" and draft.get("workspaceResourceId") is None,
                "BadRequest: WorkspaceResourceId is required when IngestionMode is LogAnalytics.",
            ),
        ),
    ),
    arm(
        "monitor:ActionGroup",
        "Microsoft.Insights/actionGroups/{actionGroupName}",
        located=True,
        required=("groupShortName", "enabled"),
        rules=(
            matches(
                "groupShortName",
                r".{1,12}",
                "BadRequest: The group short name '{value}' is longer than 12 characters.",
            ),
            one_of(
                "location",
                ("global", "Global", "swedencentral", "germanywestcentral", "northcentralus", "southcentralus"),
                "LocationNotAvailableForResourceType: '{value}' is no location of action groups; use 'Global'.",
            ),
        ),
    ),
    Model(
        "azure-native:monitor:DiagnosticSetting",
        # `{name}` in a template would be the logical name.
        id=lambda draft: (
            f"{draft.get('resourceUri')}/providers/Microsoft.Insights/diagnosticSettings/{draft.get('name')}"
        ),
        outputs={"type": "Microsoft.Insights/diagnosticSettings"},
        required=("resourceUri", "name"),
        replaces=("name", "resourceUri"),
        rules=(
            _categories_exist,
            unless(_goes_nowhere, "BadRequest: At least one data sink needs to be specified."),
        ),
    ),
    arm(
        "monitor:DataCollectionRule",
        "Microsoft.Insights/dataCollectionRules/{dataCollectionRuleName}",
        located=True,
        outputs={"immutableId": "dcr-{hex:32}"},
        rules=(_flows_have_destinations,),
    ),
    Model(
        "azure-native:monitor:DataCollectionRuleAssociation",
        id="{resourceUri}/providers/Microsoft.Insights/dataCollectionRuleAssociations/{associationName}",
        outputs={"name": "{associationName}", "type": "Microsoft.Insights/dataCollectionRuleAssociations"},
        required=("resourceUri", "associationName"),
        replaces=("resourceUri", "associationName"),
    ),
)
