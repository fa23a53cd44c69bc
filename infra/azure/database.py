"""The PostgreSQL server of MLflow and of the promotion's inbox."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_random
from pulumi_azure_native import dbforpostgresql

from infra.azure.network import Network
from infra.azure.secrets import Secrets
from infra.contract import DatabaseContract
from infra.core.component import Component, StackContext
from infra.core.maintenance import find_window
from infra.core.settings import Cloud
from infra.core.settings.versions import POSTGRESQL

DATABASE = USERNAME = "mlflow"
LIFECYCLE_DATABASE = "lifecycle"
PORT = 5432
# The service's name of each family of sizes, keyed by the first letter of the size.
_TIERS = {"B": "Burstable", "D": "GeneralPurpose", "E": "MemoryOptimized"}


@dataclass(frozen=True)
class DatabaseArgs:
    context: StackContext
    network: Network
    secrets: Secrets


class Database(Component):
    """A flexible server in its own subnet, which accepts only connections over TLS."""

    layer = "azure"

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._password = self._create_password(f"{name}-password", "tracking-database-password")
        self._lifecycle_password = self._create_password(f"{name}-lifecycle-password", "lifecycle-database-password")
        self._server = self._create_server(name)
        self._id: pulumi.Output[str] = self._server.id
        self._create_database(name)
        self.register_outputs({"host": self._server.fully_qualified_domain_name})

    @property
    def id(self) -> pulumi.Output[str]:
        return self._id

    @property
    def tracking_contract(self) -> DatabaseContract:
        return self._describe(DATABASE, self._password)

    @property
    def lifecycle_contract(self) -> DatabaseContract:
        return self._describe(LIFECYCLE_DATABASE, self._lifecycle_password)

    def _describe(self, database: str, password: pulumi_random.RandomPassword) -> DatabaseContract:
        """A database and the login of the same name."""
        return DatabaseContract(
            host=self._server.fully_qualified_domain_name,
            port=PORT,
            database=database,
            username=database,
            password=pulumi.Output.secret(password.result),
        )

    def _create_password(self, name: str, secret: str) -> pulumi_random.RandomPassword:
        """Only letters and digits, because the password is part of a URL. Azure requires three character classes."""
        password = pulumi_random.RandomPassword(
            name, length=32, special=False, min_lower=1, min_upper=1, min_numeric=1, opts=self.child_options()
        )
        self._args.secrets.store_secret(secret, password.result)
        return password

    def _create_server(self, name: str) -> dbforpostgresql.Server:
        context, network, encryption = self._args.context, self._args.network, self._args.secrets.encryption
        settings, resilience = context.settings.database, context.settings.resilience
        copy, maintenance = self._args.secrets.copy_encryption, find_window(context.settings).start
        identities = [encryption.identity, *([copy.identity] if copy else [])]
        return dbforpostgresql.Server(
            name,
            resource_group_name=network.resource_group,
            server_name=context.naming.global_name("pg"),
            version=POSTGRESQL[Cloud.AZURE].default,
            sku=dbforpostgresql.SkuArgs(
                name=settings.size, tier=_TIERS.get(settings.size.partition("_")[2][:1], "GeneralPurpose")
            ),
            # A nearly full disk grows by itself. Azure then rejects updates with the smaller size, which
            # `ignoreChanges` would still send, so the setting has to be raised; docs/settings.md says so.
            storage=dbforpostgresql.StorageArgs(storage_size_gb=settings.storage_gb, auto_grow="Enabled"),
            administrator_login=USERNAME,
            administrator_login_password=self._password.result,
            auth_config=dbforpostgresql.AuthConfigArgs(
                active_directory_auth="Disabled",
                password_auth="Enabled",  # noqa: S106
            ),
            network=dbforpostgresql.NetworkArgs(
                delegated_subnet_resource_id=network.database_subnet,
                private_dns_zone_arm_resource_id=network.database_zone,
                public_network_access="Disabled",
            ),
            identity=dbforpostgresql.UserAssignedIdentityArgs(
                type="UserAssigned",
                user_assigned_identities=pulumi.Output.all(*identities).apply(
                    lambda ids: {id_: dbforpostgresql.UserIdentityArgs() for id_ in ids}
                ),
            ),
            data_encryption=dbforpostgresql.DataEncryptionArgs(
                type="AzureKeyVault",
                # Without a version: a server whose version expired would refuse all connections. Source:
                # https://learn.microsoft.com/azure/postgresql/security/security-data-encryption#automatic-key-version-updates
                primary_key_uri=encryption.key,
                primary_user_assigned_identity_id=encryption.identity,
                geo_backup_key_uri=copy.key if copy else None,
                geo_backup_user_assigned_identity_id=copy.identity if copy else None,
            ),
            backup=dbforpostgresql.BackupArgs(
                backup_retention_days=settings.backup_days, geo_redundant_backup="Enabled" if copy else "Disabled"
            ),
            # Azure chooses the zones. A failover swaps them, which the next update would otherwise revert or refuse.
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/issues/13443
            high_availability=dbforpostgresql.HighAvailabilityArgs(
                mode="ZoneRedundant" if resilience.multi_zone_database else "Disabled"
            ),
            # For an hour. The API's specification allows it in updates, not at creation: a new server may have Azure's
            # own choice until the next update.
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/postgres/postgresql_flexible_server_resource.go
            maintenance_window=dbforpostgresql.MaintenanceWindowArgs(
                custom_window="Enabled", day_of_week=maintenance.day, start_hour=maintenance.hour, start_minute=0
            ),
            tags=context.naming.tags,
            opts=self.child_options(protect=resilience.deletion_protection),
        )

    def _create_database(self, name: str) -> None:
        """MLflow's database, and then TLS 1.2 as the minimum, since the server rejects concurrent operations."""
        parameters = {"require_secure_transport": "on", "ssl_min_protocol_version": "TLSv1.2"}
        server = {"resource_group_name": self._args.network.resource_group, "server_name": self._server.name}
        previous: pulumi.Resource = dbforpostgresql.Database(
            name, database_name=DATABASE, charset="UTF8", collation="en_US.utf8", **server, opts=self.child_options()
        )
        for parameter, value in parameters.items():
            previous = dbforpostgresql.Configuration(
                f"{name}-{parameter.replace('_', '-')}",
                configuration_name=parameter,
                value=value,
                source="user-override",
                **server,
                opts=self.child_options(depends_on=[previous]),
            )
