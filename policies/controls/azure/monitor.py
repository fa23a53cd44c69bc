"""Azure Monitor: services send their logs."""

from kernel.paths import each_value
from kernel.values import UNKNOWN
from policies.engine.expectations import any_matches, expect_set, pass_if_any
from policies.engine.findings import Findings, Undecided
from policies.engine.registry import stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

SETTING = "azure-native:monitor:DiagnosticSetting"
# Settings of a whole subscription, or of several, for their activities.
WIDE_SETTINGS = (
    "azure-native:monitor:SubscriptionDiagnosticSetting",
    "azure-native:monitor:ManagementGroupDiagnosticSetting",
)
DESTINATIONS = ("storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId", "workspaceId")
LOGGED_SERVICES = (
    "azure-native:containerservice:ManagedCluster",
    "azure-native:containerregistry:Registry",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:keyvault:Vault",
    "azure-native:machinelearningservices:Workspace",
)


@stack_control(
    "azure-monitor-diagnostic-settings",
    title="AKS, ACR, Cosmos DB, Key Vault and ML workspaces send their logs to a destination",
    severity="high",
    types=(*LOGGED_SERVICES, SETTING, *WIDE_SETTINGS),
    remedy="declare a DiagnosticSetting with resourceUri set to the service's id and at least one log enabled",
    references=("AzPolicy:resource-logs", "CIS-Azure5 6.1.1.4", "CIS-AKS 2.1.1"),
)
def diagnostic_settings(stack: Stack) -> StackFindings:
    missing = "the resource must have a DiagnosticSetting"
    owners, settings = of_type(stack, *LOGGED_SERVICES), of_type(stack, SETTING)
    # A diagnostic setting of another service may send only metrics.
    yield from expect_companion(
        owners, settings, "resourceUri", missing, _expect_sent_log, check_alone=_expect_destination
    )
    for setting in of_type(stack, *WIDE_SETTINGS):
        yield from ((setting, finding) for finding in _expect_sent_log(setting))


def _expect_destination(setting: Resource) -> Findings:
    risk = f"the diagnostic setting {setting.name} sends its logs nowhere"
    yield from pass_if_any(expect_set(setting.props, path, risk) for path in DESTINATIONS)


def _expect_sent_log(setting: Resource) -> Findings:
    yield from _expect_destination(setting)
    enabled = any_matches(
        (value for _, value in each_value(setting.props, "logs[*].enabled")), lambda value: value is True
    )
    if enabled is UNKNOWN:
        yield Undecided(f"{setting.name}.logs")
    elif not enabled:
        yield f"the diagnostic setting {setting.name} must enable a log"
