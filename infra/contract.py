"""The contract between a cloud and the platform.

`infra.azure` and `infra.aws` each build a `Foundation`; `infra.cluster` takes one and never asks which cloud it
came from. What is in here is all that the platform may know of a cloud.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import pulumi

from infra.access import Store


@dataclass(frozen=True)
class Endpoint:
    """Where a service answers: what a network policy has to let through."""

    cidrs: pulumi.Input[Sequence[str]]
    port: int


class TaintEffect(StrEnum):
    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True)
class Taint:
    key: str
    value: str
    effect: TaintEffect


@dataclass(frozen=True)
class NodePool:
    """Nodes of one size in one or more zones, scaled between two bounds."""

    name: str
    size: str
    minimum: int
    maximum: int
    zones: Sequence[str]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Taint] = ()


@dataclass(frozen=True)
class ClusterContract:
    name: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]  # a secret on both clouds, though EKS's holds no credential
    oidc_issuer: pulumi.Output[str]
    node_pools: Sequence[NodePool]
    api: Endpoint  # the API server, as pods reach it
    storage_class: str  # encrypted block storage, there from the start


@dataclass(frozen=True)
class RegistryContract:
    server: pulumi.Output[str]  # host name that images are pulled from


@dataclass(frozen=True)
class ArtifactsContract:
    uri: pulumi.Output[str]  # root for MLflow: s3://bucket/mlflow or wasbs://container@account.../mlflow
    environment: Mapping[str, pulumi.Input[str]]  # what a client of the store needs; never a secret


@dataclass(frozen=True)
class TrackingDatabaseContract:
    """PostgreSQL behind MLflow; TLS is required by the server."""

    host: pulumi.Output[str]
    port: int
    database: str
    username: str
    password: pulumi.Output[str]  # a secret


@dataclass(frozen=True)
class ExperimentsContract:
    """Model metadata, A/B assignments and results."""

    name: pulumi.Output[str]
    endpoint: pulumi.Output[str]  # URL


@dataclass(frozen=True)
class SecretsContract:
    name: pulumi.Output[str]  # vault's name, or prefix of the secrets' names
    endpoint: pulumi.Output[str]  # URL


@dataclass(frozen=True)
class TrainingContract:
    name: pulumi.Output[str]  # Azure ML workspace or SageMaker domain


@dataclass(frozen=True)
class TelemetryContract:
    logs: pulumi.Output[str]  # Log Analytics workspace or CloudWatch log group


@dataclass(frozen=True)
class AuditContract:
    destination: pulumi.Output[str]  # where the audit trail is kept


@dataclass(frozen=True)
class Identity:
    """A workload's identity in the cloud, and how its pods carry it."""

    principal: pulumi.Output[str]
    service_account_annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    token_endpoint: Endpoint | None = None  # where pods exchange their token


@dataclass(frozen=True)
class Foundation:
    """What a cloud owes the platform."""

    cluster: ClusterContract
    registry: RegistryContract
    artifacts: ArtifactsContract
    tracking_db: TrackingDatabaseContract
    experiments: ExperimentsContract
    secrets: SecretsContract
    training: TrainingContract
    telemetry: TelemetryContract
    audit: AuditContract
    identities: Mapping[str, Identity]  # by workload's name, one for each row of the access table
    endpoints: Mapping[Store, Endpoint]  # by store
