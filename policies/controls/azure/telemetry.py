"""Log Analytics and alerts: who may write and read logs, how long they are kept, and who hears of an alert."""

from collections.abc import Mapping
from typing import Any

from policies.engine.control import Setting
from policies.engine.expectations import IS_TRUE, at_least, expect, expect_set, one_of
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

WORKSPACE = ("azure-native:operationalinsights:Workspace",)
METRIC_ALERT = ("azure-native:monitor:MetricAlert",)


@control(
    "azure-logs-local-auth",
    title="Log Analytics workspaces accept no keys",
    severity="medium",
    types=WORKSPACE,
    remedy="set features.disableLocalAuth to true",
)
def local_auth(props: Props) -> Findings:
    path = "features.disableLocalAuth"
    yield from expect(props, path, IS_TRUE, "whoever has the workspace's key can write false logs")


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
    title="Log Analytics workspaces keep logs long enough",
    severity="low",
    types=WORKSPACE,
    remedy="raise retentionInDays",
    settings={"minDays": Setting({"type": "integer", "minimum": 30, "maximum": 730}, default=30)},
)
def retention(props: Props, settings: Mapping[str, Any]) -> Findings:
    # Azure keeps logs for 30 days where nothing is set.
    enough = at_least(settings["minDays"])
    risk = "logs are deleted before an attack is noticed"
    yield from expect(props, "retentionInDays", enough, risk, absent_passes=enough.accepts(30))


@control(
    "azure-alert-receivers",
    title="Somebody hears of alerts",
    severity="low",
    types=METRIC_ALERT,
    remedy="list an action group in actions",
)
def alert_receivers(props: Props) -> Findings:
    yield from expect_set(props, "actions[*].actionGroupId", "nobody hears of the alert")
