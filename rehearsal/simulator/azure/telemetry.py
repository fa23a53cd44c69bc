"""Log Analytics, Application Insights, action groups, diagnostic settings and data collection rules."""

from __future__ import annotations

from collections.abc import Mapping

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import STABLE_OUTPUTS, arm_model
from rehearsal.simulator.azure.defaults import auto_named
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import (
    describe_unlisted,
    in_range,
    list_objects,
    matches,
    note_unlisted,
    refuse_when,
)
from rehearsal.simulator.core.transitions import stays
from rehearsal.simulator.core.values import has_unknown

_SETTING = "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}"
_ASSOCIATION = "{resourceUri}/providers/Microsoft.Insights/dataCollectionRuleAssociations/{associationName}"

# Some of the locations listed at https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups
_GROUP_LOCATIONS = ("global", "Global", "swedencentral", "germanywestcentral", "northcentralus", "southcentralus")

# Some of the categories of resource logs, keyed by the last segment of the resource's type; not checked against an
# account.
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


def _note_categories(request: ResourceRequest) -> str | None:
    target = request.get("resourceUri")
    if not isinstance(target, str) or "/" not in target:
        return None
    kind = target.split("/")[-2]
    for log in list_objects(request, "logs"):
        category, known = log.get("category", UNKNOWN), _CATEGORIES.get(kind, frozenset())
        if category is not UNKNOWN and category not in known:
            return describe_unlisted(f"whether {kind} have logs of the category", category, known)
    return None


# Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/monitor/monitor_diagnostic_setting_resource.go
def _lacks_destination(request: ResourceRequest) -> bool:
    sinks = ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId")
    return all(request.get(sink) is None for sink in sinks)


# Documented at https://learn.microsoft.com/azure/azure-monitor/essentials/data-collection-rule-structure; the message
# is not Azure's own.
def _check_flow_destinations(request: ResourceRequest) -> str | None:
    kinds = request.get("destinations", {})
    if not isinstance(kinds, Mapping) or has_unknown(kinds):
        return None
    declared = {item.get("name") for kind in kinds for item in list_objects(request, f"destinations.{kind}")}
    for flow in list_objects(request, "dataFlows"):
        used = flow.get("destinations", [])
        undeclared = set(used) - declared if isinstance(used, list) else set()
        if undeclared and UNKNOWN not in (*declared, *undeclared):
            return f"InvalidPayload: Data collection rule is invalid: destination '{undeclared.pop()}' is not declared."
    return None


MODELS = (
    arm_model(
        "operationalinsights:Workspace",
        "Microsoft.OperationalInsights/workspaces/{workspaceName}",
        transitions=UNRESTRICTED,
        located=True,
        outputs={"customerId": "{uuid}", "provisioningState": "Succeeded"},
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftoperationalinsights
            matches(
                "workspaceName",
                r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
                "InvalidResourceName: Workspace name '{value}' must be 4 to 63 letters, digits or '-', the '-' neither "
                "first nor last.",
            ),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/loganalytics/log_analytics_workspace_resource.go
            in_range(
                "retentionInDays",
                30,
                730,
                "InvalidParameter: 'RetentionInDays' property doesn't match the SKU limits: {value} is not in "
                "30 to 730.",
            ),
        ),
    ),
    arm_model(
        "applicationinsights:Component",
        "Microsoft.Insights/components/{resourceName}",
        transitions=(
            # Documented at https://learn.microsoft.com/azure/azure-monitor/app/convert-classic-resource; the message is
            # not Azure's own.
            stays(
                "ingestionMode",
                "LogAnalytics",
                "BadRequest: A workspace-based component cannot return to the ingestion mode {new}.",
            ),
        ),
        located=True,
        outputs={
            "appId": lambda request: request.uuid("app"),
            "instrumentationKey": lambda request: request.uuid("key"),
            "connectionString": lambda request: (
                f"InstrumentationKey={request.uuid('key')};ApplicationId={request.uuid('app')}"
            ),
        },
        required=("kind",),
        rules=(
            # Source: https://learn.microsoft.com/rest/api/application-insights/components/create-or-update
            refuse_when(
                lambda request: (
                    request.get("ingestionMode") == "LogAnalytics" and request.get("workspaceResourceId") is None
                ),
                "BadRequest: WorkspaceResourceId is required when IngestionMode is LogAnalytics.",
            ),
        ),
    ),
    arm_model(
        "monitor:ActionGroup",
        "Microsoft.Insights/actionGroups/{actionGroupName}",
        transitions=UNRESTRICTED,
        located=True,
        required=("groupShortName",),
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/monitor/monitor_action_group_resource.go
            matches(
                "groupShortName",
                r".{1,12}",
                "BadRequest: The group short name '{value}' is longer than 12 characters.",
            ),
        ),
        notes=(note_unlisted("location", _GROUP_LOCATIONS, "whether action groups exist in the location"),),
    ),
    ResourceModel(
        "azure-native:monitor:DiagnosticSetting",
        id=_SETTING,
        outputs={"type": "Microsoft.Insights/diagnosticSettings"},
        required=("resourceUri", "name"),
        defaults=auto_named(_SETTING),
        # The parameters of its ID. Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/diff.go
        replace_on_changes=("name", "resourceUri"),
        transitions=UNRESTRICTED,
        stable_outputs=STABLE_OUTPUTS,
        rules=(refuse_when(_lacks_destination, "BadRequest: At least one data sink needs to be specified."),),
        notes=(_note_categories,),
    ),
    arm_model(
        "monitor:DataCollectionRule",
        "Microsoft.Insights/dataCollectionRules/{dataCollectionRuleName}",
        transitions=UNRESTRICTED,
        located=True,
        outputs={"immutableId": "dcr-{hex:32}"},
        rules=(_check_flow_destinations,),
    ),
    ResourceModel(
        "azure-native:monitor:DataCollectionRuleAssociation",
        id=_ASSOCIATION,
        outputs={"name": "{associationName}", "type": "Microsoft.Insights/dataCollectionRuleAssociations"},
        required=("resourceUri", "associationName"),
        defaults=auto_named(_ASSOCIATION),
        # The parameters of its ID. Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/diff.go
        replace_on_changes=("resourceUri", "associationName"),
        transitions=UNRESTRICTED,
        stable_outputs=STABLE_OUTPUTS,
    ),
)
