"""How clients reach the router of experiments: its own host at the gateway.

/v2/models/...      predictions, which are as open as the models' own hosts
/ab-test/outcomes   outcomes, which programs report with a generated password
/ab-test/...        pages for people, who sign in, or use the same password if there is no issuer
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.access import get_workload
from infra.cluster.envoy_gateway import PROXIES
from infra.cluster.flows import Flow, select_workload
from infra.cluster.gateway_access import create_passwords, create_policy, create_route, require_password
from infra.cluster.sign_in import build_oidc_policy, copy_client_secret
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext
from infra.people import Service

_WORKLOAD = get_workload("experiment-router")
_NAMESPACE = _WORKLOAD.namespace
_PORT = 8000
_API, _OUTCOMES, _PREDICTIONS = "experiments-api", "experiments-outcomes", "experiments"  # names of routes
_LOGIN, _PASSWORDS = "experiments-login", "experiments-passwords"  # names of Secrets


@dataclass(frozen=True)
class ExperimentRoutesArgs:
    context: StackContext
    secrets: SecretsContract
    service: str  # the router's


class ExperimentRoutes(Component):
    """Three routes of one host, two of which have a policy."""

    layer = "cluster"
    flows = (Flow(PROXIES, select_workload(_WORKLOAD), _PORT, "forwards requests for experiments"),)

    def __init__(self, name: str, args: ExperimentRoutesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        sso = args.context.settings.sso
        self._host = f"{Service.EXPERIMENTS}.{args.context.naming.domain}"
        passwords = create_passwords(self, "experiments", _LOGIN, _PASSWORDS, _NAMESPACE)
        # A program should not need a person to sign in at the issuer for it, so it uses a password.
        outcomes = create_policy(self, _OUTCOMES, _NAMESPACE, require_password(_PASSWORDS), passwords)
        self._create_route(_OUTCOMES, [_exact("/ab-test/outcomes")], [outcomes])
        if sso.issuer:
            secret = copy_client_secret(self, sso, args.secrets, _NAMESPACE)
            spec = build_oidc_policy(sso, Service.EXPERIMENTS, self._host)
            api = create_policy(self, _API, _NAMESPACE, spec, secret)
        else:
            api = create_policy(self, _API, _NAMESPACE, require_password(_PASSWORDS), passwords)
        # The issuer redirects people back to /oauth2, where the policy responds.
        callback = [_below("/oauth2")] if sso.issuer else []
        self._create_route(_API, [_below("/ab-test"), *callback], [api])
        self._create_route(_PREDICTIONS, [_below("/v2/models")], [])
        self.register_outputs({"host": self._host})

    def _create_route(
        self, name: str, matches: Sequence[Mapping[str, Any]], policies: Sequence[pulumi.Resource]
    ) -> None:
        rule = {"matches": list(matches), "backendRefs": [{"name": self._args.service, "port": 80}]}
        create_route(self, name, _NAMESPACE, self._host, [rule], policies)


def _exact(path: str) -> Mapping[str, Any]:
    return {"path": {"type": "Exact", "value": path}}


def _below(path: str) -> Mapping[str, Any]:
    return {"path": {"type": "PathPrefix", "value": path}}
