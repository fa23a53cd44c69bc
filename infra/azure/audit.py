"""The audit trail: diagnostic settings of every service, and flow logs of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import managedidentity, monitor, network, storage

from infra.azure.artifacts import Artifacts
from infra.azure.cluster import Cluster
from infra.azure.database import Database
from infra.azure.experiments import Experiments
from infra.azure.identity import Role, assign_role, wait_for_propagation
from infra.azure.network import Network
from infra.azure.observability import Observability
from infra.azure.registry import Registry
from infra.azure.secrets import Secrets
from infra.azure.storage_account import create_private_account
from infra.azure.telemetry_stores import TelemetryStores
from infra.azure.training import Training
from infra.contract import AuditContract
from infra.core.component import Component, StackContext

_FLOW_LOG_DAYS = 90  # days; CIS Azure Foundations 7.8 requires at least 90


@dataclass(frozen=True)
class AuditArgs:
    context: StackContext
    network: Network
    observability: Observability
    secrets: Secrets
    registry: Registry
    artifacts: Artifacts
    telemetry_stores: TelemetryStores
    database: Database
    experiments: Experiments
    cluster: Cluster
    training: Training


class Audit(Component):
    """Audit logs of all services in the Log Analytics workspace, and flow logs in their own storage account."""

    layer = "azure"

    def __init__(self, name: str, args: AuditArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        # Source of the categories: https://learn.microsoft.com/azure/azure-monitor/reference/logs-index
        self._create_diagnostic_setting(f"{name}-vault", args.secrets.vault_id, ["AuditEvent"])
        self._create_diagnostic_setting(f"{name}-training-vault", args.training.vault_id, ["AuditEvent"])
        self._create_diagnostic_setting(
            f"{name}-registry",
            args.registry.id,
            ["ContainerRegistryLoginEvents", "ContainerRegistryRepositoryEvents"],
        )
        self._create_diagnostic_setting(
            f"{name}-artifacts",
            args.artifacts.blob_service_id,
            ["StorageRead", "StorageWrite", "StorageDelete"],
        )
        self._create_diagnostic_setting(
            f"{name}-jobs", args.training.blob_service_id, ["StorageRead", "StorageWrite", "StorageDelete"]
        )
        # Without Loki's and Tempo's stores: both read and write all the time, and have their own logs.
        self._create_diagnostic_setting(f"{name}-telemetry", args.telemetry_stores.blob_service_id, ["StorageDelete"])
        if args.secrets.copy_encryption:
            self._create_diagnostic_setting(f"{name}-copies", args.secrets.copy_encryption.vault, ["AuditEvent"])
        self._create_diagnostic_setting(f"{name}-database", args.database.id, ["PostgreSQLLogs"])
        self._create_diagnostic_setting(
            f"{name}-experiments", args.experiments.id, ["ControlPlaneRequests", "DataPlaneRequests"]
        )
        # kube-audit-admin omits reads; kube-audit contains them and is many times as large.
        self._create_diagnostic_setting(
            f"{name}-cluster", args.cluster.id, ["kube-audit-admin", "kube-apiserver", "guard"]
        )
        self._create_diagnostic_setting(
            f"{name}-training",
            args.training.id,
            ["AmlComputeClusterEvent", "AmlComputeJobEvent", "AmlRunStatusChangedEvent"],
        )
        self._account = create_private_account(name, "fl", args.context, args.network, args.secrets, parent=self)
        self._create_flow_log(f"{name}-flows")
        self.register_outputs({"destination": args.observability.contract.logs})

    @property
    def contract(self) -> AuditContract:
        return AuditContract(destination=self._args.observability.contract.logs)

    def _create_diagnostic_setting(self, name: str, target: pulumi.Output[str], categories: Sequence[str]) -> None:
        monitor.DiagnosticSetting(
            name,
            name="audit",
            resource_uri=target,
            workspace_id=self._args.observability.workspace_id,
            logs=[monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in categories],
            opts=self.child_options(),
        )

    def _create_flow_log(self, name: str) -> None:
        """Flow logs of the network. Since June 2025 they can no longer be created on security groups."""
        context, vnet = self._args.context, self._args.network
        storage.BlobServiceProperties(
            name,
            resource_group_name=vnet.resource_group,
            account_name=self._account.name,
            blob_services_name="default",
            is_versioning_enabled=True,
            delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=7),
            container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=7),
            opts=self.child_options(),
        )
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=vnet.resource_group,
            resource_name_=context.naming.regional_name("flow-logs", limit=128),
            tags=context.naming.tags,
            opts=self.child_options(),
        )
        write_role = assign_role(name, Role.BLOB_DATA_CONTRIBUTOR, self._account.id, identity.principal_id, self)
        network.FlowLog(
            name,
            # Azure creates one network watcher in each location in which a subscription has a network.
            resource_group_name="NetworkWatcherRG",
            network_watcher_name=f"NetworkWatcher_{context.settings.location}",
            flow_log_name=context.naming.regional_name("flows", limit=80),
            location=context.settings.location,
            target_resource_id=vnet.id,
            storage_id=self._account.id,
            identity=network.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[identity.id]),
            enabled=True,
            format=network.FlowLogFormatParametersArgs(type="JSON", version=2),
            retention_policy=network.RetentionPolicyParametersArgs(enabled=True, days=_FLOW_LOG_DAYS),
            tags=context.naming.tags,
            opts=self.child_options(depends_on=[wait_for_propagation(name, [write_role], self)]),
        )
