"""Log Analytics and alerts: access to logs, their retention, and receivers of alerts."""

from collections.abc import Mapping
from typing import Any

from policies.engine.control import Setting
from policies.engine.expectations import IS_TRUE, Requirement, at_least, expect, expect_set, one_of, pass_if_any
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

WORKSPACE = ("azure-native:operationalinsights:Workspace",)
TABLE = ("azure-native:operationalinsights:Table",)
ALERTS = (
    "azure-native:monitor:MetricAlert",
    "azure-native:monitor:ActivityLogAlert",
    "azure-native:monitor:ScheduledQueryRule",
)
# The paths of the action groups in each of these types.
RECEIVERS = ("actions.actionGroups[*].actionGroupId", "actions.actionGroups[*]", "actions[*].actionGroupId")


@control(
    "azure-logs-local-auth",
    title="Log Analytics workspaces do not accept keys",
    severity="medium",
    types=WORKSPACE,
    remedy="set features.disableLocalAuth to true",
)
def local_auth(props: Props) -> Findings:
    path = "features.disableLocalAuth"
    yield from expect(props, path, IS_TRUE, "anyone with the workspace's key can write false logs")


@control(
    "azure-logs-public-network",
    title="Log Analytics workspaces are reached through private links only",
    severity="medium",
    types=WORKSPACE,
    remedy="set publicNetworkAccessForIngestion and publicNetworkAccessForQuery to Disabled, with a private link scope",
)
def public_network(props: Props) -> Findings:
    for use in ("Ingestion", "Query"):
        path = f"publicNetworkAccessFor{use}"
        yield from expect(props, path, one_of("Disabled"), "logs are written and read from the Internet")


@control(
    "azure-logs-retention",
    title="Log Analytics workspaces keep logs for long enough",
    severity="low",
    types=WORKSPACE,
    remedy="raise retentionInDays",
    settings={"minDays": Setting({"type": "integer", "minimum": 30, "maximum": 730}, default=30)},
)
def retention(props: Props, settings: Mapping[str, Any]) -> Findings:
    # Azure retains logs for 30 days if nothing is set.
    enough = at_least(settings["minDays"])
    risk = "logs are deleted before an attack is noticed"
    yield from expect(props, "retentionInDays", enough, risk, absent_passes=enough.accepts(30))


@control(
    "azure-logs-table-retention",
    title="Tables of Log Analytics keep logs for long enough",
    severity="low",
    types=TABLE,
    remedy="leave retentionInDays unset, so that the workspace's value applies, or raise it",
    settings={"minDays": Setting({"type": "integer", "minimum": 4, "maximum": 730}, default=30)},
)
def table_retention(props: Props, settings: Mapping[str, Any]) -> Findings:
    enough = at_least(settings["minDays"])
    # -1 means the workspace's value.
    own = Requirement(enough.text, lambda days: enough.accepts(days) or days == -1)
    yield from expect(props, "retentionInDays", own, "logs are deleted before an attack is noticed", absent_passes=True)


@control(
    "azure-alert-receivers",
    title="Alerts notify somebody",
    severity="low",
    types=ALERTS,
    remedy="list an action group in actions",
)
def alert_receivers(props: Props) -> Findings:
    yield from pass_if_any(expect_set(props, path, "nobody is notified of the alert") for path in RECEIVERS)
