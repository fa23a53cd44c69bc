"""The gateway: the entry to the cluster for people and for clients of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster import certificates, envoy_gateway
from infra.cluster.envoy_gateway import GATEWAY_CLASS, PROXIES
from infra.cluster.flows import Flow, Pods
from infra.cluster.namespaces import GATEWAY as NAMESPACE
from infra.cluster.namespaces import ROUTED_NAMESPACES
from infra.core.component import Component, StackContext

GATEWAY = "platform"
GROUP = "gateway.networking.k8s.io"
API_VERSION = f"{GROUP}/v1"
_CERTIFICATE = "gateway-certificate"
# Shorter than the 5 seconds after which uvicorn, on which MLflow and our servers run, closes an idle connection: Envoy
# keeps one for an hour by default, and a request on a connection that the server is closing fails with status 503.
# Source: https://github.com/envoyproxy/gateway/issues/2401 and https://uvicorn.dev/settings/#timeouts
_UPSTREAM_IDLE_SECONDS = 3


@dataclass(frozen=True)
class GatewayArgs:
    context: StackContext


class Gateway(Component):
    """One Gateway for all names of the stack's domain, with TLS. Requests without it are redirected."""

    layer = "cluster"
    flows = (Flow(PROXIES, Pods("serving"), reason="forwards requests for models by their routes"),)

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        domain = args.context.naming.domain
        # Gateway and certificate do not wait for each other: an ACME server validates the names through the gateway.
        self._create_certificate(args)
        gateway = self._create(
            "Gateway",
            GATEWAY,
            {"gatewayClassName": GATEWAY_CLASS, "listeners": _listeners(domain)},
            # It is `Programmed` once its load balancer has an address.
            annotations={"pulumi.com/waitFor": "condition=Programmed"},
        )
        redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}
        parent = {"name": GATEWAY, "sectionName": "http"}
        self._create(
            "HTTPRoute", "https-redirect", {"parentRefs": [parent], "rules": [{"filters": [redirect]}]}, gateway
        )
        self._limit_idle_connections(gateway)
        self.register_outputs({"domain": domain})

    def _create_certificate(self, args: GatewayArgs) -> None:
        domain, hosts = args.context.naming.domain, args.context.settings.gateway.acme_hosts
        names = [f"{host}.{domain}" for host in hosts] or [f"*.{domain}"]
        CustomResource(
            _CERTIFICATE,
            api_version=certificates.API_VERSION,
            kind="Certificate",
            metadata=ObjectMetaArgs(name=_CERTIFICATE, namespace=NAMESPACE),
            spec={
                "secretName": _CERTIFICATE,
                "dnsNames": names,
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "issuerRef": {"kind": "ClusterIssuer", "name": certificates.ISSUER},
            },
            opts=self.child_options(),
        )

    def _limit_idle_connections(self, gateway: pulumi.Resource) -> None:
        """Have the proxies close idle connections to all servers before these do."""
        target = {"group": GROUP, "kind": "Gateway", "name": GATEWAY}
        CustomResource(
            "gateway-idle-connections",
            api_version=envoy_gateway.API_VERSION,
            kind="BackendTrafficPolicy",
            metadata=ObjectMetaArgs(name="idle-connections", namespace=NAMESPACE),
            spec={
                "targetRefs": [target],
                "timeout": {"http": {"connectionIdleTimeout": f"{_UPSTREAM_IDLE_SECONDS}s"}},
            },
            opts=self.child_options(depends_on=[gateway]),
        )

    def _create(
        self,
        kind: str,
        name: str,
        spec: Mapping[str, Any],
        *after: pulumi.Resource,
        annotations: Mapping[str, str] | None = None,
    ) -> CustomResource:
        return CustomResource(
            f"{name}-{kind.lower()}",
            api_version=API_VERSION,
            kind=kind,
            metadata=ObjectMetaArgs(name=name, namespace=NAMESPACE, annotations=annotations),
            spec=spec,
            opts=self.child_options(depends_on=after),
        )


def _listeners(domain: str) -> list[Mapping[str, Any]]:
    """HTTPS for routes of the platform's namespaces, and HTTP for the redirect and for ACME's challenges only."""
    routed = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(ROUTED_NAMESPACES)}
    return [
        {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "Same"}}},
        {
            "name": "https",
            "protocol": "HTTPS",
            "port": 443,
            "hostname": f"*.{domain}",
            "tls": {"mode": "Terminate", "certificateRefs": [{"name": _CERTIFICATE}]},
            "allowedRoutes": {
                "namespaces": {"from": "Selector", "selector": {"matchExpressions": [routed]}},
            },
        },
    ]
