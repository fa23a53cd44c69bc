"""Envoy Gateway, the Gateway API's custom resource definitions, and the deployment of a Gateway's proxies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.helm.v3 import Release
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.namespaces import GATEWAY as NAMESPACE
from infra.cluster.pod_values import resources, zone_spread
from infra.cluster.release import create_release
from infra.cluster.versions import ENVOY_GATEWAY
from infra.core.component import Component, StackContext

GATEWAY_CLASS = "envoy"
API_VERSION = "gateway.envoyproxy.io/v1alpha1"
_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
# Label of the proxies' pods. Source: EnvoyAppLabel in internal/infrastructure/kubernetes/proxy/resource.go of Envoy
# Gateway.
_PROXY_LABELS = {"app.kubernetes.io/component": "proxy", "app.kubernetes.io/managed-by": "envoy-gateway"}
PROXIES = Pods(NAMESPACE, "proxies", _PROXY_LABELS)
_LABELS = {"control-plane": "envoy-gateway"}
_ENVOY_GATEWAY = Pods(NAMESPACE, "envoy-gateway", _LABELS)


@dataclass(frozen=True)
class EnvoyGatewayArgs:
    context: StackContext
    load_balancer_annotations: Mapping[str, str]


class EnvoyGateway(Component):
    """The controller, and the GatewayClass whose Gateways have proxies behind an internal load balancer."""

    layer = "cluster"
    flows = (
        Flow(Pods(NAMESPACE), Place.API_SERVER, reason="watches gateways and routes, and creates proxies"),
        Flow(Place.API_SERVER, _ENVOY_GATEWAY, 9443, "calls the webhook that tells a proxy its zone"),
        Flow(PROXIES, _ENVOY_GATEWAY, 18000, "receives its configuration"),
        # Envoy Gateway adds 10000 to the ports of a Gateway below 1024.
        # Source: https://github.com/envoyproxy/gateway/blob/v1.9.0/internal/gatewayapi/helpers.go
        Flow(Place.LOAD_BALANCER, PROXIES, 10080, "is redirected to HTTPS"),
        Flow(Place.LOAD_BALANCER, PROXIES, 10443, "calls models and services"),
    )

    def __init__(self, name: str, args: EnvoyGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        replicas = args.context.settings.resilience.replicas
        release = create_release(ENVOY_GATEWAY.name, ENVOY_GATEWAY, NAMESPACE, _values(replicas), self.child_options())
        proxy = self._create_proxy_settings(replicas, args.load_balancer_annotations, release)
        self._create_class(proxy)
        self._create_monitor(release)
        self.register_outputs({"class": GATEWAY_CLASS})

    def _create_proxy_settings(self, replicas: int, annotations: Mapping[str, str], release: Release) -> CustomResource:
        spec = {
            "envoyDeployment": {
                "replicas": replicas,
                "pod": {"topologySpreadConstraints": zone_spread(replicas, _PROXY_LABELS)},
                "container": {
                    "resources": resources("100m", "128Mi", "512Mi"),
                    "securityContext": _SECURITY_CONTEXT,
                },
                "patch": {"type": "StrategicMerge", "value": _PATCH},
            },
            "envoyService": {"type": "LoadBalancer", "annotations": dict(annotations)},
            **({"envoyPDB": {"maxUnavailable": 1}} if replicas > 1 else {}),
        }
        return CustomResource(
            "gateway-proxies",
            api_version=API_VERSION,
            kind="EnvoyProxy",
            metadata=ObjectMetaArgs(name="proxies", namespace=NAMESPACE),
            spec={"provider": {"type": "Kubernetes", "kubernetes": spec}},
            opts=self.child_options(depends_on=[release]),
        )

    def _create_class(self, proxy: CustomResource) -> None:
        parameters = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "namespace": NAMESPACE, "name": "proxies"}
        CustomResource(
            GATEWAY_CLASS,
            api_version="gateway.networking.k8s.io/v1",
            kind="GatewayClass",
            metadata=ObjectMetaArgs(name=GATEWAY_CLASS),
            spec={"controllerName": _CONTROLLER, "parametersRef": parameters},
            opts=self.child_options(depends_on=[proxy]),
        )

    def _create_monitor(self, release: Release) -> None:
        """The chart does not have a monitor."""
        CustomResource(
            "gateway-monitor",
            api_version="monitoring.coreos.com/v1",
            kind="ServiceMonitor",
            metadata=ObjectMetaArgs(name="envoy-gateway", namespace=NAMESPACE),
            spec={"selector": {"matchLabels": _LABELS}, "endpoints": [{"port": "metrics"}]},
            opts=self.child_options(depends_on=[release]),
        )


def _values(replicas: int) -> Mapping[str, Any]:
    return {
        "deployment": {
            "replicas": replicas,
            "pod": {"topologySpreadConstraints": zone_spread(replicas, _LABELS)},
            "envoyGateway": {"resources": resources("50m", "128Mi", "512Mi")},
        },
        "podDisruptionBudget": {"maxUnavailable": 1} if replicas > 1 else {},
        "certgen": {"job": {"resources": resources("10m", "32Mi", "128Mi")}},
    }


_SECURITY_CONTEXT: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
# Both containers write to /tmp: the shutdown manager records there that connections are drained. It inherits the
# security context of the proxy, but neither its volumes nor its limits.
# Source: internal/infrastructure/kubernetes/proxy/resource.go of Envoy Gateway.
_TMP = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
_PATCH: Mapping[str, Any] = {
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {"name": "envoy", "volumeMounts": _TMP},
                    {
                        "name": "shutdown-manager",
                        "volumeMounts": _TMP,
                        "resources": resources("10m", "32Mi", "64Mi"),
                    },
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            }
        }
    }
}
