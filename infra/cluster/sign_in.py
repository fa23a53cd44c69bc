"""How people reach the services of the platform and sign in: a route for each, and a policy where the gateway asks who
they are.

Argo CD asks by itself. For Grafana and MLflow the gateway does, by OIDC, and lets the groups of the table in
`infra/people.py` pass. Without an issuer, people sign in with generated passwords: to MLflow at the gateway, since it
would be open otherwise. Workloads in the cluster do not come this way.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster import gateway
from infra.cluster.envoy_gateway import PROXIES
from infra.cluster.external_secrets import create_external_secret
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.namespaces import GATEWAY as GATEWAY_NAMESPACE
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext
from infra.core.settings import SsoSettings
from infra.people import ID_TOKEN_HEADER, Permission, Service, list_groups

_ID_TOKEN_COOKIE = "IdToken"  # noqa: S105
_CLIENT_SECRET = "sso-client"  # noqa: S105 names of Secrets
_PASSWORDS = "mlflow-passwords"
_ADMIN = "mlflow-admin"

# MLflow's API reads by POST too: searches, and the queries of its user interface.
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
    # Where there is an issuer: who asks it, or verifies its tokens. It may be in a connected network.
    sso_flows = tuple(
        Flow(client, place, 443, "calls the issuer of people's identities")
        for client in (PROXIES, _BACKENDS[Service.GRAFANA].pods, _BACKENDS[Service.ARGO_CD].pods)
        for place in (Place.INTERNET, Place.PRIVATE_NETWORK)
    )

    def __init__(self, name: str, args: SignInArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._domain, self._sso = args.context.naming.domain, args.context.settings.sso
        self._secrets = args.secrets
        for service in Service:
            policies = self._require_sign_in(service)
            self._create_route(service, policies)
        self.register_outputs({})

    def _require_sign_in(self, service: Service) -> Sequence[CustomResource]:
        """The policy, before the route: in between, the route would be open."""
        if self._sso.issuer and service in _AT_THE_GATEWAY:
            secret = self._copy_client_secret(_BACKENDS[service].namespace)
            spec = build_oidc_policy(self._sso, service, f"{service}.{self._domain}")
            return [self._create_policy(service, spec, secret)]
        if not self._sso.issuer and service is Service.MLFLOW:
            return [
                self._create_policy(service, {"basicAuth": {"users": {"name": _PASSWORDS}}}, self._create_passwords())
            ]
        return []

    def _create_policy(self, service: Service, spec: Mapping[str, Any], secret: pulumi.Resource) -> CustomResource:
        target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": service.value}
        return CustomResource(
            f"{service}-sign-in",
            api_version="gateway.envoyproxy.io/v1alpha1",
            kind="SecurityPolicy",
            metadata=ObjectMetaArgs(name=service.value, namespace=_BACKENDS[service].namespace),
            spec={"targetRefs": [target], **spec},
            opts=self.child_options(depends_on=[secret]),
        )

    def _create_route(self, service: Service, policies: Sequence[CustomResource]) -> None:
        backend = _BACKENDS[service]
        CustomResource(
            f"{service}-route",
            api_version=gateway.API_VERSION,
            kind="HTTPRoute",
            metadata=ObjectMetaArgs(name=service.value, namespace=backend.namespace),
            spec={
                "parentRefs": [{"name": gateway.GATEWAY, "namespace": GATEWAY_NAMESPACE, "sectionName": "https"}],
                "hostnames": [f"{service}.{self._domain}"],
                "rules": [{"backendRefs": [{"name": backend.name, "port": backend.port}]}],
            },
            opts=self.child_options(depends_on=policies),
        )

    def _copy_client_secret(self, namespace: str) -> CustomResource:
        """The client's secret, from the stack's store of secrets."""
        keys = {"client-secret": self._sso.client_secret}
        return create_external_secret(
            self._secrets, _CLIENT_SECRET, namespace, keys, "sso.clientSecret", self.child_options()
        )

    def _create_passwords(self) -> Secret:
        """A generated password, as the gateway compares it and, in a Secret of its own, as people type it."""
        namespace = _BACKENDS[Service.MLFLOW].namespace
        password = random.RandomPassword(f"{_ADMIN}-password", length=32, special=False, opts=self.child_options())
        Secret(
            _ADMIN,
            metadata=ObjectMetaArgs(name=_ADMIN, namespace=namespace),
            string_data={"username": "admin", "password": password.result},
            opts=self.child_options(),
        )
        return Secret(
            _PASSWORDS,
            metadata=ObjectMetaArgs(name=_PASSWORDS, namespace=namespace),
            string_data={".htpasswd": password.result.apply(lambda known: format_password("admin", known))},
            opts=self.child_options(),
        )


def build_oidc_policy(sso: SsoSettings, service: Service, host: str) -> Mapping[str, Any]:
    """Signing in at the issuer, checks of its ID token, and who may do what by the groups in it."""
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
    """Grafana distinguishes readers by itself; of MLflow's API, the gateway admits them to what only reads."""
    claim = {"name": "groups", "valueType": "StringArray", "values": [group]}
    rule = {"action": "Allow", "principal": {"jwt": {"provider": "sso", "claims": [claim]}}}
    if service is not Service.MLFLOW or permission is Permission.WRITE:
        return [rule]
    reads = {"methods": ["POST"], "path": {"type": "RegularExpression", "value": _MLFLOW_READS}}
    return [{**rule, "operation": {"methods": ["GET", "HEAD"]}}, {**rule, "operation": reads}]


def format_password(user: str, password: str) -> str:
    """A line of a password file, in the one form that Envoy reads: SHA-1. The password is too long to be guessed.

    Source: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/basic_auth_filter
    """
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
    return f"{user}:{{SHA}}{digest}"
