"""The sections of a stack's settings: types, bounds, meaning and an example of each.

This module has the settings of cloud resources; service_sections has those of services in the cluster. If there are
two examples, the first is for Azure and the second for AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from infra.core.settings.clouds import Cloud
from infra.core.settings.limits import ADMINS, AWS_RETENTION_DAYS, AZURE_DATABASE_DISKS, GPU_SIZE_FORMS
from infra.core.settings.values import (
    AuthorizedRange,
    BackupStore,
    Cidr,
    Email,
    HostPattern,
    SecretName,
    StackName,
    Switch,
    Unit,
    WholeNumber,
)
from infra.core.settings.versions import KUBERNETES

Nodes = Annotated[WholeNumber, Unit("nodes")]
Days = Annotated[WholeNumber, Unit("days")]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_default=True)


class NetworkSettings(Section):
    """The stack's network. Subnets are parts of `cidr`; the blocks of pods and services are outside of it, unrouted."""

    cidr: Cidr = Field(
        "10.20.0.0/16", examples=["10.30.0.0/16"], description="address space of the VNet or VPC, /16 to /20"
    )
    pod_cidr: Cidr = Field(
        "10.244.0.0/16",
        examples=["10.245.0.0/16"],
        description="addresses of pods (AKS overlay; on EKS pods have addresses of `cidr`)",
    )
    service_cidr: Cidr = Field(
        "172.20.0.0/16", examples=["172.21.0.0/16"], description="addresses of Kubernetes services"
    )
    hub: str = Field(
        "",
        examples=[
            "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/hub/providers/Microsoft.Network/"
            "virtualNetworks/hub",
            "tgw-0123456789abcdef0",
        ],
        description="network that this one is connected to: ID of a virtual network to peer with, whose owner "
        "peers back (Azure), or of a transit gateway to attach to (AWS); if empty, it is connected to no other network",
    )


class NodePoolSettings(Section):
    """A pool of nodes across the location's three zones, which the autoscaler keeps within two bounds."""

    size: str = Field(examples=["Standard_D8s_v5", "m6i.2xlarge"], description="instance size")
    minimum: Nodes = Field(2, ge=1, le=100, examples=[3], description="minimum number of nodes")
    maximum: Nodes = Field(10, ge=1, le=100, examples=[12], description="maximum number of nodes")


class GpuPoolSettings(Section):
    """An optional pool of nodes with NVIDIA GPUs across the location's three zones, which scales from zero.

    Pods that request `nvidia.com/gpu` cause nodes to be added; a taint of that name keeps other pods off these nodes.
    """

    size: str = Field(
        "",
        examples=[GPU_SIZE_FORMS[Cloud.AZURE][1], GPU_SIZE_FORMS[Cloud.AWS][1]],
        description="instance size, one with NVIDIA GPUs; if empty, there is no such pool",
    )
    maximum: Nodes = Field(4, ge=1, le=100, examples=[8], description="maximum number of nodes; the minimum is 0")


class PoolBounds(NamedTuple):
    """The instance size of a pool, and its minimum and maximum number of nodes."""

    size: str
    minimum: int
    maximum: int


def _describe_offers() -> str:
    return "; ".join(f"{offer.calendar.service}: {', '.join(offer.list_offered())}" for offer in KUBERNETES.values())


class ClusterSettings(Section):
    """The Kubernetes cluster, who reaches its API, and who administers it."""

    kubernetes_version: str = Field(
        examples=[KUBERNETES[Cloud.AZURE].default, KUBERNETES[Cloud.AWS].default],
        description="minor version of Kubernetes, " + _describe_offers(),
    )
    authorized_ranges: tuple[AuthorizedRange, ...] = Field(
        (),
        examples=[["203.0.113.0/24"]],
        description="public CIDR blocks that may reach the Kubernetes API; if empty, the API is private",
    )
    private_access_from: tuple[Cidr, ...] = Field(
        (),
        examples=[["10.0.0.0/24"]],
        description="private CIDR blocks, such as those of runners in a hub or of a VPN, that may reach the private "
        "Kubernetes API; every stack needs these or `authorizedRanges`",
    )
    admins: tuple[str, ...] = Field(
        (),
        examples=[[ADMINS[Cloud.AZURE][1]], [ADMINS[Cloud.AWS][1]]],
        description="who administers the cluster, in addition to the identity that creates it: object IDs of Entra "
        "groups (Azure), or ARNs of IAM roles (AWS)",
    )
    login: Literal["azurecli", "workloadidentity", "msi", "spn", "devicecode"] = Field(
        "azurecli",
        examples=["workloadidentity"],
        description="how kubelogin signs in to the Kubernetes API, its option `--login`: azurecli, workloadidentity, "
        "msi, spn or devicecode; the variable AAD_LOGIN_METHOD overrides it (Azure; EKS always uses the AWS CLI)",
    )
    system_pool: NodePoolSettings = Field(description="The pool of nodes for the platform's own services.")
    user_pool: NodePoolSettings = Field(description="The pool of nodes for models, training and MLflow.")
    gpu_pool: GpuPoolSettings = GpuPoolSettings()

    def list_pools(self) -> Mapping[str, PoolBounds]:
        """The pools of the cluster, keyed by the name of their section."""
        pools = {
            name: PoolBounds(pool.size, pool.minimum, pool.maximum)
            for name, pool in (("systemPool", self.system_pool), ("userPool", self.user_pool))
        }
        if self.gpu_pool.size:
            pools["gpuPool"] = PoolBounds(self.gpu_pool.size, 0, self.gpu_pool.maximum)
        return pools


class DatabaseSettings(Section):
    """The PostgreSQL server of MLflow."""

    size: str = Field(examples=["Standard_D2ds_v5", "db.m6g.large"], description="instance class")
    storage_gb: Annotated[WholeNumber, Unit("GiB")] = Field(
        64,
        ge=32,
        le=16384,
        examples=[128],
        description=f"size of the disk, on Azure one of {', '.join(map(str, AZURE_DATABASE_DISKS))}; a disk that is "
        "nearly full grows by itself, on AWS up to twice this size; on Azure, set the size that it has then, since a "
        "deployment cannot reduce it",
    )
    backup_days: Days = Field(ge=7, le=35, examples=[14], description="how far back the database can be restored")


class TrainingSettings(Section):
    """The cloud's managed training service, outside of the cluster."""

    size: str = Field(examples=["Standard_NC6s_v3", "ml.g5.xlarge"], description="instance size of training nodes")
    maximum_nodes: Nodes = Field(
        4, ge=0, le=100, examples=[8], description="maximum number of low-priority nodes; the minimum is 0"
    )
    outbound_hosts: tuple[HostPattern, ...] = Field(
        (),
        examples=[["pypi.org", "*.pythonhosted.org"]],
        description="hosts on the internet that jobs of Azure ML may reach on ports 80 and 443, such as those of a "
        "package index; for these Azure adds a firewall, which is charged by the hour; if empty, jobs have only the "
        "packages of their image (Azure; jobs of SageMaker reach all hosts on port 443)",
    )


class TelemetrySettings(Section):
    """Logs, metrics and alerts."""

    retention_days: Days = Field(
        ge=30,
        le=731,
        examples=[90],
        description="how long logs and metrics are kept, on Azure at most 730 days, on AWS "
        f"{', '.join(map(str, AWS_RETENTION_DAYS[:-1]))} or {AWS_RETENTION_DAYS[-1]}",
    )
    alert_email: Email = Field(
        "",
        examples=["ml-oncall@example.com"],
        description="address that alerts are sent to; if empty, no alerts are sent",
    )
    trace_percent: Annotated[WholeNumber, Unit("percent")] = Field(
        ge=0,
        le=100,
        examples=[10],
        description="share of the requests whose traces are kept, unless the sender of a request has already decided",
    )
    error_tracking: SecretName = Field(
        "",
        examples=["error-tracking"],
        description="name of the secret with the address (DSN) of a project at a service that speaks Sentry's "
        "protocol, to which errors of models and of the platform's own processes are reported; if empty, errors are "
        "not reported",
    )


class ResilienceSettings(Section):
    """Which failures and mistakes the stack and its data survive. Each costs money; the environment sets the defaults.

    Components read these settings, and never the environment.
    """

    deletion_protection: Switch = Field(
        examples=[True], description="protect stores, keys and, on AWS, the cluster from deletion"
    )
    retain_data: Switch = Field(
        examples=[True],
        description="leave data behind when the stack is destroyed: the disks of the cluster's volumes, and on AWS a "
        "final snapshot of the database, the keys, and buckets and repositories that are not empty",
    )
    multi_zone_database: Switch = Field(
        examples=[True], description="a standby of the PostgreSQL server in a second zone"
    )
    multi_zone_experiments: Switch = Field(
        examples=[True],
        description="replicas of the experiments' store in three zones (Azure; DynamoDB always has them)",
    )
    nat_gateway_per_zone: Switch = Field(
        examples=[True], description="a NAT gateway in each zone, rather than one for all (AWS; Azure always has one)"
    )
    private_endpoint_per_zone: Switch = Field(
        examples=[True], description="an interface endpoint of each AWS service in each zone, rather than in one (AWS)"
    )
    control_plane_sla: Switch = Field(
        examples=[True], description="the AKS tier with an uptime SLA (Azure; EKS always has one)"
    )
    provisioned_throughput: Switch = Field(
        examples=[True], description="provisioned rather than serverless throughput of the experiments' store (Azure)"
    )
    replicas: Annotated[WholeNumber, Unit("replicas")] = Field(
        ge=1, le=5, examples=[2], description="replicas of each of the platform's services"
    )
    artifact_version_days: Days = Field(
        ge=1, le=365, examples=[60], description="how long replaced and deleted artifacts can be restored"
    )
    experiments_backup_days: Annotated[Literal[7, 30], Unit("days")] = Field(
        examples=[30],
        description="how far back the experiments' store can be restored (Azure; DynamoDB always has 35 days)",
    )
    secret_recovery_days: Days = Field(
        ge=7,
        le=30,
        examples=[14],
        description="how long a deleted secret can be restored (AWS; Azure vaults always have 90 days)",
    )
    backup_store: BackupStore = Field(
        "",
        examples=["https://acmebackups.blob.core.windows.net/stacks", "s3://acme-backups/stacks"],
        description="where `make backup` stores backups, in a folder for each stack: a bucket or container in another "
        "region; if empty, there are only the cloud's own backups",
    )
    second_location: str = Field(
        "",
        examples=["northeurope", "eu-central-1"],
        description="region in which the cloud itself keeps copies of artifacts, generated secrets and the database's "
        "backups, on Azure the one that is paired with `location`; if empty, there are no copies",
    )
    standby: StackName = Field(
        "",
        examples=["azure-prod-north", "aws-prod-west"],
        description="name of the stack in another region that `make failover` moves to; if empty, there is no standby",
    )
