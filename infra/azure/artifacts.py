"""The object store of models and runs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from infra.azure.network import Network
from infra.azure.secrets import Secrets
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
        self._account = create_private_account(name, "st", args.context, args.network, args.secrets, parent=self)
        self._account_id: pulumi.Output[str] = self._account.id
        self._blob_service_id: pulumi.Output[str] = self._create_versioning(name).id
        container = storage.BlobContainer(
            name,
            resource_group_name=args.network.resource_group,
            account_name=self._account.name,
            container_name=CONTAINER,
            public_access="None",
            opts=self.child_options(protect=args.context.settings.resilience.deletion_protection),
        )
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

    def _create_versioning(self, name: str) -> storage.BlobServiceProperties:
        """Replaced and deleted blobs can be restored for a limited time, after which they cost nothing."""
        group, resilience = self._args.network.resource_group, self._args.context.settings.resilience
        service = storage.BlobServiceProperties(
            name,
            resource_group_name=group,
            account_name=self._account.name,
            blob_services_name="default",
            is_versioning_enabled=True,
            delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=_SOFT_DELETE_DAYS),
            container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=_SOFT_DELETE_DAYS),
            opts=self.child_options(),
        )
        storage.ManagementPolicy(
            name,
            resource_group_name=group,
            account_name=self._account.name,
            management_policy_name="default",
            policy=storage.ManagementPolicySchemaArgs(
                rules=[
                    storage.ManagementPolicyRuleArgs(
                        name="old-versions",
                        enabled=True,
                        type="Lifecycle",
                        definition=storage.ManagementPolicyDefinitionArgs(
                            filters=storage.ManagementPolicyFilterArgs(blob_types=["blockBlob"]),
                            actions=storage.ManagementPolicyActionArgs(
                                version=storage.ManagementPolicyVersionArgs(
                                    delete=storage.DateAfterCreationArgs(
                                        days_after_creation_greater_than=resilience.artifact_version_days
                                    )
                                )
                            ),
                        ),
                    )
                ]
            ),
            opts=self.child_options(),
        )
        return service


def create_private_account(
    name: str, suffix: str, context: StackContext, network: Network, secrets: Secrets, parent: Component
) -> storage.StorageAccount:
    """A storage account without access keys or public access, encrypted with the platform's key."""
    encryption = secrets.encryption
    account = storage.StorageAccount(
        name,
        resource_group_name=network.resource_group,
        account_name=context.naming.global_word(suffix, limit=24),
        kind="StorageV2",
        sku=storage.SkuArgs(name="Standard_ZRS"),
        access_tier="Hot",
        allow_blob_public_access=False,
        allow_shared_key_access=False,
        allow_cross_tenant_replication=False,
        default_to_o_auth_authentication=True,
        is_local_user_enabled=False,
        enable_https_traffic_only=True,
        minimum_tls_version="TLS1_2",
        public_network_access="Disabled",
        network_rule_set=storage.NetworkRuleSetArgs(default_action="Deny", bypass="AzureServices"),
        identity=storage.IdentityArgs(type="UserAssigned", user_assigned_identities=[encryption.identity]),
        encryption=storage.EncryptionArgs(
            key_source="Microsoft.Keyvault",
            encryption_identity=storage.EncryptionIdentityArgs(encryption_user_assigned_identity=encryption.identity),
            key_vault_properties=storage.KeyVaultPropertiesArgs(
                key_vault_uri=encryption.vault_uri, key_name=encryption.key_name
            ),
            require_infrastructure_encryption=True,
            services=storage.EncryptionServicesArgs(
                blob=storage.EncryptionServiceArgs(enabled=True, key_type="Account"),
                file=storage.EncryptionServiceArgs(enabled=True, key_type="Account"),
            ),
        ),
        tags=context.naming.tags,
        opts=parent.child_options(protect=context.settings.resilience.deletion_protection),
    )
    network.create_private_endpoint(name, account.id, "blob", parent=parent)
    return account
