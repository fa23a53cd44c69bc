"""The sections of a stack's settings that are about services in its cluster: gateway, alerts, GitOps, sign-in, images.

Where two examples are given, the first is for Azure and the second for AWS.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infra.core.settings.sections import Section
from infra.core.settings.values import (
    Digest,
    Domain,
    Email,
    ForgeProject,
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
    """How people sign in to Argo CD, Grafana, MLflow and experiments: at an issuer of OpenID Connect, by their groups.

    The client at the issuer has the redirect URLs https://argocd.<domain>/pkce/verify, as a public client with PKCE,
    and https://<service>.<domain>/oauth2/callback of grafana, mlflow and experiments. Its ID tokens have a claim
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
    experiment: Digest = Field(
        "",
        examples=["sha256:9c3e1a7f5d0b8e2c6a4f1d9b3e7c5a0f8d2b6e4c1a9f7d3b5e0c8a2f6d4b1e7c"],
        description="digest of the image `experiment`, built from platform/lifecycle/images/experiment; none deploys "
        "no router of experiments",
    )
    drift: Digest = Field(
        "",
        examples=["sha256:1b7d4f0a8c2e6d9b3f5a1c7e0d4b8f2a6c9e3d7b5f1a0c4e8d2b6f9a3c7e5d1b"],
        description="digest of the image `drift`, built from platform/lifecycle/images/drift; none deploys neither the "
        "collector of the inference log nor the check for drift",
    )
    training: Digest = Field(
        "",
        examples=["sha256:7a2d5c8e0f4b1d9a6c3e8f2b5d7a0c4e9b1f6d3a8c5e2b7f0d4a9c6e1b8f3d5a"],
        description="digest of the image `training`, built from platform/lifecycle/images/training; none retrains no "
        "models",
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
    dispatch_project: ForgeProject = Field(
        "",
        examples=["acme/ml-platform"],
        description="repository whose workflow promotes models, told of each challenger by an event `model-promotion`; "
        "none promotes them in the cluster",
    )
    dispatch_token: SecretName = Field(
        "dispatch-token",
        examples=["workflow-token"],
        description="name of the secret with the token that may send events to that repository; read only with "
        "lifecycle.dispatchProject",
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
