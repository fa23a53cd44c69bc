"""The contract between a cloud and the platform.

`infra.azure` and `infra.aws` each create a `Foundation`. `infra.cluster` uses it without knowing the cloud: it depends
on nothing but these classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import pulumi

from infra.access import Store


@dataclass(frozen=True)
class Endpoint:
    """The addresses and the port of a service, for network policies."""

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
    """Nodes of one size in one or more zones, which the autoscaler keeps between two bounds."""

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
    kubeconfig: pulumi.Output[str]  # a secret, even though it contains no credentials
    oidc_issuer: pulumi.Output[str]
    node_pools: Sequence[NodePool]
    api: Endpoint  # the API server, as seen by pods
    storage_class: str  # encrypted block storage that exists with the cluster


@dataclass(frozen=True)
class RegistryContract:
    server: pulumi.Output[str]  # host name in the names of images


@dataclass(frozen=True)
class ArtifactsContract:
    uri: pulumi.Output[str]  # MLflow's artifact root: s3://bucket/mlflow or wasbs://mlflow@account.../
    environment: Mapping[str, pulumi.Input[str]]  # environment variables of clients; never a secret


@dataclass(frozen=True)
class TrackingDatabaseContract:
    """The PostgreSQL server of MLflow, which requires TLS."""

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
    name: pulumi.Output[str]  # name of the vault, or prefix of the secrets' names
    endpoint: pulumi.Output[str]  # URL


@dataclass(frozen=True)
class TrainingContract:
    name: pulumi.Output[str]  # of the Azure ML workspace, or the start of the names of SageMaker's jobs


@dataclass(frozen=True)
class TelemetryContract:
    logs: pulumi.Output[str]  # Log Analytics workspace or CloudWatch log group


@dataclass(frozen=True)
class AuditContract:
    destination: pulumi.Output[str]  # name of the workspace or bucket with the audit trail


@dataclass(frozen=True)
class Identity:
    """A workload's identity in the cloud, and what its pods need to use it."""

    principal: pulumi.Output[str]
    service_account_annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    token_endpoint: Endpoint | None = None  # where pods exchange their token for credentials


@dataclass(frozen=True)
class Foundation:
    """Everything that a cloud provides to the platform."""

    cluster: ClusterContract
    registry: RegistryContract
    artifacts: ArtifactsContract
    tracking_db: TrackingDatabaseContract
    experiments: ExperimentsContract
    secrets: SecretsContract
    training: TrainingContract
    telemetry: TelemetryContract
    audit: AuditContract
    identities: Mapping[str, Identity]  # by name of the workload, one for each row of the access table
    endpoints: Mapping[Store, Endpoint]  # by store
