"""The store of model metadata, A/B assignments and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import dynamodb

from infra.aws.secrets import Secrets
from infra.contract import ExperimentsContract
from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class _Keys:
    partition: str
    sort: str


# The attribute with the time at which items expire, which the writer of experiments sets.
_EXPIRY = "expires"


# The queries of each table: the versions of a model; the variants of a user, by experiment and time; the results of an
# experiment by time, in several shards, because one partition is limited to 1,000 writes per second:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
_TABLES = {
    "models": _Keys("name", "version"),
    "assignments": _Keys("user", "recorded"),
    "results": _Keys("shard", "recorded"),
}


@dataclass(frozen=True)
class ExperimentsArgs:
    context: StackContext
    secrets: Secrets


class Experiments(Component):
    """Three DynamoDB tables, billed by request."""

    layer = "aws"

    def __init__(self, name: str, args: ExperimentsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self._tables = {
            table: self._create_table(f"{name}-{table}", table, keys, args.secrets) for table, keys in _TABLES.items()
        }
        self.register_outputs({"name": self.contract.name})

    @property
    def table_arns(self) -> Mapping[str, pulumi.Output[str]]:
        """The tables' ARNs, keyed by their names in the access table."""
        return {name: table.arn for name, table in self._tables.items()}

    @property
    def contract(self) -> ExperimentsContract:
        region = self._context.settings.location
        name = pulumi.Output.all(*[table.name for table in self._tables.values()]).apply(lambda _: self._prefix)
        return ExperimentsContract(
            name=name,
            endpoint=pulumi.Output.from_input(f"https://dynamodb.{region}.amazonaws.com"),
            store=pulumi.Output.concat("dynamodb://", name),
            environment={"AWS_REGION": region, "AWS_DEFAULT_REGION": region},
        )

    def _create_table(self, name: str, table: str, keys: _Keys, secrets: Secrets) -> dynamodb.Table:
        protected = self._context.settings.resilience.deletion_protection
        return dynamodb.Table(
            name,
            name=f"{self._prefix}-{table}",
            billing_mode="PAY_PER_REQUEST",
            hash_key=keys.partition,
            range_key=keys.sort,
            attributes=[dynamodb.TableAttributeArgs(name=key, type="S") for key in (keys.partition, keys.sort)],
            server_side_encryption=dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=secrets.key.arn),
            point_in_time_recovery=dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
            ttl=dynamodb.TableTtlArgs(enabled=True, attribute_name=_EXPIRY),
            deletion_protection_enabled=protected,
            tags=self._context.naming.tags,
            opts=self.child_options(protect=protected),
        )

    @property
    def _prefix(self) -> str:
        return self._context.naming.regional_name("experiments", limit=200)
