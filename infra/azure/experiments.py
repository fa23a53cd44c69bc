"""The store of model metadata, A/B assignments and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
from pulumi_azure_native import cosmosdb

from infra.azure.network import Network
from infra.azure.secrets import Secrets
from infra.contract import ExperimentsContract
from infra.core.component import Component, StackContext

DATABASE = "experiments"
# Partition keys: the assignments of one user are read together; the results of one experiment are in several shards,
# because a logical partition is limited to 20 GB: https://learn.microsoft.com/azure/cosmos-db/concepts-limits
CONTAINERS: Mapping[str, Sequence[str]] = {
    "models": ("/name",),
    "assignments": ("/experiment", "/user"),
    "results": ("/shard",),
}
# Containers whose items expire some time after they were written; models do not.
_EXPIRING = ("assignments", "results")
_DAY = 24 * 3600  # seconds
# RU/s, the smallest maximum of autoscaling; the bill starts at a tenth of it.
_MAXIMUM_THROUGHPUT = 1000


@dataclass(frozen=True)
class ExperimentsArgs:
    context: StackContext
    network: Network
    secrets: Secrets


class Experiments(Component):
    """A Cosmos DB account with one database and three containers."""

    layer = "azure"

    def __init__(self, name: str, args: ExperimentsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._account = self._create_account(name)
        self._id: pulumi.Output[str] = self._account.id
        self._account_name: pulumi.Output[str] = self._account.name
        # The account rejects a change while another one is in progress, so they are created one after the other.
        endpoint = args.network.create_private_endpoint(name, self._id, "Sql", parent=self)
        self._database = cosmosdb.SqlResourceSqlDatabase(
            name,
            resource_group_name=args.network.resource_group,
            account_name=self._account.name,
            database_name=DATABASE,
            resource=cosmosdb.SqlDatabaseResourceArgs(id=DATABASE),
            options=self._throughput,
            opts=self.child_options(
                depends_on=[endpoint], protect=args.context.settings.resilience.deletion_protection
            ),
        )
        self._containers: list[cosmosdb.SqlResourceSqlContainer] = []
        for container, keys in CONTAINERS.items():
            # Containers that share provisioned throughput cannot be created at the same time.
            # Source: https://github.com/MicrosoftDocs/azure-docs/issues/47481
            created = self._create_container(f"{name}-{container}", container, keys, after=self._containers[-1:])
            self._containers.append(created)
        self.register_outputs({"name": self._database.name, "endpoint": self._account.document_endpoint})

    @property
    def id(self) -> pulumi.Output[str]:
        return self._id

    @property
    def account_name(self) -> pulumi.Output[str]:
        """Name of the account."""
        return self._account_name

    @property
    def containers(self) -> Sequence[pulumi.Resource]:
        return self._containers

    @property
    def contract(self) -> ExperimentsContract:
        host = self._account.document_endpoint.apply(lambda url: urlsplit(str(url)).netloc)
        return ExperimentsContract(
            name=self._database.name,
            endpoint=self._account.document_endpoint,
            store=pulumi.Output.concat("cosmosdb://", host, "/", self._database.name),
            environment={},
        )

    @property
    def _throughput(self) -> cosmosdb.CreateUpdateOptionsArgs | None:
        """Provisioned throughput, which the containers share; None bills each request."""
        if not self._args.context.settings.resilience.provisioned_throughput:
            return None
        return cosmosdb.CreateUpdateOptionsArgs(
            autoscale_settings=cosmosdb.AutoscaleSettingsArgs(max_throughput=_MAXIMUM_THROUGHPUT)
        )

    def _create_account(self, name: str) -> cosmosdb.DatabaseAccount:
        context, encryption = self._args.context, self._args.secrets.encryption
        resilience = context.settings.resilience
        return cosmosdb.DatabaseAccount(
            name,
            resource_group_name=self._args.network.resource_group,
            account_name=context.naming.global_name("cosmos", limit=44),
            kind="GlobalDocumentDB",
            database_account_offer_type="Standard",
            capabilities=None
            if resilience.provisioned_throughput
            else [cosmosdb.CapabilityArgs(name="EnableServerless")],
            locations=[
                cosmosdb.LocationArgs(
                    location_name=context.settings.location,
                    failover_priority=0,
                    is_zone_redundant=resilience.multi_zone_experiments,
                )
            ],
            enable_automatic_failover=resilience.multi_zone_experiments,
            consistency_policy=cosmosdb.ConsistencyPolicyArgs(default_consistency_level="Session"),
            disable_local_auth=True,
            disable_key_based_metadata_write_access=True,
            minimal_tls_version="Tls12",
            public_network_access="Disabled",
            is_virtual_network_filter_enabled=True,
            network_acl_bypass="None",
            identity=cosmosdb.ManagedServiceIdentityArgs(
                type="UserAssigned", user_assigned_identities=[encryption.identity]
            ),
            default_identity=pulumi.Output.concat("UserAssignedIdentity=", encryption.identity),
            key_vault_key_uri=encryption.key,
            backup_policy=cosmosdb.ContinuousModeBackupPolicyArgs(
                type="Continuous",
                continuous_mode_properties=cosmosdb.ContinuousModePropertiesArgs(
                    tier=f"Continuous{resilience.experiments_backup_days}Days"
                ),
            ),
            tags=context.naming.tags,
            opts=self.child_options(protect=resilience.deletion_protection),
        )

    def _create_container(
        self, name: str, container: str, keys: Sequence[str], after: Sequence[pulumi.Resource]
    ) -> cosmosdb.SqlResourceSqlContainer:
        hierarchical = len(keys) > 1
        retention_days = self._args.context.settings.experiments.retention_days
        return cosmosdb.SqlResourceSqlContainer(
            name,
            resource_group_name=self._args.network.resource_group,
            account_name=self._account.name,
            database_name=self._database.name,
            container_name=container,
            resource=cosmosdb.SqlContainerResourceArgs(
                id=container,
                partition_key=cosmosdb.ContainerPartitionKeyArgs(
                    paths=keys, kind="MultiHash" if hierarchical else "Hash", version=2
                ),
                default_ttl=retention_days * _DAY if container in _EXPIRING else None,
            ),
            opts=self.child_options(
                depends_on=after, protect=self._args.context.settings.resilience.deletion_protection
            ),
        )
