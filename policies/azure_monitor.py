"""Azure Monitor: what services do is written down."""

from policies.control import Resource, Stack, StackVerdicts, each_has, of_type, stack_control
from policies.props import UNKNOWN, Undecided, Verdicts, each, some

SETTING = "azure-native:monitor:DiagnosticSetting"
LOGGED_SERVICES = (
    "azure-native:containerservice:ManagedCluster",
    "azure-native:containerregistry:Registry",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:keyvault:Vault",
    "azure-native:machinelearningservices:Workspace",
)


@stack_control(
    "azure-monitor-diagnostic-settings",
    title="AKS, ACR, Cosmos DB, Key Vault and ML workspaces send their logs somewhere",
    severity="high",
    types=LOGGED_SERVICES,
    remedy="declare a DiagnosticSetting with resourceUri set to the service's id and at least one log enabled",
    anchors=("AzPolicy:resource-logs", "CIS-Azure5 6.1.1.4", "CIS-AKS 2.1.1"),
)
def diagnostic_settings(stack: Stack) -> StackVerdicts:
    missing = "no diagnostic setting names it"
    owners, settings = of_type(stack, *LOGGED_SERVICES), of_type(stack, SETTING)
    yield from each_has(owners, settings, "resourceUri", missing, _has_enabled_log)


def _has_enabled_log(setting: Resource) -> Verdicts:
    enabled = some((value for _, value in each(setting.props, "logs[].enabled")), lambda value: value is True)
    if enabled is UNKNOWN:
        yield Undecided(f"{setting.name}.logs")
    elif not enabled:
        yield f"its diagnostic setting {setting.name} enables no log"
