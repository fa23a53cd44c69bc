"""The vault, the key that everything at rest is encrypted with, and the identity that may use it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, keyvault, managedidentity

from infra.azure.identity import Role, grant
from infra.azure.network import Network
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext

# Services that take the key without its version follow a rotation within a day or so; the old version keeps
# opening what it closed until it expires, a year and a half after it was made.
_ROTATE_AFTER, _EXPIRE_AFTER = "P1Y", "P18M"


@dataclass(frozen=True)
class Encryption:
    """What a service needs to encrypt with the platform's key."""

    identity: pulumi.Output[str]  # ID, known once the identity may use the key
    client: pulumi.Output[str]  # its client ID
    vault: pulumi.Output[str]  # the vault's ID
    vault_uri: pulumi.Output[str]
    key_name: pulumi.Output[str]
    key: pulumi.Output[str]  # URI without version: the service follows rotations
    key_version: pulumi.Output[str]  # URI with version, where a service insists


@dataclass(frozen=True)
class SecretsArgs:
    context: StackContext
    network: Network


class Secrets(Component):
    layer = "azure"

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        context, network = args.context, args.network

        self._vault = private_vault(name, "kv", context, network, parent=self)
        self._vault_id: pulumi.Output[str] = self._vault.id
        self._vault_uri: pulumi.Output[str] = self._vault.properties.vault_uri
        self._key = keyvault.Key(
            f"{name}-key",
            resource_group_name=network.resource_group,
            vault_name=self._vault.name,
            key_name="platform",
            properties=keyvault.KeyPropertiesArgs(
                kty="RSA",
                key_size=3072,
                rotation_policy=keyvault.RotationPolicyArgs(
                    attributes=keyvault.KeyRotationPolicyAttributesArgs(expiry_time=_EXPIRE_AFTER),
                    lifetime_actions=[
                        keyvault.LifetimeActionArgs(
                            action=keyvault.ActionArgs(type="rotate"),
                            trigger=keyvault.TriggerArgs(time_after_create=_ROTATE_AFTER),
                        )
                    ],
                ),
            ),
            tags=context.naming.tags,
            opts=self.child_options(protect=context.settings.production),
        )
        self._identity = managedidentity.UserAssignedIdentity(
            f"{name}-encryption",
            resource_group_name=network.resource_group,
            resource_name_=context.naming.regional_name("encryption", limit=128),
            tags=context.naming.tags,
            opts=self.child_options(),
        )
        self._may_encrypt = grant(
            f"{name}-encryption", Role.KEY_VAULT_ENCRYPTION_USER, self._vault.id, self._identity.principal_id, self
        )
        self.register_outputs({"name": self._vault.name, "endpoint": self._vault_uri})

    @property
    def vault(self) -> pulumi.Output[str]:
        """ID of the vault."""
        return self._vault_id

    @property
    def encryption(self) -> Encryption:
        return Encryption(
            identity=pulumi.Output.all(self._identity.id, self._may_encrypt.id).apply(lambda ids: str(ids[0])),
            client=self._identity.client_id,
            vault=self._vault.id,
            vault_uri=self._vault_uri,
            key_name=self._key.name,
            key=self._key.key_uri,
            key_version=self._key.key_uri_with_version,
        )

    @property
    def contract(self) -> SecretsContract:
        return SecretsContract(name=self._vault.name, endpoint=self._vault_uri)

    def store_secret(self, name: str, value: pulumi.Input[str]) -> keyvault.Secret:
        """Keep a secret value under this name."""
        return keyvault.Secret(
            name,
            resource_group_name=self._args.network.resource_group,
            vault_name=self._vault.name,
            secret_name=name,
            properties=keyvault.SecretPropertiesArgs(value=pulumi.Output.secret(value), content_type="text/plain"),
            tags=self._args.context.naming.tags,
            opts=self.child_options(),
        )


def private_vault(name: str, part: str, context: StackContext, network: Network, parent: Component) -> keyvault.Vault:
    """A vault that only the network and Azure's own services reach, and whose contents cannot be purged."""
    account = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=parent))
    vault = keyvault.Vault(
        name,
        resource_group_name=network.resource_group,
        vault_name=context.naming.global_name(part, limit=24, hyphens=False),
        properties=keyvault.VaultPropertiesArgs(
            tenant_id=account.tenant_id,
            sku=keyvault.SkuArgs(family="A", name="standard"),
            enable_rbac_authorization=True,
            enable_soft_delete=True,
            soft_delete_retention_in_days=90,
            enable_purge_protection=True,
            public_network_access="Disabled",
            # Storage, registry and databases fetch the key as trusted services, not from within the network.
            network_acls=keyvault.NetworkRuleSetArgs(default_action="Deny", bypass="AzureServices"),
        ),
        tags=context.naming.tags,
        opts=parent.child_options(protect=context.settings.production),
    )
    network.private_endpoint(name, vault.id, "vault", parent=parent)
    return vault
