"""Who did what: every service's audit log goes to the workspace, the network's flows to an account of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import managedidentity, monitor, network, storage

from infra.azure.artifacts import Artifacts, private_account
from infra.azure.cluster import Cluster
from infra.azure.database import Database
from infra.azure.experiments import Experiments
from infra.azure.identity import Role, grant
from infra.azure.network import Network
from infra.azure.observability import Observability
from infra.azure.registry import Registry
from infra.azure.secrets import Secrets
from infra.azure.training import Training
from infra.contract import AuditContract
from infra.core.component import Component, StackContext

_FLOW_LOG_DAYS = 90  # CIS Azure Foundations 7.8 asks for 90 or more


@dataclass(frozen=True)
class AuditArgs:
    context: StackContext
    network: Network
    observability: Observability
    secrets: Secrets
    registry: Registry
    artifacts: Artifacts
    database: Database
    experiments: Experiments
    cluster: Cluster
    training: Training


class Audit(Component):
    layer = "azure"

    def __init__(self, name: str, args: AuditArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        # Source of the categories: https://learn.microsoft.com/azure/azure-monitor/reference/logs-index
        self._log(f"{name}-vault", args.secrets.vault, ["AuditEvent"])
        self._log(f"{name}-training-vault", args.training.vault, ["AuditEvent"])
        self._log(
            f"{name}-registry",
            args.registry.id,
            ["ContainerRegistryLoginEvents", "ContainerRegistryRepositoryEvents"],
        )
        self._log(
            f"{name}-artifacts",
            args.artifacts.blobs,
            ["StorageRead", "StorageWrite", "StorageDelete"],
        )
        self._log(f"{name}-database", args.database.id, ["PostgreSQLLogs"])
        self._log(f"{name}-experiments", args.experiments.id, ["ControlPlaneRequests", "DataPlaneRequests"])
        # kube-audit-admin leaves out reads; kube-audit, with them, is many times as large.
        self._log(f"{name}-cluster", args.cluster.id, ["kube-audit-admin", "kube-apiserver", "guard"])
        self._log(
            f"{name}-training",
            args.training.id,
            ["AmlComputeClusterEvent", "AmlComputeJobEvent", "AmlRunStatusChangedEvent"],
        )
        self._account = private_account(name, "fl", args.context, args.network, args.secrets, parent=self)
        self._log_flows(f"{name}-flows")
        self.register_outputs({"destination": args.observability.contract.logs})

    @property
    def contract(self) -> AuditContract:
        return AuditContract(destination=self._args.observability.contract.logs)

    def _log(self, name: str, target: pulumi.Output[str], categories: Sequence[str]) -> None:
        monitor.DiagnosticSetting(
            name,
            name="audit",
            resource_uri=target,
            workspace_id=self._args.observability.workspace,
            logs=[monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in categories],
            opts=self.child_options(),
        )

    def _log_flows(self, name: str) -> None:
        """Flow logs are made on the network; those on security groups are no longer to be had since June 2025."""
        context, place = self._args.context, self._args.network
        storage.BlobServiceProperties(
            name,
            resource_group_name=place.resource_group,
            account_name=self._account.name,
            blob_services_name="default",
            is_versioning_enabled=True,
            delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=7),
            container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=7),
            opts=self.child_options(),
        )
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=place.resource_group,
            resource_name_=context.naming.regional_name("flow-logs", limit=128),
            tags=context.naming.tags,
            opts=self.child_options(),
        )
        may_write = grant(name, Role.BLOB_DATA_CONTRIBUTOR, self._account.id, identity.principal_id, self)
        network.FlowLog(
            name,
            # Azure makes one watcher for each location in which a subscription has a network.
            resource_group_name="NetworkWatcherRG",
            network_watcher_name=f"NetworkWatcher_{context.settings.location}",
            flow_log_name=context.naming.regional_name("flows", limit=80),
            location=context.settings.location,
            target_resource_id=place.id,
            storage_id=self._account.id,
            identity=network.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[identity.id]),
            enabled=True,
            format=network.FlowLogFormatParametersArgs(type="JSON", version=2),
            retention_policy=network.RetentionPolicyParametersArgs(enabled=True, days=_FLOW_LOG_DAYS),
            tags=context.naming.tags,
            opts=self.child_options(depends_on=[may_write]),
        )
