"""The sections of a stack's settings: types, bounds, meaning and an example of each.

Where two examples are given, the first is for Azure and the second for AWS.
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
    Cidr,
    Digest,
    Domain,
    Email,
    GitFolder,
    GitRepository,
    GitRevision,
    GroupName,
    HostAndPort,
    HostLabel,
    HttpsUrl,
    ImagePattern,
    SecretName,
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
    """The stack's network. Subnets are parts of `cidr`; blocks of pods and services lie outside it, unrouted."""

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
        "peers back (Azure), or of a transit gateway to attach to (AWS); none connects it to no other network",
    )


class NodePoolSettings(Section):
    """A pool of nodes across the location's three zones, which the autoscaler keeps between two bounds."""

    size: str = Field(examples=["Standard_D8s_v5", "m6i.2xlarge"], description="instance size")
    minimum: Nodes = Field(2, ge=1, le=100, examples=[3], description="minimum number of nodes")
    maximum: Nodes = Field(10, ge=1, le=100, examples=[12], description="maximum number of nodes")


class GpuPoolSettings(Section):
    """An optional pool of nodes with NVIDIA GPUs across the location's three zones, from zero nodes up.

    Pods that request `nvidia.com/gpu` bring its nodes; others stay away, for the nodes have a taint of that name.
    """

    size: str = Field(
        "",
        examples=[GPU_SIZE_FORMS[Cloud.AZURE][1], GPU_SIZE_FORMS[Cloud.AWS][1]],
        description="instance size, one with NVIDIA GPUs; none creates no such pool",
    )
    maximum: Nodes = Field(4, ge=1, le=100, examples=[8], description="maximum number of nodes; the minimum is 0")


class PoolBounds(NamedTuple):
    """The instance size of a pool, and how many nodes it has at least and at most."""

    size: str
    minimum: int
    maximum: int


def _describe_offers() -> str:
    return "; ".join(f"{calendar.service}: {', '.join(calendar.list_offered())}" for calendar in KUBERNETES.values())


class ClusterSettings(Section):
    """The Kubernetes cluster, who reaches its API, and who administers it."""

    kubernetes_version: str = Field(
        examples=[KUBERNETES[Cloud.AZURE].default, KUBERNETES[Cloud.AWS].default],
        description="minor version of Kubernetes, " + _describe_offers(),
    )
    authorized_ranges: tuple[AuthorizedRange, ...] = Field(
        (),
        examples=[["203.0.113.0/24"]],
        description="public CIDR blocks that may reach the Kubernetes API; none makes the API private",
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
        description="who administers the cluster beside the identity that creates it: object IDs of Entra groups "
        "(Azure), or ARNs of IAM roles (AWS)",
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
        """The pools of the cluster, by the name of their section."""
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
        description=f"size of the disk, on Azure one of {', '.join(map(str, AZURE_DATABASE_DISKS))}; where the cloud "
        "has grown a disk that was nearly full, set its present size, for updates with a smaller one are refused",
    )
    backup_days: Days = Field(ge=7, le=35, examples=[14], description="how far back the database can be restored")


class TrainingSettings(Section):
    """The cloud's managed training service, beside the cluster."""

    size: str = Field(examples=["Standard_NC6s_v3", "ml.g5.xlarge"], description="instance size of training nodes")
    maximum_nodes: Nodes = Field(
        4, ge=0, le=100, examples=[8], description="maximum number of low-priority nodes; the minimum is 0"
    )


class GatewaySettings(Section):
    """The gateway, behind an internal load balancer: by which names it is reached, and who certifies them.

    With an ACME server the certificate has the names in `acmeHosts`, since it proves no wildcard over HTTP. The server
    has to reach the load balancer at port 80, which public ones do not.
    """

    domain: Domain = Field(
        "",
        examples=["ml.example.com"],
        description="domain of the names of models and services, such as mlflow.ml.example.com, which your DNS leads "
        "to the load balancer; none uses one under `.internal`, which no public DNS has",
    )
    issuer: Literal["self-signed", "acme"] = Field(
        "self-signed",
        examples=["self-signed"],
        description="who issues the certificate: an authority of the stack's own (self-signed), or an ACME server",
    )
    acme_server: HttpsUrl = Field(
        "", examples=["https://acme.example.com/directory"], description="directory of the ACME server (acme)"
    )
    acme_email: Email = Field(
        "", examples=["ml-platform@example.com"], description="contact of the account at the ACME server (acme)"
    )
    acme_hosts: tuple[HostLabel, ...] = Field(
        (),
        examples=[["mlflow", "churn"]],
        description="names below the domain that the certificate is for, models among them (acme)",
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
        description="address that alerts are sent to; none sends no alerts",
    )


class AlertingSettings(Section):
    """Where Alertmanager sends alerts: each stack has receivers of its own, by names of secrets.

    The secrets are in the stack's vault or Secrets Manager, there without the stack's prefix. Without a receiver there
    is no Alertmanager, and alerts are shown in Grafana only. Warnings go to `slack`, `teams` and
    `telemetry.alertEmail`; critical alerts go there too, and to `pagerduty`.
    """

    slack: SecretName = Field(
        "", examples=["alerts-slack"], description="secret with the URL of a Slack-compatible webhook"
    )
    teams: SecretName = Field(
        "", examples=["alerts-teams"], description="secret with the URL of a Microsoft Teams workflow's webhook"
    )
    pagerduty: SecretName = Field(
        "",
        examples=["alerts-pagerduty"],
        description="secret with the integration key of a PagerDuty service (Events API v2) for critical alerts",
    )
    heartbeat: SecretName = Field(
        "",
        examples=["alerts-heartbeat"],
        description="secret with a URL outside of the cluster that is called every 5 minutes while alerts work, and "
        "raises an alert when it no longer is (dead man's switch)",
    )
    smtp_host: HostAndPort = Field(
        "",
        examples=["smtp.example.com:587"],
        description="mail server with port, which must offer TLS, for alerts by e-mail to `telemetry.alertEmail`",
    )
    smtp_user: str = Field("", examples=["ml-platform"], description="user at the mail server; none signs in as nobody")
    smtp_password: SecretName = Field("", examples=["alerts-smtp"], description="secret with that user's password")
    runbooks: HttpsUrl = Field(
        "",
        examples=["https://git.example.com/acme/groundwork/src/main/platform/runbooks"],
        description="URL of the folder platform/runbooks where people read it, for links in alerts; none names files "
        "of the repository",
    )


class GitopsSettings(Section):
    """The git repository from which Argo CD deploys models: `platform/gitops` is what it starts with."""

    repository: GitRepository = Field(
        "",
        examples=["https://git.example.com/acme/models.git"],
        description="https URL of the repository; none installs Argo CD without anything to deploy",
    )
    revision: GitRevision = Field("main", examples=["main"], description="branch, tag or commit that is deployed")
    path: GitFolder = Field(
        "",
        examples=["ml/stacks/test"],
        description="folder of the stack's models, which ends with the stack's name so that no two stacks share it; "
        "none uses stacks/ and that name",
    )
    token_secret: SecretName = Field(
        "",
        examples=["gitops-token"],
        description="name of the secret in the stack's vault or Secrets Manager, there without the stack's prefix, "
        "that has a token for a private repository; not the token itself",
    )


class SsoSettings(Section):
    """How people sign in to Argo CD, Grafana and MLflow: at an issuer of OpenID Connect, whose groups give them roles.

    The client at the issuer has the redirect URLs https://argocd.<domain>/pkce/verify, as a public client with PKCE,
    https://grafana.<domain>/oauth2/callback and https://mlflow.<domain>/oauth2/callback. Its ID tokens have a claim
    `groups`. Without an issuer there is one administrator of each service, with a generated password.
    """

    issuer: HttpsUrl = Field(
        "",
        examples=["https://login.example.com/acme"],
        description="URL of the issuer; none lets people sign in with generated passwords",
    )
    authorization_url: HttpsUrl = Field(
        "",
        examples=["https://login.example.com/acme/authorize"],
        description="`authorization_endpoint` of the issuer's /.well-known/openid-configuration",
    )
    token_url: HttpsUrl = Field(
        "", examples=["https://login.example.com/acme/token"], description="`token_endpoint` there"
    )
    keys_url: HttpsUrl = Field(
        "", examples=["https://login.example.com/acme/keys"], description="`jwks_uri` there: the keys that sign tokens"
    )
    client_id: str = Field("", examples=["ml-platform"], description="ID of the client")
    client_secret: SecretName = Field(
        "",
        examples=["sso-client"],
        description="name of the secret in the stack's vault or Secrets Manager, there without the stack's prefix, "
        "that has the client's secret; not the secret itself",
    )
    scopes: tuple[str, ...] = Field(
        (), examples=[["groups"]], description="scopes beyond openid, profile and email that the claim `groups` needs"
    )
    admin_group: GroupName = Field(
        "", examples=["ml-platform-admins"], description="group, as in the claim, that may do everything"
    )
    viewer_group: GroupName = Field("", examples=["data-scientists"], description="group that may look; none: nobody")


class ImageSettings(Section):
    """The platform's own images in the stack's registry, each by its digest, and where others may come from."""

    promotion: Digest = Field(
        "",
        examples=["sha256:4f0c3d7a9b1e5c8d2f6a0b4e8c1d5f9a3b7e0c4d8f2a6b9e1c5d7f3a0b8e4c2d"],
        description="digest of the image `promotion`, built from platform/lifecycle/images/promotion; none deploys "
        "neither promotion nor rollout",
    )
    registries: tuple[ImagePattern, ...] = Field(
        (),
        examples=[["registry.example.com/ml/*"]],
        description="patterns of further images that pods and models may have, by the policy pack and by the cluster's "
        "admission rules; both allow the stack's own registry and those that the platform's charts pull from",
    )


class LifecycleSettings(Section):
    """How promotion and rollout change the GitOps repository, and which secrets of the stack's store they use.

    On AWS each name of a secret is below the stack's prefix, as in acme-gw-dev/git-token.
    """

    git_token: SecretName = Field(
        "git-token",
        examples=["models-git-token"],
        description="name of the secret with the token that may push to the GitOps repository",
    )
    pull_requests: Switch = Field(
        False,
        examples=[True],
        description="propose each change of a model in a pull request, for people to merge, rather than push it",
    )
    forge_url: HttpsUrl = Field(
        "https://api.github.com",
        examples=["https://git.example.com/api/v3"],
        description="REST API of GitHub, or of a forge with the same, where pull requests are opened",
    )
    notifications: SecretName = Field(
        "",
        examples=["slack-url"],
        description="name of the secret with the URL of a Slack-compatible webhook; none sends no notifications",
    )


class PipelinesSettings(Section):
    """Kubeflow Pipelines, which Argo CD applies from `platform/gitops/pipelines` of the GitOps repository.

    It keeps runs and their artifacts in a MySQL and an S3 server of its own in the cluster, has no sign-in, and is
    reached by `kubectl port-forward` only.
    """

    enabled: Switch = Field(
        False,
        examples=[True],
        description="deploy Kubeflow Pipelines: nine more pods with two volumes of 20 GiB, and the runs",
    )


class ResilienceSettings(Section):
    """Which failures and mistakes the stack and its data survive. Each fact costs money; the environment sets defaults.

    Components read these facts and never the environment.
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
