"""The sections of a stack's settings that are about services in its cluster: gateway, alerts, GitOps, sign-in, images.

If there are two examples, the first is for Azure and the second for AWS.
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
    """The gateway, behind an internal load balancer: the names it is reached by, and who issues its certificate.

    A certificate from an ACME server has the names in `acmeHosts`, since the HTTP challenge cannot validate a wildcard.
    The server has to reach the load balancer at port 80, which a public one cannot.
    """

    domain: Domain = Field(
        "",
        examples=["ml.example.com"],
        description="domain of the names of models and services, such as mlflow.ml.example.com, which your DNS "
        "resolves to the load balancer; if empty, one under `.internal`, which does not exist in public DNS",
    )
    issuer: Literal["self-signed", "acme"] = Field(
        "self-signed",
        examples=["self-signed"],
        description="issuer of the certificate: the stack's own certificate authority (self-signed), or an ACME server",
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
        description="names below the domain that the certificate is for, including models (acme)",
    )


class AlertingSettings(Section):
    """Where Alertmanager sends alerts: each stack has its own receivers, which are names of secrets.

    The secrets are in the stack's vault or Secrets Manager; write their names without the stack's prefix. Without a
    receiver, Alertmanager is not deployed, and alerts are shown only in Grafana. Warnings go to `slack`, `teams` and
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
    smtp_user: str = Field(
        "", examples=["ml-platform"], description="user at the mail server; if empty, e-mail is sent without signing in"
    )
    smtp_password: SecretName = Field("", examples=["alerts-smtp"], description="secret with that user's password")
    runbooks: HttpsUrl = Field(
        "",
        examples=["https://git.example.com/acme/groundwork/src/main/platform/runbooks"],
        description="URL at which people read the folder platform/runbooks, for links in alerts; if empty, alerts name "
        "files of the repository",
    )


class GitopsSettings(Section):
    """The git repository from which Argo CD deploys models; its initial content is `platform/gitops`."""

    repository: GitRepository = Field(
        "",
        examples=["https://git.example.com/acme/models.git"],
        description="https URL of the repository; if empty, Argo CD is installed without anything to deploy",
    )
    revision: GitRevision = Field("main", examples=["main"], description="branch, tag or commit that is deployed")
    path: GitFolder = Field(
        "",
        examples=["ml/stacks/test"],
        description="folder of the stack's models, which must end with the stack's name so that no two stacks share "
        "it; if empty, stacks/ and that name",
    )
    token_secret: SecretName = Field(
        "",
        examples=["gitops-token"],
        description="name, without the stack's prefix, of the secret in the stack's vault or Secrets Manager that "
        "contains a token for a private repository; not the token itself",
    )


class SsoSettings(Section):
    """How people sign in to Argo CD, Grafana, MLflow and experiments: at an OpenID Connect issuer, with their groups.

    The client at the issuer has the redirect URLs https://argocd.<domain>/pkce/verify, as a public client with PKCE,
    and https://<service>.<domain>/oauth2/callback for grafana, mlflow and experiments. Its ID tokens have a claim
    `groups`. Without an issuer, each service has one administrator with a generated password.
    """

    issuer: HttpsUrl = Field(
        "",
        examples=["https://login.example.com/acme"],
        description="URL of the issuer; if empty, people sign in with generated passwords",
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
        description="name, without the stack's prefix, of the secret in the stack's vault or Secrets Manager that "
        "contains the client's secret; not the secret itself",
    )
    scopes: tuple[str, ...] = Field(
        (), examples=[["groups"]], description="scopes beyond openid, profile and email that the claim `groups` needs"
    )
    admin_group: GroupName = Field(
        "", examples=["ml-platform-admins"], description="group, as in the claim, that may do everything"
    )
    viewer_group: GroupName = Field(
        "", examples=["data-scientists"], description="group that may view everything; if empty, nobody else may"
    )


class ImageSettings(Section):
    """The digests of the platform's own images in the stack's registry, and the registries of other images."""

    promotion: Digest = Field(
        "",
        examples=["sha256:4f0c3d7a9b1e5c8d2f6a0b4e8c1d5f9a3b7e0c4d8f2a6b9e1c5d7f3a0b8e4c2d"],
        description="digest of the image `promotion`, built from platform/lifecycle/images/promotion; if empty, "
        "neither promotion nor rollout is deployed",
    )
    experiment: Digest = Field(
        "",
        examples=["sha256:9c3e1a7f5d0b8e2c6a4f1d9b3e7c5a0f8d2b6e4c1a9f7d3b5e0c8a2f6d4b1e7c"],
        description="digest of the image `experiment`, built from platform/lifecycle/images/experiment; if empty, the "
        "router of experiments is not deployed",
    )
    drift: Digest = Field(
        "",
        examples=["sha256:1b7d4f0a8c2e6d9b3f5a1c7e0d4b8f2a6c9e3d7b5f1a0c4e8d2b6f9a3c7e5d1b"],
        description="digest of the image `drift`, built from platform/lifecycle/images/drift; if empty, neither the "
        "collector of the inference log nor the check for drift is deployed",
    )
    training: Digest = Field(
        "",
        examples=["sha256:7a2d5c8e0f4b1d9a6c3e8f2b5d7a0c4e9b1f6d3a8c5e2b7f0d4a9c6e1b8f3d5a"],
        description="digest of the image `training`, built from platform/lifecycle/images/training; if empty, no "
        "models are retrained",
    )
    registries: tuple[ImagePattern, ...] = Field(
        (),
        examples=[["registry.example.com/ml/*"]],
        description="patterns of further images that the policy pack and the cluster's admission rules allow for pods "
        "and models; both always allow the stack's own registry, and those that the platform's charts pull from",
    )


class LifecycleSettings(Section):
    """How promotion and rollout change the GitOps repository, and which secrets of the stack's store they use.

    On AWS, the secrets themselves have the stack's prefix, as in acme-gw-dev/git-token.
    """

    git_token: SecretName = Field(
        "git-token",
        examples=["models-git-token"],
        description="name of the secret with the token that may push to the GitOps repository",
    )
    pull_requests: Switch = Field(
        False,
        examples=[True],
        description="propose each change of a model in a pull request, for people to merge, instead of pushing it",
    )
    forge_url: HttpsUrl = Field(
        "https://api.github.com",
        examples=["https://git.example.com/api/v3"],
        description="REST API of GitHub, or of a forge with the same API, where pull requests are opened",
    )
    dispatch_project: ForgeProject = Field(
        "",
        examples=["acme/ml-platform"],
        description="repository whose workflow promotes models, which an event `model-promotion` notifies of each "
        "challenger; if empty, models are promoted in the cluster",
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
        description="name of the secret with the URL of a Slack-compatible webhook; if empty, nothing is sent",
    )


class PipelinesSettings(Section):
    """Kubeflow Pipelines, which Argo CD applies from `platform/gitops/pipelines` of the GitOps repository.

    It stores runs and their artifacts in its own MySQL and S3 servers in the cluster, has no sign-in, and can only be
    reached with `kubectl port-forward`.
    """

    enabled: Switch = Field(
        False,
        examples=[True],
        description="deploy Kubeflow Pipelines: nine more pods with two volumes of 20 GiB, and the pods of runs",
    )
