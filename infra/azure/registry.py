"""The container registry of the platform's images."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry

from infra.azure.network import Network
from infra.azure.secrets import Secrets
from infra.contract import RegistryContract
from infra.core.component import Component, StackContext

_UNTAGGED_DAYS = 30  # an untagged image is only useful for a rollback soon after its tag moved


@dataclass(frozen=True)
class RegistryArgs:
    context: StackContext
    network: Network
    secrets: Secrets


class Registry(Component):
    """A private registry, encrypted with the platform's key."""

    layer = "azure"

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        naming, encryption = args.context.naming, args.secrets.encryption

        self._registry = containerregistry.Registry(
            name,
            resource_group_name=args.network.resource_group,
            registry_name=naming.global_word("cr", limit=50),
            # Private endpoints, customer-managed keys and retention require this tier.
            sku=containerregistry.SkuArgs(name="Premium"),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            public_network_access="Disabled",
            network_rule_set=containerregistry.NetworkRuleSetArgs(default_action="Deny"),
            network_rule_bypass_options="AzureServices",
            data_endpoint_enabled=True,
            zone_redundancy="Enabled",
            identity=containerregistry.IdentityPropertiesArgs(
                type="UserAssigned",
                user_assigned_identities=encryption.identity.apply(
                    lambda id_: {id_: containerregistry.UserIdentityPropertiesArgs()}
                ),
            ),
            encryption=containerregistry.EncryptionPropertyArgs(
                status="enabled",
                key_vault_properties=containerregistry.KeyVaultPropertiesArgs(
                    identity=encryption.client, key_identifier=encryption.key
                ),
            ),
            policies=containerregistry.PoliciesArgs(
                export_policy=containerregistry.ExportPolicyArgs(status="disabled"),
                retention_policy=containerregistry.RetentionPolicyArgs(status="enabled", days=_UNTAGGED_DAYS),
            ),
            tags=naming.tags,
            opts=self.child_options(protect=args.context.settings.resilience.deletion_protection),
        )
        self._id: pulumi.Output[str] = self._registry.id
        args.network.create_private_endpoint(name, self._id, "registry", parent=self)
        self.register_outputs({"server": self._registry.login_server})

    @property
    def id(self) -> pulumi.Output[str]:
        return self._id

    @property
    def contract(self) -> RegistryContract:
        server = self._registry.login_server
        return RegistryContract(server=server, image_prefix=pulumi.Output.format("{}/", server))
