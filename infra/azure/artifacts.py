"""The object store of models and runs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from infra.azure.network import Network
from infra.azure.secrets import Secrets
from infra.azure.storage_account import create_container, create_expiry, create_private_account, create_soft_delete
from infra.contract import ArtifactsContract
from infra.core.component import Component, StackContext

CONTAINER = "mlflow"
_SOFT_DELETE_DAYS = 30


@dataclass(frozen=True)
class ArtifactsArgs:
    context: StackContext
    network: Network
    secrets: Secrets


class Artifacts(Component):
    """A storage account with one container, in which MLflow keeps its artifacts."""

    layer = "azure"

    def __init__(self, name: str, args: ArtifactsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        context, network = args.context, args.network
        self._account = create_private_account(name, "st", context, network, args.secrets, parent=self)
        self._account_id: pulumi.Output[str] = self._account.id
        service = create_soft_delete(name, self._account, _SOFT_DELETE_DAYS, network, self, is_versioned=True)
        self._blob_service_id: pulumi.Output[str] = service.id
        create_expiry(name, self._account, "old-versions", self._delete_versions(), network, self)
        container = create_container(name, self._account, CONTAINER, context, network, self)
        self._container_id: pulumi.Output[str] = container.id
        self.register_outputs({"uri": self._uri})

    @property
    def account_id(self) -> pulumi.Output[str]:
        """ID of the storage account."""
        return self._account_id

    @property
    def blob_service_id(self) -> pulumi.Output[str]:
        """ID of the account's blob service, which has its own logs."""
        return self._blob_service_id

    @property
    def container_id(self) -> pulumi.Output[str]:
        """ID of the container. Roles are assigned on it rather than on the account."""
        return self._container_id

    @property
    def contract(self) -> ArtifactsContract:
        return ArtifactsContract(uri=self._uri, environment={"AZURE_STORAGE_ACCOUNT_NAME": self._account.name})

    @property
    def _uri(self) -> pulumi.Output[str]:
        return pulumi.Output.concat("wasbs://", CONTAINER, "@", self._account.name, ".blob.core.windows.net/")

    def _delete_versions(self) -> storage.ManagementPolicyActionArgs:
        """Replaced and deleted blobs can be restored for a limited time, after which they cost nothing."""
        days = self._args.context.settings.resilience.artifact_version_days
        expired = storage.DateAfterCreationArgs(days_after_creation_greater_than=days)
        return storage.ManagementPolicyActionArgs(version=storage.ManagementPolicyVersionArgs(delete=expired))
