"""Logs, traces and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import applicationinsights, monitor, operationalinsights

from infra.azure.network import Network
from infra.contract import TelemetryContract
from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class ObservabilityArgs:
    context: StackContext
    network: Network


class Observability(Component):
    """A Log Analytics workspace, Application Insights on it, and a group that receives alerts."""

    layer = "azure"

    def __init__(self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        settings, naming = args.context.settings, args.context.naming

        self._workspace = operationalinsights.Workspace(
            name,
            resource_group_name=args.network.resource_group,
            workspace_name=naming.regional_name("logs"),
            sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=settings.telemetry.retention_days,
            features=operationalinsights.WorkspaceFeaturesArgs(disable_local_auth=True),
            tags=naming.tags,
            opts=self.child_options(),
        )
        self._workspace_id: pulumi.Output[str] = self._workspace.id
        insights = applicationinsights.Component(
            name,
            resource_group_name=args.network.resource_group,
            resource_name_=naming.regional_name("insights", limit=260),
            application_type="web",
            kind="web",
            ingestion_mode="LogAnalytics",
            workspace_resource_id=self._workspace.id,
            disable_local_auth=True,
            tags=naming.tags,
            opts=self.child_options(),
        )
        self._insights_id: pulumi.Output[str] = insights.id
        self._groups = self._create_action_group(name, args)
        self.register_outputs({"logs": self._workspace.name})

    @property
    def workspace_id(self) -> pulumi.Output[str]:
        """ID of the Log Analytics workspace."""
        return self._workspace_id

    @property
    def insights_id(self) -> pulumi.Output[str]:
        """ID of the Application Insights component."""
        return self._insights_id

    @property
    def alert_receivers(self) -> Sequence[pulumi.Output[str]]:
        """IDs of the groups that receive alerts; empty without an address for alerts."""
        return [group.id for group in self._groups]

    @property
    def contract(self) -> TelemetryContract:
        return TelemetryContract(logs=self._workspace.name)

    def _create_action_group(self, name: str, args: ObservabilityArgs) -> Sequence[monitor.ActionGroup]:
        naming, address = args.context.naming, args.context.settings.telemetry.alert_email
        if not address:
            return ()
        group = monitor.ActionGroup(
            name,
            resource_group_name=args.network.resource_group,
            action_group_name=naming.regional_name("alerts", limit=260),
            group_short_name="groundwork",  # at most 12 characters, shown in text messages
            location="Global",
            enabled=True,
            email_receivers=[
                monitor.MicrosoftCommonEmailReceiverArgs(
                    name="owner", email_address=address, use_common_alert_schema=True
                )
            ],
            tags=naming.tags,
            opts=self.child_options(),
        )
        return (group,)
