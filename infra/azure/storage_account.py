"""Storage accounts, their containers, and the retention of replaced and deleted blobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi_azure_native import storage

from infra.azure.network import Network
from infra.azure.secrets import Secrets
from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class Expiry:
    """A rule that deletes blobs of an account.

    prefix  prefix of the blobs' names, which starts with the container's name; empty for all blobs
    """

    name: str
    actions: storage.ManagementPolicyActionArgs
    prefix: str = ""


def create_private_account(
    name: str,
    suffix: str,
    context: StackContext,
    network: Network,
    secrets: Secrets,
    parent: Component,
    *,
    is_copied: bool = False,
) -> storage.StorageAccount:
    """A storage account without access keys or public access, encrypted with the platform's key.

    If it is copied, it can also be read in the paired region.
    """
    encryption = secrets.encryption
    account = storage.StorageAccount(
        name,
        resource_group_name=network.resource_group,
        account_name=context.naming.global_word(suffix, limit=24),
        kind="StorageV2",
        sku=storage.SkuArgs(name="Standard_RAGZRS" if is_copied else "Standard_ZRS"),
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


def create_container(
    name: str,
    account: storage.StorageAccount,
    container: str,
    context: StackContext,
    network: Network,
    parent: Component,
) -> storage.BlobContainer:
    """A container of an account, protected like the account."""
    return storage.BlobContainer(
        name,
        resource_group_name=network.resource_group,
        account_name=account.name,
        container_name=container,
        public_access="None",
        opts=parent.child_options(protect=context.settings.resilience.deletion_protection),
    )


SOFT_DELETE_DAYS = 30
"""How long deleted files of the platform and of jobs can be restored."""


def create_soft_delete(
    name: str,
    account: storage.StorageAccount,
    days: int,
    network: Network,
    parent: Component,
    *,
    is_versioned: bool | None = None,
) -> storage.BlobServiceProperties:
    """Make deleted blobs and containers of an account restorable for some days; with versions, replaced blobs too."""
    return storage.BlobServiceProperties(
        name,
        resource_group_name=network.resource_group,
        account_name=account.name,
        blob_services_name="default",
        is_versioning_enabled=is_versioned,
        delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=days),
        container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=days),
        opts=parent.child_options(),
    )


def expire_versions(days: int) -> Expiry:
    """Delete replaced and deleted blobs after the time in which they can be restored."""
    old = storage.DateAfterCreationArgs(days_after_creation_greater_than=days)
    return Expiry(
        "old-versions", storage.ManagementPolicyActionArgs(version=storage.ManagementPolicyVersionArgs(delete=old))
    )


def create_expiry(
    name: str,
    account: storage.StorageAccount,
    rules: Sequence[Expiry],
    network: Network,
    parent: Component,
) -> None:
    """Delete blobs of an account by rules; an account has only one policy, which contains all rules."""
    storage.ManagementPolicy(
        name,
        resource_group_name=network.resource_group,
        account_name=account.name,
        management_policy_name="default",
        policy=storage.ManagementPolicySchemaArgs(
            rules=[
                storage.ManagementPolicyRuleArgs(
                    name=rule.name, enabled=True, type="Lifecycle", definition=_define_expiry(rule)
                )
                for rule in rules
            ]
        ),
        opts=parent.child_options(),
    )


def _define_expiry(rule: Expiry) -> storage.ManagementPolicyDefinitionArgs:
    filters = storage.ManagementPolicyFilterArgs(
        blob_types=["blockBlob"], prefix_match=[rule.prefix] if rule.prefix else None
    )
    return storage.ManagementPolicyDefinitionArgs(filters=filters, actions=rule.actions)
