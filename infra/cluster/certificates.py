"""cert-manager, and the issuer of the platform's certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.helm.v3 import Release
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster.envoy_gateway import PROXIES
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.namespaces import CERT_MANAGER as NAMESPACE
from infra.cluster.namespaces import GATEWAY
from infra.cluster.pod_values import budget, resources, zone_spread
from infra.cluster.release import WAIT_UNTIL_READY, create_release
from infra.cluster.versions import CERT_MANAGER
from infra.contract import Endpoint
from infra.core.component import Component, StackContext

API_VERSION = "cert-manager.io/v1"
ISSUER = "platform"  # the ClusterIssuer of all certificates, for either kind of authority
_ROOT = "platform-ca"
_CONTROLLER = Pods(NAMESPACE, "controller", {"app.kubernetes.io/component": "controller"})
_WEBHOOK = Pods(NAMESPACE, "webhook", {"app.kubernetes.io/component": "webhook"})
_TEN_YEARS = "87600h"


@dataclass(frozen=True)
class CertificatesArgs:
    context: StackContext
    gateway: str  # name of the Gateway through which an ACME server verifies names


class Certificates(Component):
    """cert-manager, with one ClusterIssuer: the stack's own certificate authority, or an ACME server."""

    layer = "cluster"
    flows = (
        Flow(Pods(NAMESPACE), Place.API_SERVER, reason="watches certificates and writes their Secrets"),
        Flow(Place.API_SERVER, _WEBHOOK, 10250, "calls the webhook"),
    )
    acme_flows = (
        Flow(_CONTROLLER, Endpoint(["0.0.0.0/0"], 443), reason="calls the ACME server, which may be anywhere"),
        Flow(_CONTROLLER, PROXIES, 10080, "checks whether a challenge is answered"),
    )

    def __init__(self, name: str, args: CertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = create_release(
            CERT_MANAGER.name, CERT_MANAGER, NAMESPACE, _values(args.context), self.child_options()
        )
        if args.context.settings.gateway.issuer == "acme":
            self._create_issuer(ISSUER, {"acme": _acme(args)}, release)
        else:
            self._create_authority(release)
        self.register_outputs({"issuer": ISSUER})

    def _create_authority(self, release: Release) -> None:
        """A certificate authority whose key is generated in the cluster and never leaves it."""
        self_signed = self._create_issuer("self-signed", {"selfSigned": {}}, release)
        root = CustomResource(
            _ROOT,
            api_version=API_VERSION,
            kind="Certificate",
            metadata=ObjectMetaArgs(name=_ROOT, namespace=NAMESPACE, annotations=WAIT_UNTIL_READY),
            spec={
                "isCA": True,
                "commonName": _ROOT,
                "secretName": _ROOT,
                "duration": _TEN_YEARS,
                "privateKey": {"algorithm": "ECDSA", "size": 256},
                "issuerRef": {"kind": "ClusterIssuer", "name": "self-signed"},
            },
            opts=self.child_options(depends_on=[self_signed]),
        )
        self._create_issuer(ISSUER, {"ca": {"secretName": _ROOT}}, root)

    def _create_issuer(self, name: str, spec: Mapping[str, Any], after: pulumi.Resource) -> CustomResource:
        return CustomResource(
            f"{name}-issuer",
            api_version=API_VERSION,
            kind="ClusterIssuer",
            metadata=ObjectMetaArgs(name=name, annotations=WAIT_UNTIL_READY),
            spec=spec,
            opts=self.child_options(depends_on=[after]),
        )


def _acme(args: CertificatesArgs) -> Mapping[str, Any]:
    """An ACME issuer. It validates names over HTTP: cert-manager attaches routes to the gateway's listener `http`."""
    settings = args.context.settings.gateway
    gateway = {"kind": "Gateway", "namespace": GATEWAY, "name": args.gateway, "sectionName": "http"}
    return {
        "server": settings.acme_server,
        "email": settings.acme_email,
        "privateKeySecretRef": {"name": "acme-account"},
        "solvers": [{"http01": {"gatewayHTTPRoute": {"parentRefs": [gateway]}}}],
    }


def _values(context: StackContext) -> Mapping[str, Any]:
    replicas = context.settings.resilience.replicas
    return {
        # They remain when the chart is uninstalled, because deleting them would delete every certificate.
        "crds": {"enabled": True},
        # By default its leases are in kube-system, to which it would need access.
        "global": {"leaderElection": {"namespace": NAMESPACE}},
        "config": {"enableGatewayAPI": True},
        **_deployment("controller", replicas, resources("50m", "96Mi", "256Mi")),
        "webhook": _deployment("webhook", replicas, resources("20m", "48Mi", "128Mi")),
        "cainjector": _deployment("cainjector", replicas, resources("50m", "128Mi", "384Mi")),
        # A hook that waits until the webhook responds, so that issuers can be created once the release is ready.
        "startupapicheck": {"resources": resources("10m", "32Mi", "64Mi")},
        "prometheus": {"podmonitor": {"enabled": True}},
    }


def _deployment(component: str, replicas: int, size: Mapping[str, Any]) -> Mapping[str, Any]:
    labels = {"app.kubernetes.io/instance": CERT_MANAGER.name, "app.kubernetes.io/component": component}
    return {
        "replicaCount": replicas,
        "podDisruptionBudget": budget(replicas),
        "topologySpreadConstraints": zone_spread(replicas, labels),
        "resources": size,
    }
