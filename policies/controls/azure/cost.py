"""Cost of a stack on Azure: tags, and budgets that notify somebody when they are spent."""

import re
from collections.abc import Mapping
from typing import Any

from kernel.paths import each_value, look_up
from kernel.values import UNKNOWN
from policies.controls.tags import REQUIRED, expect_tags
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

TAGGED = (
    "azure-native:resources:ResourceGroup",
    "azure-native:containerservice:ManagedCluster",
    "azure-native:containerservice:AgentPool",
    "azure-native:containerregistry:Registry",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:dbforpostgresql:Server",
    "azure-native:keyvault:Vault",
    "azure-native:machinelearningservices:Compute",
    "azure-native:machinelearningservices:Workspace",
    "azure-native:operationalinsights:Workspace",
    "azure-native:storage:StorageAccount",
)
BUDGET = ("azure-native:consumption:Budget",)
_RISK = "nobody is notified when the budget is spent"
# The receivers of a budget's notifications, and patterns of their names.
RECEIVERS = {"contactEmails": r".+@.+", "contactGroups": r"/.+", "contactRoles": r"\w.*"}


@control(
    "azure-cost-tags",
    title="Resources that cost money have the required tags",
    severity="low",
    types=TAGGED,
    remedy="set the tags that the setting required lists",
    references=("AzPolicy:require-tag",),
    settings={"required": REQUIRED},
)
def tags(props: Props, settings: Mapping[str, Any]) -> Findings:
    yield from expect_tags(props, settings["required"])


@control(
    "azure-cost-budget",
    title="Budgets notify somebody when they are spent",
    severity="low",
    types=BUDGET,
    remedy="set notifications with enabled true, and contactEmails, contactGroups or contactRoles",
)
def budget(props: Props) -> Findings:
    notifications = look_up(props, "notifications")
    if notifications is UNKNOWN:
        yield Undecided("notifications")
        return
    written = notifications if isinstance(notifications, Mapping) else {}
    enabled = {name: each for name, each in written.items() if look_up(each, "enabled") in (True, UNKNOWN)}
    if not enabled:
        yield f"notifications must have one that is enabled, otherwise {_RISK}"
    for name, notification in enabled.items():
        if not _reaches_somebody(notification):
            yield f"notifications.{name} must have receivers, otherwise {_RISK}"


def _reaches_somebody(notification: Any) -> bool:
    receivers = [(kind, value) for kind in RECEIVERS for _, value in each_value(notification, f"{kind}[*]")]
    return any(value is UNKNOWN or _is_receiver(kind, value) for kind, value in receivers)


def _is_receiver(kind: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(RECEIVERS[kind], value) is not None
