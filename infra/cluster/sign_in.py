"""How people reach the services of the platform and sign in: a route for each, and a policy if the gateway
authenticates them. Experiments, which are in a namespace of models, have theirs in `experiment_routes.py`.

Argo CD authenticates people itself. For Grafana and MLflow the gateway does, with OIDC, and admits the groups of the
table in `infra/people.py`. Without an issuer, people sign in with generated passwords: to MLflow at the gateway, since
it would be open otherwise. Workloads in the cluster call services directly, not through the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from infra.cluster.envoy_gateway import PROXIES
from infra.cluster.external_secrets import create_external_secret
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.gateway_access import create_passwords, create_policy, create_route, require_password
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext
from infra.core.settings import SsoSettings
from infra.people import ID_TOKEN_HEADER, Permission, Service, list_groups

_ID_TOKEN_COOKIE = "IdToken"  # noqa: S105
_CLIENT_SECRET = "sso-client"  # noqa: S105 names of Secrets
_PASSWORDS = "mlflow-passwords"
_ADMIN = "mlflow-admin"

# MLflow's API also reads with POST requests: searches, and the queries of its user interface.
# Source: https://mlflow.org/docs/latest/api_reference/rest-api.html
_MLFLOW_READS = r"/(ajax-api|api)/[0-9.]+/mlflow/([a-z-]+/)*(search|get-history-bulk|batchGet)[a-zA-Z-]*|/graphql"


@dataclass(frozen=True)
class _Backend:
    """The Service behind a route, its port, its pods and their port."""

    namespace: str
    name: str
    pods: Pods
    pod_port: int
    port: int = 80


def _backend(namespace: str, name: str, pods: str, pod_port: int) -> _Backend:
    return _Backend(namespace, name, Pods(namespace, pods, {"app.kubernetes.io/name": pods}), pod_port)


_BACKENDS: Mapping[Service, _Backend] = {
    Service.ARGO_CD: _backend("argocd", "argo-cd-argocd-server", "argocd-server", 8080),
    Service.GRAFANA: _backend("monitoring", "kube-prometheus-stack-grafana", "grafana", 3000),
    Service.MLFLOW: _backend("mlflow", "mlflow", "mlflow", 5000),
}
_AT_THE_GATEWAY = (Service.GRAFANA, Service.MLFLOW)


@dataclass(frozen=True)
class SignInArgs:
    context: StackContext
    secrets: SecretsContract


class SignIn(Component):
    """Routes, and policies of Envoy Gateway."""

    layer = "cluster"
    flows = tuple(
        Flow(PROXIES, backend.pods, backend.pod_port, f"forwards people's requests to {service}")
        for service, backend in _BACKENDS.items()
    )
    # With an issuer: the clients that call it, or verify its tokens. It may be in a connected network.
    sso_flows = tuple(
        Flow(client, place, 443, "calls the issuer of people's identities")
        for client in (PROXIES, _BACKENDS[Service.GRAFANA].pods, _BACKENDS[Service.ARGO_CD].pods)
        for place in (Place.INTERNET, Place.PRIVATE_NETWORK)
    )

    def __init__(self, name: str, args: SignInArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._domain, self._sso = args.context.naming.domain, args.context.settings.sso
        self._secrets = args.secrets
        for service, backend in _BACKENDS.items():
            rule = {"backendRefs": [{"name": backend.name, "port": backend.port}]}
            policies, host = self._require_sign_in(service), f"{service}.{self._domain}"
            create_route(self, service.value, backend.namespace, host, [rule], policies)
        self.register_outputs({})

    def _require_sign_in(self, service: Service) -> Sequence[CustomResource]:
        namespace = _BACKENDS[service].namespace
        if self._sso.issuer and service in _AT_THE_GATEWAY:
            secret = copy_client_secret(self, self._sso, self._secrets, namespace)
            spec = build_oidc_policy(self._sso, service, f"{service}.{self._domain}")
            return [create_policy(self, service.value, namespace, spec, secret)]
        if not self._sso.issuer and service is Service.MLFLOW:
            passwords = create_passwords(self, "admin", _ADMIN, _PASSWORDS, namespace)
            return [create_policy(self, service.value, namespace, require_password(_PASSWORDS), passwords)]
        return []


def copy_client_secret(parent: Component, sso: SsoSettings, secrets: SecretsContract, namespace: str) -> CustomResource:
    """Copy the client's secret from the stack's store of secrets."""
    keys = {"client-secret": sso.client_secret}
    return create_external_secret(secrets, _CLIENT_SECRET, namespace, keys, "sso.clientSecret", parent.child_options())


def build_oidc_policy(sso: SsoSettings, service: Service, host: str) -> Mapping[str, Any]:
    """A policy that signs people in at the issuer, verifies its ID token, and authorizes them by the groups in it."""
    rules = [rule for group, permission in list_groups(sso, service) for rule in _allow(service, group, permission)]
    return {
        "oidc": {
            "provider": {
                "issuer": sso.issuer,
                "authorizationEndpoint": sso.authorization_url,
                "tokenEndpoint": sso.token_url,
            },
            "clientID": sso.client_id,
            "clientSecret": {"name": _CLIENT_SECRET},
            "redirectURL": f"https://{host}/oauth2/callback",
            "logoutPath": "/oauth2/logout",
            "scopes": ["openid", "profile", "email", *sso.scopes],
            "cookieNames": {"idToken": f"{_ID_TOKEN_COOKIE}-{service}"},
            "cookieConfig": {"sameSite": "Lax"},
            "forwardIDToken": {"header": ID_TOKEN_HEADER},
        },
        "jwt": {
            "providers": [
                {
                    "name": "sso",
                    "issuer": sso.issuer,
                    "audiences": [sso.client_id],
                    "remoteJWKS": {"uri": sso.keys_url},
                    "extractFrom": {"headers": [{"name": ID_TOKEN_HEADER}]},
                }
            ]
        },
        "authorization": {"defaultAction": "Deny", "rules": rules},
    }


def _allow(service: Service, group: str, permission: Permission) -> Sequence[Mapping[str, Any]]:
    """Grafana itself distinguishes readers; for other APIs, the gateway admits only their requests that read."""
    claim = {"name": "groups", "valueType": "StringArray", "values": [group]}
    rule = {"action": "Allow", "principal": {"jwt": {"provider": "sso", "claims": [claim]}}}
    if service is Service.GRAFANA or permission is Permission.WRITE:
        return [rule]
    operations: list[Mapping[str, Any]] = [{"methods": ["GET", "HEAD"]}]
    if service is Service.MLFLOW:
        operations.append({"methods": ["POST"], "path": {"type": "RegularExpression", "value": _MLFLOW_READS}})
    return [{**rule, "operation": operation} for operation in operations]
