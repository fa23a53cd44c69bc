"""The contract between a cloud and the platform.

`infra.azure` and `infra.aws` each create a `Foundation`. `infra.cluster` uses it without knowing the cloud: it depends
on nothing but these classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pulumi

from infra.access import Store
from infra.core.settings.sections import GpuPoolSettings


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


POOL_LABEL = "groundwork/pool"  # label of a node with the name of its pool
# Named like the resource, so that pods which request it need no toleration of their own: the admission plugin
# ExtendedResourceToleration, which AKS and EKS have, adds it. With `sku=gpu`, as in AKS' guide, each would need one.
# Source: https://learn.microsoft.com/azure/aks/faq and
# https://docs.aws.amazon.com/eks/latest/userguide/platform-versions.html
GPU_TAINT = Taint("nvidia.com/gpu", "present", TaintEffect.NO_SCHEDULE)


def define_gpu_pool(settings: GpuPoolSettings, zones: Sequence[str]) -> NodePool | None:
    """The pool of nodes with GPUs, which is the same on every cloud; None where the settings have none."""
    if not settings.size:
        return None
    return NodePool("gpu", settings.size, 0, settings.maximum, zones, {POOL_LABEL: "gpu"}, (GPU_TAINT,))


class NetworkPolicyEngine(StrEnum):
    """What enforces network policies. Engines differ in what an address block selects."""

    CILIUM = "Cilium"
    VPC_CNI = "Amazon VPC CNI"


@dataclass(frozen=True)
class DiskContract:
    """What the platform's StorageClass needs to know of the cloud's disks, encrypted with the platform's key."""

    provisioner: str  # name of the CSI driver
    parameters: Mapping[str, pulumi.Input[str]]  # of the driver


@dataclass(frozen=True)
class ClusterContract:
    name: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]  # a secret, even though it contains no credentials
    oidc_issuer: pulumi.Output[str]
    node_pools: Sequence[NodePool]
    gpu_pool: NodePool | None  # of nodes that come when pods request GPUs; None where the settings have none
    api: Endpoint  # the API server, as seen by pods
    network_policy_engine: NetworkPolicyEngine
    # Labels of the pods in kube-system through which the API server may reach webhooks; None where it does so itself.
    api_tunnel: Mapping[str, str] | None
    disks: DiskContract
    load_balancer_annotations: Mapping[str, str]  # of a Service whose load balancer only the network reaches


@dataclass(frozen=True)
class RegistryContract:
    server: pulumi.Output[str]  # host name in the names of images
    image_prefix: pulumi.Output[str]  # what comes before the name of an image of the platform, with a slash at its end

    def locate(self, image: str, digest: str) -> pulumi.Output[str]:
        """Where an image of the platform is pulled from."""
        return pulumi.Output.format("{}{}@{}", self.image_prefix, image, digest)


@dataclass(frozen=True)
class ArtifactsContract:
    uri: pulumi.Output[str]  # a folder of an object store: s3://bucket/mlflow or wasbs://mlflow@account.../
    environment: Mapping[str, pulumi.Input[str]]  # environment variables of clients; never a secret


@dataclass(frozen=True)
class DatabaseContract:
    """A database on the stack's PostgreSQL server, which requires TLS, and its login."""

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
    store: pulumi.Output[str]  # as the writer of experiments names it: dynamodb://prefix or cosmosdb://host/database
    environment: Mapping[str, pulumi.Input[str]]  # environment variables of clients; never a secret


@dataclass(frozen=True)
class SecretsContract:
    name: pulumi.Output[str]  # name of the vault, or prefix of the secrets' names
    endpoint: pulumi.Output[str]  # URL
    # `spec.provider` of a ClusterSecretStore of External Secrets, which reads as the workload `external-secrets`.
    # Source: https://external-secrets.io/latest/api/spec/
    store_provider: Mapping[str, Any]
    name_prefix: str  # what comes before the names that people give secrets, empty for nothing


@dataclass(frozen=True)
class S3Bucket:
    """An object store with the API of S3, which clients sign in to with their pod's identity."""

    name: pulumi.Output[str]
    region: str
    endpoint: str  # host name


@dataclass(frozen=True)
class BlobContainer:
    """An object store with the API of Azure Blob Storage, which clients sign in to with their pod's federated token."""

    name: pulumi.Output[str]
    account: pulumi.Output[str]  # name of the storage account
    endpoint_suffix: str  # of the host name, which starts with the account's name and a dot


@dataclass(frozen=True)
class TelemetryStoresContract:
    """Where Loki keeps logs and Tempo traces. Retention is theirs; the stores delete what is older and was left."""

    logs: S3Bucket | BlobContainer
    traces: S3Bucket | BlobContainer


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

    principal: pulumi.Output[str]  # known once pods can use the identity
    service_account_annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    token_endpoint: Endpoint | None = None  # where pods exchange their token for credentials


@dataclass(frozen=True)
class KarpenterContract:
    """What Karpenter needs, where a cluster's nodes are added by it.

    It reaches the cloud's services inside the network only, so it cannot look up prices or roles: its setting
    `isolatedVPC` is true, and its node classes name the instance profile rather than a role.
    """

    identity: Identity
    region: str
    queue: pulumi.Output[str]  # name of the queue that announces the end of instances
    instance_profile: pulumi.Output[str]  # name of that of the nodes, whose role may join the cluster
    subnets: Sequence[pulumi.Output[str]]  # IDs
    security_group: pulumi.Output[str]  # ID of that of the nodes
    disk_key: pulumi.Output[str]  # ARN of the key of the nodes' disks


@dataclass(frozen=True)
class LoadBalancerControllerContract:
    """What the AWS Load Balancer Controller needs, where load balancers are created by it."""

    identity: Identity
    region: str
    vpc: pulumi.Output[str]  # ID of the network


@dataclass(frozen=True)
class Foundation:
    """Everything that a cloud provides to the platform."""

    cluster: ClusterContract
    registry: RegistryContract
    artifacts: ArtifactsContract  # MLflow's root
    inferences: ArtifactsContract  # the inference log, and the reports on drift
    tracking_db: DatabaseContract  # MLflow's; its login administers the server
    lifecycle_db: DatabaseContract  # the promotion's inbox; the platform creates it and its login
    experiments: ExperimentsContract
    secrets: SecretsContract
    training: TrainingContract
    telemetry: TelemetryContract
    telemetry_stores: TelemetryStoresContract
    audit: AuditContract
    identities: Mapping[str, Identity]  # by name of the workload, one for each row of the access table
    endpoints: Mapping[Store, Endpoint]  # by store
    karpenter: KarpenterContract | None  # None where the cloud adds nodes itself
    load_balancer_controller: LoadBalancerControllerContract | None  # None where the cloud creates them itself
