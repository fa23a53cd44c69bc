"""Argo CD, which applies what is in git: models, their routes, and the applications of the platform's users.

Its controllers may read what they show, and write only what `gitops.py` allows. There is no anonymous access.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.pod_values import budget, resources, zone_spread
from infra.cluster.release import create_release
from infra.cluster.versions import ARGO_CD, ARGO_CD_IMAGE_TAG
from infra.core.component import Component, StackContext
from infra.core.settings import SsoSettings
from infra.people import Permission, Service, list_groups

NAMESPACE = "argocd"
CONTROLLER = "argocd-application-controller"  # also the name of its service account
SERVER = "argocd-server"

# The names under which Argo CD and its chart look for these secrets.
_SETTINGS_SECRET = "argocd-secret"  # noqa: S105 the secret's name
_ADMIN_SECRET = "argocd-initial-admin-secret"  # noqa: S105
_REDIS_SECRET = "argocd-redis"  # noqa: S105

_REPOSITORY_PORT, _REDIS_PORT, _GIT_PORT = 8081, 6379, 443


def _pods(component: str) -> Pods:
    return Pods(NAMESPACE, component, {"app.kubernetes.io/name": component})


_CONTROLLER_PODS, _SERVER_PODS = _pods(CONTROLLER), _pods(SERVER)
_REPOSITORY_SERVER_PODS, _REDIS_PODS = _pods("argocd-repo-server"), _pods("argocd-redis")

# By default Argo CD does not assess the health of Applications within another one: the parent would be healthy while a
# child is not. Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/health/#argocd-app
_APPLICATION_HEALTH = """\
local health = obj.status and obj.status.health or {}
return {status = health.status or "Progressing", message = health.message or ""}
"""


@dataclass(frozen=True)
class ArgoCdArgs:
    context: StackContext


class ArgoCd(Component):
    """The controllers, their API and user interface, and the secrets that they would otherwise create themselves."""

    layer = "cluster"
    flows = (
        Flow(_CONTROLLER_PODS, Place.API_SERVER, reason="applies manifests, and watches what it applied"),
        Flow(_SERVER_PODS, Place.API_SERVER, reason="reads Applications and settings, and shows objects"),
        *(
            Flow(client, _REPOSITORY_SERVER_PODS, _REPOSITORY_PORT, "requests rendered manifests")
            for client in (_CONTROLLER_PODS, _SERVER_PODS)
        ),
        *(
            Flow(client, _REDIS_PODS, _REDIS_PORT, "caches manifests and states")
            for client in (_CONTROLLER_PODS, _SERVER_PODS, _REPOSITORY_SERVER_PODS)
        ),
        *(
            Flow(_REPOSITORY_SERVER_PODS, place, _GIT_PORT, "fetches git repositories by https")
            for place in (Place.INTERNET, Place.PRIVATE_NETWORK)
        ),
    )

    def __init__(self, name: str, args: ArgoCdArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        secrets = [*self._create_admin(), self._create_redis_secret()]
        create_release(ARGO_CD.name, ARGO_CD, NAMESPACE, _values(args.context), self.child_options(depends_on=secrets))
        self.register_outputs({})

    def _create_admin(self) -> tuple[Secret, Secret]:
        """Argo CD's own settings, and the administrator's password where its command line looks for it."""
        password = random.RandomPassword("argocd-admin-password", length=32, special=False, opts=self.child_options())
        key = random.RandomPassword("argocd-server-key", length=44, special=False, opts=self.child_options())
        settings = {"admin.password": password.bcrypt_hash, "server.secretkey": key.result}
        return (
            # Argo CD finds only objects with this label.
            self._create_secret(_SETTINGS_SECRET, settings, {"app.kubernetes.io/part-of": "argocd"}),
            self._create_secret(_ADMIN_SECRET, {"password": password.result}),
        )

    def _create_redis_secret(self) -> Secret:
        """Replaces the chart's job, which needs the permission to create secrets."""
        password = random.RandomPassword("argocd-redis-password", length=32, special=False, opts=self.child_options())
        return self._create_secret(_REDIS_SECRET, {"auth": password.result})

    def _create_secret(
        self, name: str, content: Mapping[str, pulumi.Input[str]], labels: Mapping[str, str] | None = None
    ) -> Secret:
        return Secret(
            name,
            metadata=ObjectMetaArgs(name=name, namespace=NAMESPACE, labels=labels),
            string_data=content,
            opts=self.child_options(),
        )


def _values(context: StackContext) -> Mapping[str, Any]:
    replicas = context.settings.resilience.replicas
    return {
        "global": {
            "domain": f"{Service.ARGO_CD}.{context.naming.domain}",
            "image": {"tag": ARGO_CD_IMAGE_TAG},
            # The chart's network policies admit all clients; flows.py declares the connections that are needed.
            "networkPolicy": {"create": False},
        },
        # The chart's roles may do everything in the cluster; gitops.py has narrower ones.
        "createClusterRoles": False,
        "configs": {
            "cm": {
                "users.anonymous.enabled": "false",
                "exec.enabled": "false",
                # Watch only the kinds that the controller may read, which are those that it applies.
                "resource.respectRBAC": "normal",
                "resource.customizations.health.argoproj.io_Application": _APPLICATION_HEALTH,
                **_sign_in(context.settings.sso),
            },
            # TLS ends at the gateway.
            "params": {"server.insecure": "true", **_wait_for_rendering(context)},
            "rbac": {"policy.default": "", "policy.csv": _format_roles(context.settings.sso), "scopes": "[groups]"},
            "secret": {"createSecret": False},
        },
        # One controller for the one cluster: replicas would divide clusters among themselves, not replace each other.
        "controller": {
            "resources": resources("100m", "512Mi", "1Gi"),
            "metrics": {"enabled": True, "serviceMonitor": {"enabled": True}},
        },
        "server": {**_replicated(replicas, SERVER), "resources": resources("50m", "128Mi", "512Mi")},
        "repoServer": {
            **_replicated(replicas, "argocd-repo-server"),
            "resources": resources("50m", "256Mi", "1Gi"),
            "copyutil": {"resources": resources("10m", "32Mi", "128Mi")},
            "automountServiceAccountToken": False,
            "env": [{"name": "ARGOCD_EXEC_TIMEOUT", "value": "5m"}] if context.settings.pipelines.enabled else [],
        },
        # A cache, which Argo CD fills again within minutes: replicas with a quorum (redis-ha) would protect nothing.
        "redis": {
            # The chart's own registry is an alias of this one.
            "image": {"repository": "public.ecr.aws/docker/library/redis"},
            "resources": resources("50m", "64Mi", "256Mi"),
            # Off by default in the chart, but a hanging cache would stop Argo CD.
            "livenessProbe": {"enabled": True},
            "readinessProbe": {"enabled": True, "initialDelaySeconds": 5},
            "automountServiceAccountToken": False,
        },
        "redisSecretInit": {"enabled": False},
        # People sign in at their issuer without Dex in between, the platform generates no Applications, and
        # promotions and rollouts send their own notifications.
        "dex": {"enabled": False},
        "applicationSet": {"replicas": 0, "resources": resources("50m", "64Mi", "256Mi")},
        "notifications": {"enabled": False},
    }


def _wait_for_rendering(context: StackContext) -> Mapping[str, str]:
    """Kustomize fetches the repositories of Kubeflow Pipelines, which takes longer than the default of 60 s."""
    return {"controller.repo.server.timeout.seconds": "300"} if context.settings.pipelines.enabled else {}


def _sign_in(sso: SsoSettings) -> Mapping[str, str]:
    """With an issuer, there are no passwords. A public client with PKCE needs no secret."""
    if not sso.issuer:
        return {"admin.enabled": "true"}
    client = {
        "name": "SSO",
        "issuer": sso.issuer,
        "clientID": sso.client_id,
        "enablePKCEAuthentication": True,
        "requestedScopes": ["openid", "profile", "email", *sso.scopes],
    }
    return {"admin.enabled": "false", "oidc.config": json.dumps(client)}  # JSON is YAML


def _format_roles(sso: SsoSettings) -> str:
    roles = {Permission.WRITE: "role:admin", Permission.READ: "role:readonly"}
    return "\n".join(f'g, "{group}", {roles[permission]}' for group, permission in list_groups(sso, Service.ARGO_CD))


def _replicated(replicas: int, component: str) -> Mapping[str, Any]:
    return {
        "replicas": replicas,
        "pdb": budget(replicas),
        "topologySpreadConstraints": zone_spread(replicas, {"app.kubernetes.io/name": component}),
        "metrics": {"enabled": True, "serviceMonitor": {"enabled": True}},
    }
