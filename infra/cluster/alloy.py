"""Alloy, which sends the logs of all pods and the cluster's events to Loki, and the traces of pods to Tempo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from infra.cluster import loki, tempo
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.namespaces import MONITORING
from infra.cluster.pod_values import budget, resources, zone_spread
from infra.cluster.release import create_release
from infra.cluster.versions import ALLOY
from infra.core.component import Component, StackContext

_PORT = 12345
_PODS = Pods(MONITORING, "alloy", {"app.kubernetes.io/name": "alloy"})
_OTLP_PORTS: Mapping[str, int] = {"otlp-grpc": 4317, "otlp-http": 4318}
OTLP_URL = f"http://alloy.{MONITORING}.svc.cluster.local:{_OTLP_PORTS['otlp-http']}"
_CONFIGURATION = Path(__file__).with_name("telemetry.alloy").read_text()
_USER = 473  # of the image


@dataclass(frozen=True)
class AlloyArgs:
    context: StackContext


class Alloy(Component):
    """The collector.

    It reads logs through the Kubernetes API rather than from the nodes' disks: that costs the kubelets some processor
    time, but needs neither host paths, which only a privileged namespace allows, nor a pod on every node.
    """

    layer = "cluster"
    flows = (
        *(Flow(Place.ALL_PODS, _PODS, port, "sends traces") for port in _OTLP_PORTS.values()),
        Flow(_PODS, Place.API_SERVER, reason="watches pods and events, and reads logs"),
        Flow(_PODS, loki.LOKI_PODS, loki.PORT, "writes logs"),
        Flow(_PODS, tempo.TEMPO_PODS, tempo.OTLP_PORT, "writes traces"),
        Flow(_PODS, _PODS, _PORT, "divides the pods among the replicas"),
    )

    def __init__(self, name: str, args: AlloyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        replicas = args.context.settings.resilience.replicas
        create_release(name, ALLOY, MONITORING, _values(replicas), self.child_options())
        self.register_outputs({})


def _values(replicas: int) -> Mapping[str, Any]:
    return {
        "crds": {"create": False},
        "global": {
            "podSecurityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
        },
        "alloy": {
            "configMap": {"content": _CONFIGURATION},
            "clustering": {"enabled": True},
            "enableReporting": False,
            "storagePath": "/var/lib/alloy",
            "mounts": {"extra": [{"name": "data", "mountPath": "/var/lib/alloy"}]},
            "extraEnv": [
                {"name": "LOKI_URL", "value": loki.URL},
                {"name": "TEMPO_ENDPOINT", "value": tempo.OTLP_ENDPOINT},
            ],
            "extraPorts": [{"name": name, "port": port, "targetPort": port} for name, port in _OTLP_PORTS.items()],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
            # For 1 MiB of logs a second, a whole processor and 120 MiB:
            # https://grafana.com/docs/alloy/latest/introduction/estimate-resource-usage/
            "resources": resources("100m", "192Mi", "512Mi"),
        },
        # The configuration changes with the release, which restarts the pods.
        "configReloader": {"enabled": False},
        # The chart's own role can also read the secrets of all namespaces.
        "rbac": {
            "rules": [
                {"apiGroups": [""], "resources": ["pods", "pods/log", "events"], "verbs": ["get", "list", "watch"]}
            ],
            "clusterRules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}],
        },
        "controller": {
            "type": "deployment",
            "replicas": replicas,
            "podDisruptionBudget": budget(replicas),
            "topologySpreadConstraints": list(zone_spread(replicas, _PODS.labels)),
            "volumes": {"extra": [{"name": "data", "emptyDir": {}}]},
        },
        "serviceMonitor": {"enabled": True},
    }
