"""The object stores of logs and traces."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from infra.azure.artifacts import create_private_account
from infra.azure.network import Network
from infra.azure.secrets import Secrets
from infra.contract import BlobContainer, TelemetryStoresContract
from infra.core.component import Component, StackContext

LOGS, TRACES = "logs", "traces"
_SOFT_DELETE_DAYS = 7
# Loki and Tempo delete what is older than the retention period, by their own indexes, some hours after its end. What is
# still there after a week is in no index any more.
_GRACE_DAYS = 7


@dataclass(frozen=True)
class TelemetryStoresArgs:
    context: StackContext
    network: Network
    secrets: Secrets


class TelemetryStores(Component):
    """A storage account with one container for logs and one for traces."""

    layer = "azure"

    def __init__(self, name: str, args: TelemetryStoresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._account = create_private_account(name, "tel", args.context, args.network, args.secrets, parent=self)
        self._blob_service_id: pulumi.Output[str] = self._create_expiry(name).id
        self._containers = {kind: self._create_container(f"{name}-{kind}", kind) for kind in (LOGS, TRACES)}
        self.register_outputs({"account": self._account.name})

    @property
    def blob_service_id(self) -> pulumi.Output[str]:
        """ID of the account's blob service, which has its own logs."""
        return self._blob_service_id

    @property
    def contract(self) -> TelemetryStoresContract:
        return TelemetryStoresContract(logs=self._describe(LOGS), traces=self._describe(TRACES))

    def container_id(self, kind: str) -> pulumi.Output[str]:
        """ID of the container of logs or traces. Roles are assigned on it rather than on the account."""
        id_: pulumi.Output[str] = self._containers[kind].id
        return id_

    def _describe(self, kind: str) -> BlobContainer:
        return BlobContainer(self._containers[kind].name, self._account.name, "blob.core.windows.net")

    def _create_container(self, name: str, kind: str) -> storage.BlobContainer:
        return storage.BlobContainer(
            name,
            resource_group_name=self._args.network.resource_group,
            account_name=self._account.name,
            container_name=kind,
            public_access="None",
            opts=self.child_options(protect=self._args.context.settings.resilience.deletion_protection),
        )

    def _create_expiry(self, name: str) -> storage.BlobServiceProperties:
        """Deleted blobs can be restored for a week, and blobs that outlived the retention period are deleted."""
        group, days = self._args.network.resource_group, self._args.context.settings.telemetry.retention_days
        service = storage.BlobServiceProperties(
            name,
            resource_group_name=group,
            account_name=self._account.name,
            blob_services_name="default",
            delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=_SOFT_DELETE_DAYS),
            container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=_SOFT_DELETE_DAYS),
            opts=self.child_options(),
        )
        expired = storage.DateAfterModificationArgs(days_after_modification_greater_than=days + _GRACE_DAYS)
        storage.ManagementPolicy(
            name,
            resource_group_name=group,
            account_name=self._account.name,
            management_policy_name="default",
            policy=storage.ManagementPolicySchemaArgs(
                rules=[
                    storage.ManagementPolicyRuleArgs(
                        name="expired",
                        enabled=True,
                        type="Lifecycle",
                        definition=storage.ManagementPolicyDefinitionArgs(
                            filters=storage.ManagementPolicyFilterArgs(blob_types=["blockBlob"]),
                            actions=storage.ManagementPolicyActionArgs(
                                base_blob=storage.ManagementPolicyBaseBlobArgs(delete=expired)
                            ),
                        ),
                    )
                ]
            ),
            opts=self.child_options(),
        )
        return service
