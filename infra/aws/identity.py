"""The workloads' identities.

`ACTIONS` translates the access table; workloads get no other permissions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from infra.access import WORKLOADS, Access, Store, Workload
from infra.aws.artifacts import INFERENCES_PREFIX, PREFIX, Artifacts
from infra.aws.cluster import Cluster
from infra.aws.experiments import Experiments
from infra.aws.iam import Statement, allow
from infra.aws.pod_identity import create_pod_identity
from infra.aws.registry import Registry
from infra.aws.secrets import Secrets
from infra.aws.telemetry_stores import LOGS, TRACES, TelemetryStores
from infra.contract import Identity
from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class Actions:
    """The actions that one entry of the access table consists of."""

    store: Sequence[str] = ()  # on the store as a whole
    items: Sequence[str] = ()  # on the objects in it
    key: Sequence[str] = ()  # on the key that it is encrypted with
    any_resource: Sequence[str] = ()  # actions without resource-level permissions


_READ_OBJECTS = ("s3:GetObject",)
_WRITE_OBJECTS = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_READ_ITEMS = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:DescribeTable")
_WRITE_ITEMS = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
)
_READ_IMAGES = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_WRITE_IMAGES = ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage")
_DECRYPT = ("kms:Decrypt",)
# S3 and DynamoDB use the key as the caller: writers need to generate data keys, and multipart uploads also to decrypt
# them.
_ENCRYPT = ("kms:Decrypt", "kms:GenerateDataKey")
_READ_BUCKET = Actions(("s3:ListBucket",), _READ_OBJECTS, _DECRYPT)
_WRITE_BUCKET = Actions(("s3:ListBucket",), _READ_OBJECTS + _WRITE_OBJECTS, _ENCRYPT)

ACTIONS: Mapping[tuple[Store, Access], Actions] = {
    (Store.ARTIFACTS, Access.READ): _READ_BUCKET,
    (Store.ARTIFACTS, Access.WRITE): _WRITE_BUCKET,
    (Store.INFERENCES, Access.READ): _READ_BUCKET,
    (Store.INFERENCES, Access.WRITE): _WRITE_BUCKET,
    (Store.LOGS, Access.READ): _READ_BUCKET,
    (Store.LOGS, Access.WRITE): _WRITE_BUCKET,
    (Store.TRACES, Access.READ): _READ_BUCKET,
    (Store.TRACES, Access.WRITE): _WRITE_BUCKET,
    (Store.EXPERIMENTS, Access.READ): Actions(_READ_ITEMS, key=_DECRYPT),
    (Store.EXPERIMENTS, Access.WRITE): Actions(_READ_ITEMS + _WRITE_ITEMS, key=_ENCRYPT),
    # ECR uses the key through its own grant.
    (Store.REGISTRY, Access.READ): Actions(_READ_IMAGES, any_resource=("ecr:GetAuthorizationToken",)),
    (Store.REGISTRY, Access.WRITE): Actions(_READ_IMAGES + _WRITE_IMAGES, any_resource=("ecr:GetAuthorizationToken",)),
    (Store.SECRETS, Access.READ): Actions(
        ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"), key=_DECRYPT
    ),
    # Databases have their own logins.
    (Store.TRACKING_DB, Access.CONNECT): Actions(),
    (Store.LIFECYCLE_DB, Access.CONNECT): Actions(),
}
# The only service through which a workload may use the key of each store.
_SERVICES = {
    Store.ARTIFACTS: "s3",
    Store.INFERENCES: "s3",
    Store.LOGS: "s3",
    Store.TRACES: "s3",
    Store.EXPERIMENTS: "dynamodb",
    Store.SECRETS: "secretsmanager",
}
# Stores that are only a part of a bucket.
_PREFIXES = {Store.ARTIFACTS: PREFIX, Store.INFERENCES: INFERENCES_PREFIX}


@dataclass(frozen=True)
class IdentitiesArgs:
    context: StackContext
    secrets: Secrets
    registry: Registry
    artifacts: Artifacts
    telemetry_stores: TelemetryStores
    experiments: Experiments
    cluster: Cluster


class Identities(Component):
    """One role per workload, which only its service account in this cluster can assume."""

    layer = "aws"

    def __init__(self, name: str, args: IdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._identities = {workload.name: self._create_identity(name, workload) for workload in WORKLOADS}
        self.register_outputs({workload: identity.principal for workload, identity in self._identities.items()})

    @property
    def contract(self) -> Mapping[str, Identity]:
        return self._identities

    def policy_statements(self, workload: Workload, store: Store) -> Sequence[Statement]:
        """The policy statements for a workload's access to a store."""
        actions, stores = ACTIONS[store, workload.needs[store]], self._store_arns(workload, store)
        granted = []
        if actions.store:
            granted.append(allow(actions.store, stores))
        if actions.items:
            items = f"/{_PREFIXES[store]}/*" if store in _PREFIXES else "/*"
            granted.append(allow(actions.items, [pulumi.Output.concat(arn, items) for arn in stores]))
        if actions.key:
            service = f"{_SERVICES[store]}.{self._args.context.settings.location}.amazonaws.com"
            via = {"StringEquals": {"kms:ViaService": service}}
            granted.append(allow(actions.key, [self._args.secrets.key.arn], via))
        if actions.any_resource:
            granted.append(allow(actions.any_resource, ["*"]))
        return granted

    def _create_identity(self, name: str, workload: Workload) -> Identity:
        statements = [statement for store in workload.needs for statement in self.policy_statements(workload, store)]
        args = self._args
        return create_pod_identity(f"{name}-{workload.name}", workload, statements, args.context, args.cluster, self)

    def _store_arns(self, workload: Workload, store: Store) -> Sequence[pulumi.Output[str]]:
        args = self._args
        tables = args.experiments.table_arns
        stores = {
            Store.ARTIFACTS: [args.artifacts.bucket_arn],
            Store.INFERENCES: [args.artifacts.bucket_arn],
            Store.EXPERIMENTS: [tables[name] for name in workload.tables],
            Store.REGISTRY: args.registry.repository_arns,
            Store.SECRETS: [args.secrets.secrets_arn],
            Store.LOGS: [args.telemetry_stores.bucket_arn(LOGS)],
            Store.TRACES: [args.telemetry_stores.bucket_arn(TRACES)],
        }
        return stores.get(store, [])
