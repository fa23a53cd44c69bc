"""metrics-server: the metrics of nodes and pods, which autoscalers and `kubectl top` read, where no cloud has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.pod_values import budget, resources, zone_spread
from infra.cluster.release import create_release
from infra.cluster.versions import METRICS_SERVER
from infra.core.component import Component, StackContext

NAMESPACE = "metrics-server"
_PORT = 10250
_PODS = Pods(NAMESPACE, "metrics-server", {"app.kubernetes.io/name": "metrics-server"})


@dataclass(frozen=True)
class MetricsServerArgs:
    context: StackContext


class MetricsServer(Component):
    """The server, whose certificate cert-manager issues."""

    layer = "cluster"
    namespace = NAMESPACE
    flows = (
        Flow(Place.API_SERVER, _PODS, _PORT, "serves the metrics API"),
        Flow(_PODS, Place.API_SERVER, reason="watches nodes and pods"),
        Flow(_PODS, Place.NODES, 10250, "reads the kubelets' metrics"),
    )

    def __init__(self, name: str, args: MetricsServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        replicas = args.context.settings.resilience.replicas
        create_release(name, METRICS_SERVER, NAMESPACE, _values(replicas), self.child_options())
        self.register_outputs({})


def _values(replicas: int) -> Mapping[str, Any]:
    return {
        "replicas": replicas,
        "podDisruptionBudget": budget(replicas),
        "topologySpreadConstraints": list(zone_spread(replicas, _PODS.labels)),
        # Otherwise the API server would accept any certificate.
        "tls": {"type": "cert-manager"},
        "apiService": {"insecureSkipTLSVerify": False},
        "containerPort": _PORT,
        # For up to 100 nodes: https://github.com/kubernetes-sigs/metrics-server#scaling
        "resources": resources("100m", "200Mi", "400Mi"),
        "metrics": {"enabled": True},
        "serviceMonitor": {"enabled": True},
    }
