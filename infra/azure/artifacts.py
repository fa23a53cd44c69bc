"""The object store of models and runs, and of the inference log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from infra.azure.network import Network
from infra.azure.secrets import Secrets
from infra.azure.storage_account import (
    SOFT_DELETE_DAYS,
    Expiry,
    create_container,
    create_expiry,
    create_private_account,
    create_soft_delete,
    expire_versions,
)
from infra.contract import ArtifactsContract
from infra.core.component import Component, StackContext

CONTAINER = "mlflow"
INFERENCES_CONTAINER = "inferences"


@dataclass(frozen=True)
class ArtifactsArgs:
    context: StackContext
    network: Network
    secrets: Secrets


class Artifacts(Component):
    """A storage account with two containers: one for MLflow's artifacts, and one for inferences, which expire."""

    layer = "azure"

    def __init__(self, name: str, args: ArtifactsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        context, network = args.context, args.network
        self._account = create_private_account(
            name,
            "st",
            context,
            network,
            args.secrets,
            parent=self,
            is_copied=bool(context.settings.resilience.second_location),
        )
        self._account_id: pulumi.Output[str] = self._account.id
        service = create_soft_delete(name, self._account, SOFT_DELETE_DAYS, network, self, is_versioned=True)
        self._blob_service_id: pulumi.Output[str] = service.id
        create_expiry(name, self._account, self._list_expiry(), network, self)
        container = create_container(name, self._account, CONTAINER, context, network, self)
        self._container_id: pulumi.Output[str] = container.id
        inferences = create_container(
            f"{name}-{INFERENCES_CONTAINER}", self._account, INFERENCES_CONTAINER, context, network, self
        )
        self._inferences_id: pulumi.Output[str] = inferences.id
        self.register_outputs({"uri": self._describe(CONTAINER).uri})

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
    def inferences_id(self) -> pulumi.Output[str]:
        """ID of the container of inferences."""
        return self._inferences_id

    @property
    def contract(self) -> ArtifactsContract:
        return self._describe(CONTAINER)

    @property
    def inferences_contract(self) -> ArtifactsContract:
        return self._describe(INFERENCES_CONTAINER)

    def _describe(self, container: str) -> ArtifactsContract:
        return ArtifactsContract(
            uri=pulumi.Output.concat("wasbs://", container, "@", self._account.name, ".blob.core.windows.net/"),
            environment={"AZURE_STORAGE_ACCOUNT_NAME": self._account.name},
        )

    def _list_expiry(self) -> Sequence[Expiry]:
        """Rules that delete old versions and old inferences."""
        settings = self._args.context.settings
        expired = storage.DateAfterModificationArgs(days_after_modification_greater_than=settings.drift.retention_days)
        return [
            expire_versions(settings.resilience.artifact_version_days),
            Expiry(
                "expired-inferences",
                storage.ManagementPolicyActionArgs(base_blob=storage.ManagementPolicyBaseBlobArgs(delete=expired)),
                prefix=f"{INFERENCES_CONTAINER}/",
            ),
        ]
