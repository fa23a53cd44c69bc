"""The contract between a cloud and the platform.

`infra.azure` and `infra.aws` each create a `Foundation`. `infra.cluster` uses it without knowing the cloud: it depends
only on these classes.
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
    """Addresses and port of a service, for network policies."""

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
    """Nodes of one size in one or more zones, whose number the autoscaler keeps within two bounds."""

    name: str
    size: str
    minimum: int
    maximum: int
    zones: Sequence[str]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Taint] = ()


POOL_LABEL = "groundwork/pool"  # label of a node with the name of its pool
# Named after the resource, so that pods which request it do not need to declare a toleration: the admission plugin
# ExtendedResourceToleration of AKS and EKS adds it. With `sku=gpu`, as in the AKS guide, each pod would need one.
# Source: https://learn.microsoft.com/azure/aks/faq and
# https://docs.aws.amazon.com/eks/latest/userguide/platform-versions.html
GPU_TAINT = Taint("nvidia.com/gpu", "present", TaintEffect.NO_SCHEDULE)


def define_gpu_pool(settings: GpuPoolSettings, zones: Sequence[str]) -> NodePool | None:
    """The pool of nodes with GPUs, which is the same on every cloud; None if the settings do not define one."""
    if not settings.size:
        return None
    return NodePool("gpu", settings.size, 0, settings.maximum, zones, {POOL_LABEL: "gpu"}, (GPU_TAINT,))


class NetworkPolicyEngine(StrEnum):
    """The engine that enforces network policies. Engines differ in what an address block selects."""

    CILIUM = "Cilium"
    VPC_CNI = "Amazon VPC CNI"


@dataclass(frozen=True)
class DiskContract:
    """What the platform's StorageClass needs to know about the cloud's disks, encrypted with the platform's key."""

    provisioner: str  # name of the CSI driver
    parameters: Mapping[str, pulumi.Input[str]]  # of the driver


@dataclass(frozen=True)
class ClusterContract:
    name: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]  # a secret, even though it contains no credentials
    oidc_issuer: pulumi.Output[str]
    node_pools: Sequence[NodePool]
    gpu_pool: NodePool | None  # nodes that are added when pods request GPUs; None if the settings do not define it
    api: Endpoint  # the API server, as seen by pods
    network_policy_engine: NetworkPolicyEngine
    # Labels of the pods in kube-system through which the API server may reach webhooks; None if it connects directly.
    api_tunnel: Mapping[str, str] | None
    disks: DiskContract
    load_balancer_annotations: Mapping[str, str]  # of a Service whose load balancer is reachable only in the network


@dataclass(frozen=True)
class RegistryContract:
    server: pulumi.Output[str]  # host name in image names
    image_prefix: pulumi.Output[str]  # prefix of the platform's image names, with a trailing slash

    def locate(self, image: str, digest: str) -> pulumi.Output[str]:
        """The reference that an image of the platform is pulled by."""
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
    store: pulumi.Output[str]  # URL for the writer of experiments: dynamodb://prefix or cosmosdb://host/database
    environment: Mapping[str, pulumi.Input[str]]  # environment variables of clients; never a secret


@dataclass(frozen=True)
class SecretsContract:
    name: pulumi.Output[str]  # name of the vault, or prefix of the secrets' names
    endpoint: pulumi.Output[str]  # URL
    # `spec.provider` of a ClusterSecretStore of External Secrets, which reads as the workload `external-secrets`.
    # Source: https://external-secrets.io/latest/api/spec/
    store_provider: Mapping[str, Any]
    name_prefix: str  # prefix before the names that people give to secrets; may be empty


@dataclass(frozen=True)
class S3Bucket:
    """An object store with the S3 API, which clients authenticate to with their pod's identity."""

    name: pulumi.Output[str]
    region: str
    endpoint: str  # host name


@dataclass(frozen=True)
class BlobContainer:
    """A container of Azure Blob Storage, which clients authenticate to with their pod's federated token."""

    name: pulumi.Output[str]
    account: pulumi.Output[str]  # name of the storage account
    endpoint_suffix: str  # of the host name, which starts with the account's name and a dot


@dataclass(frozen=True)
class TelemetryStoresContract:
    """Where Loki stores logs and Tempo stores traces. They enforce retention; the stores delete older leftovers."""

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
    """What Karpenter needs if it adds the cluster's nodes.

    It reaches only those of the cloud's services that have an endpoint in the network, so it cannot look up prices or
    roles: its setting `isolatedVPC` is true, and its node classes name the instance profile instead of a role.
    """

    identity: Identity
    region: str
    queue: pulumi.Output[str]  # name of the queue with notices of terminating instances
    instance_profile: pulumi.Output[str]  # name of the nodes' instance profile, whose role may join the cluster
    subnets: Sequence[pulumi.Output[str]]  # IDs
    security_group: pulumi.Output[str]  # ID of the nodes' security group
    disk_key: pulumi.Output[str]  # ARN of the key of the nodes' disks


@dataclass(frozen=True)
class LoadBalancerControllerContract:
    """What the AWS Load Balancer Controller needs if it creates the load balancers."""

    identity: Identity
    region: str
    vpc: pulumi.Output[str]  # ID of the network


@dataclass(frozen=True)
class Foundation:
    """Everything that a cloud provides to the platform."""

    cluster: ClusterContract
    registry: RegistryContract
    artifacts: ArtifactsContract  # MLflow's artifact root
    inferences: ArtifactsContract  # the inference log and the drift reports
    tracking_db: DatabaseContract  # MLflow's database; its login administers the server
    lifecycle_db: DatabaseContract  # promotion's inbox; the platform creates the database and its login
    experiments: ExperimentsContract
    secrets: SecretsContract
    training: TrainingContract
    telemetry: TelemetryContract
    telemetry_stores: TelemetryStoresContract
    audit: AuditContract
    identities: Mapping[str, Identity]  # keyed by workload name, one for each row of the access table
    endpoints: Mapping[Store, Endpoint]
    karpenter: KarpenterContract | None  # None if the cloud adds nodes itself
    load_balancer_controller: LoadBalancerControllerContract | None  # None if the cloud creates load balancers itself
