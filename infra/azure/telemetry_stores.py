"""The object stores of logs and traces."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from infra.azure.network import Network
from infra.azure.secrets import Secrets
from infra.azure.storage_account import (
    Expiry,
    create_container,
    create_expiry,
    create_private_account,
    create_soft_delete,
)
from infra.contract import BlobContainer, TelemetryStoresContract
from infra.core.component import Component, StackContext

LOGS, TRACES = "logs", "traces"
_SOFT_DELETE_DAYS = 7
# Loki and Tempo delete objects that are older than the retention period, using their own indexes, some hours after its
# end. Objects that still exist after a week are no longer in any index.
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
        context, network = args.context, args.network
        self._account = create_private_account(name, "tel", context, network, args.secrets, parent=self)
        service = create_soft_delete(name, self._account, _SOFT_DELETE_DAYS, network, self)
        self._blob_service_id: pulumi.Output[str] = service.id
        create_expiry(name, self._account, [Expiry("expired", self._delete_expired())], network, self)
        self._containers = {
            kind: create_container(f"{name}-{kind}", self._account, kind, context, network, self)
            for kind in (LOGS, TRACES)
        }
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

    def _delete_expired(self) -> storage.ManagementPolicyActionArgs:
        """Delete blobs that are older than the retention period."""
        days = self._args.context.settings.telemetry.retention_days + _GRACE_DAYS
        expired = storage.DateAfterModificationArgs(days_after_modification_greater_than=days)
        return storage.ManagementPolicyActionArgs(base_blob=storage.ManagementPolicyBaseBlobArgs(delete=expired))
