"""The vault of secrets, and the keys that encrypt data at rest."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, keyvault, managedidentity
from pulumi_random import RandomId

from infra.access import get_workload
from infra.azure.identity import Role, assign_role, wait_for_propagation
from infra.azure.network import Network
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext

# Services that name the key without a version use a new version within about a day. Versions that a rotation creates
# expire 18 months later, the first version does not: an expiry means that the next rotation has failed for half a year.
# Source: https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation#key-rotation-policy
_ROTATE_AFTER, _EXPIRE_AFTER, _NOTIFY_BEFORE = "P1Y", "P18M", "P30D"


@dataclass(frozen=True)
class Encryption:
    """What a service needs in order to encrypt with the platform's key, which rotates."""

    identity: pulumi.Output[str]  # ID; known once the identity can use the key
    client: pulumi.Output[str]  # client ID of the identity
    vault: pulumi.Output[str]  # ID of the vault
    vault_uri: pulumi.Output[str]
    key_name: pulumi.Output[str]
    key: pulumi.Output[str]  # URI without version: the service uses new versions
    key_version: pulumi.Output[str]  # URI with version, for a service that requires one and replaces it by itself


@dataclass(frozen=True)
class CopyEncryption:
    """What a service needs in order to encrypt its data in the second region."""

    vault: pulumi.Output[str]  # ID
    identity: pulumi.Output[str]  # ID; known once the identity can use the key
    key: pulumi.Output[str]  # URI without version


@dataclass(frozen=True)
class SecretsArgs:
    context: StackContext
    network: Network


class Secrets(Component):
    """A vault, the platform's key in it, and the identity with which services use the keys of the vault.

    Keys and secrets are deleted only with their vault: the provider would delete them in the data plane, where it has
    no role, and which it cannot reach from outside of the network.
    Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/resources/customresources/custom_keyvault.go
    """

    layer = "azure"

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        context, network = args.context, args.network

        self._vault = create_private_vault(name, "kv", context, network, parent=self)
        self._vault_id: pulumi.Output[str] = self._vault.id
        self._vault_uri: pulumi.Output[str] = self._vault.properties.vault_uri
        self._name = name
        self._key = self._create_key(f"{name}-key", "platform", self._vault, _rotate())
        self._identity = managedidentity.UserAssignedIdentity(
            f"{name}-encryption",
            resource_group_name=network.resource_group,
            resource_name_=context.naming.regional_name("encryption", limit=128),
            tags=context.naming.tags,
            opts=self.child_options(),
        )
        role = assign_role(
            f"{name}-encryption", Role.KEY_VAULT_ENCRYPTION_USER, self._vault.id, self._identity.principal_id, self
        )
        self._propagation = wait_for_propagation(f"{name}-encryption", [role], self)
        self._copy_encryption = self._create_copy_encryption(f"{name}-copy")
        self.register_outputs({"name": self._vault.name, "endpoint": self._vault_uri})

    @property
    def vault_id(self) -> pulumi.Output[str]:
        """ID of the vault."""
        return self._vault_id

    @property
    def encryption(self) -> Encryption:
        return Encryption(
            # The triggers are inputs, so that a preview that does not change the role assignment knows the ID.
            identity=pulumi.Output.all(self._identity.id, self._propagation.triggers).apply(lambda ids: str(ids[0])),
            client=self._identity.client_id,
            vault=self._vault.id,
            vault_uri=self._vault_uri,
            key_name=self._key.name,
            key=self._key.key_uri,
            key_version=self._key.key_uri_with_version,
        )

    @property
    def copy_encryption(self) -> CopyEncryption | None:
        """None if nothing is copied to a second region."""
        return self._copy_encryption

    @property
    def contract(self) -> SecretsContract:
        reader = get_workload("external-secrets")
        account = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self))
        return SecretsContract(
            name=self._vault.name,
            endpoint=self._vault_uri,
            store_provider={
                "azurekv": {
                    "vaultUrl": self._vault_uri,
                    "tenantId": account.tenant_id,
                    "authType": "WorkloadIdentity",
                    "serviceAccountRef": {"name": reader.service_account, "namespace": reader.namespace},
                }
            },
            name_prefix="",
        )

    def create_pinned_key(self, purpose: str) -> pulumi.Output[str]:
        """The URI, with its version, of a key for a service that uses one version until it is told another one.

        The key neither rotates nor expires by itself; docs/operations.md says how to rotate it.
        """
        key = self._create_key(f"{self._name}-pinned-{purpose}", purpose, self._vault)
        version: pulumi.Output[str] = key.key_uri_with_version
        return version

    def _create_key(
        self,
        name: str,
        key_name: str,
        vault: keyvault.Vault,
        rotation: keyvault.RotationPolicyArgs | None = None,
    ) -> keyvault.Key:
        context = self._args.context
        return keyvault.Key(
            name,
            resource_group_name=self._args.network.resource_group,
            vault_name=vault.name,
            key_name=key_name,
            properties=keyvault.KeyPropertiesArgs(kty="RSA", key_size=3072, rotation_policy=rotation),
            tags=context.naming.tags,
            opts=self.child_options(
                retain_on_delete=True,
                protect=context.settings.resilience.deletion_protection,
                # Azure accepts an update of an existing key and changes nothing, which every later refresh would find.
                # Source: https://learn.microsoft.com/rest/api/keyvault/keyvault/keys/create-if-not-exist
                ignore_changes=["properties", "tags"],
            ),
        )

    def _create_copy_encryption(self, name: str) -> CopyEncryption | None:
        """A vault, a key and an identity in the second region, which must not depend on anything in the first."""
        context, network = self._args.context, self._args.network
        location = context.settings.resilience.second_location
        if not location:
            return None
        vault = create_private_vault(name, "kc", context, network, parent=self, location=location)
        key = self._create_key(f"{name}-key", "platform", vault, _rotate())
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=network.resource_group,
            resource_name_=context.naming.regional_name("copies", limit=128),
            location=location,
            tags=context.naming.tags,
            opts=self.child_options(),
        )
        role = assign_role(name, Role.KEY_VAULT_ENCRYPTION_USER, vault.id, identity.principal_id, self)
        propagation = wait_for_propagation(name, [role], self)
        return CopyEncryption(
            vault=vault.id,
            identity=pulumi.Output.all(identity.id, propagation.triggers).apply(lambda ids: str(ids[0])),
            key=key.key_uri,
        )

    def store_secret(self, name: str, value: pulumi.Input[str]) -> None:
        """Store a secret value in the vault under this name."""
        keyvault.Secret(
            name,
            resource_group_name=self._args.network.resource_group,
            vault_name=self._vault.name,
            secret_name=name,
            properties=keyvault.SecretPropertiesArgs(value=pulumi.Output.secret(value), content_type="text/plain"),
            tags=self._args.context.naming.tags,
            opts=self.child_options(retain_on_delete=True),
        )


def _rotate() -> keyvault.RotationPolicyArgs:
    """The policy of a key that Azure rotates; the notice before a version expires raises the alert `key-expiry`."""
    return keyvault.RotationPolicyArgs(
        attributes=keyvault.KeyRotationPolicyAttributesArgs(expiry_time=_EXPIRE_AFTER),
        lifetime_actions=[
            keyvault.LifetimeActionArgs(
                action=keyvault.ActionArgs(type="rotate"),
                trigger=keyvault.TriggerArgs(time_after_create=_ROTATE_AFTER),
            ),
            keyvault.LifetimeActionArgs(
                action=keyvault.ActionArgs(type="notify"),
                trigger=keyvault.TriggerArgs(time_before_expiry=_NOTIFY_BEFORE),
            ),
        ],
    )


def create_private_vault(
    name: str,
    suffix: str,
    context: StackContext,
    network: Network,
    parent: Component,
    *,
    location: str | None = None,
) -> keyvault.Vault:
    """A vault that only the network and trusted Azure services can reach, with purge protection.

    `location` is set if it is not the stack's own.

    A deleted vault keeps its name for 90 days, during which it cannot be purged. The name of each new vault ends with
    random digits, so that a stack can be destroyed and deployed again.
    """
    digits = RandomId(f"{name}-vault", byte_length=4, opts=parent.child_options())
    account = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=parent))
    vault = keyvault.Vault(
        name,
        resource_group_name=network.resource_group,
        location=location,
        vault_name=pulumi.Output.concat(context.naming.global_word(suffix, limit=24 - 8), digits.hex),
        properties=keyvault.VaultPropertiesArgs(
            tenant_id=account.tenant_id,
            sku=keyvault.SkuArgs(family="A", name="standard"),
            enable_rbac_authorization=True,
            enable_soft_delete=True,
            soft_delete_retention_in_days=90,
            enable_purge_protection=True,
            public_network_access="Disabled",
            # Storage, registry and databases access the key as trusted services, from outside the network.
            network_acls=keyvault.NetworkRuleSetArgs(default_action="Deny", bypass="AzureServices"),
        ),
        tags=context.naming.tags,
        opts=parent.child_options(protect=context.settings.resilience.deletion_protection),
    )
    network.create_private_endpoint(name, vault.id, "vault", parent=parent)
    return vault
