"""Prometheus, Alertmanager, Grafana, kube-state-metrics and node-exporter: the chart kube-prometheus-stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.rbac.v1 import ClusterRole

from infra.cluster.namespaces import MONITORING, NODE_EXPORTER
from infra.cluster.release import create_release
from infra.cluster.versions import KUBE_PROMETHEUS_STACK
from infra.core.component import Component, StackContext

_GRAFANA_ADMIN = "grafana-admin"
_GRAFANA_ROLE = "grafana-dashboards"


@dataclass(frozen=True)
class MonitoringArgs:
    context: StackContext
    storage_class: str


class Monitoring(Component):
    """Metrics of the cluster and of everything that runs in it."""

    layer = "cluster"

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        create_release(
            KUBE_PROMETHEUS_STACK.name,
            KUBE_PROMETHEUS_STACK,
            MONITORING,
            _values(args),
            self.child_options(depends_on=[self._create_grafana_admin(), self._create_grafana_role()]),
        )
        self.register_outputs({})

    def _create_grafana_admin(self) -> Secret:
        password = random.RandomPassword("grafana-admin-password", length=32, special=False, opts=self.child_options())
        return Secret(
            _GRAFANA_ADMIN,
            metadata=ObjectMetaArgs(name=_GRAFANA_ADMIN, namespace=MONITORING),
            string_data={"admin-user": "admin", "admin-password": password.result},
            opts=self.child_options(),
        )

    def _create_grafana_role(self) -> ClusterRole:
        """Lets Grafana's sidecars read dashboards and data sources, which are ConfigMaps in any namespace."""
        read = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
        return ClusterRole(
            _GRAFANA_ROLE, metadata=ObjectMetaArgs(name=_GRAFANA_ROLE), rules=[read], opts=self.child_options()
        )


def _values(args: MonitoringArgs) -> Mapping[str, Any]:
    replicas = args.context.settings.resilience.replicas
    return {
        # Managed control planes do not expose these to scraping.
        "kubeEtcd": {"enabled": False},
        "kubeScheduler": {"enabled": False},
        "kubeControllerManager": {"enabled": False},
        "kubeProxy": {"enabled": False},
        "prometheusOperator": {
            "resources": _resources("100m", "128Mi", "512Mi"),
            "admissionWebhooks": {"patch": {"resources": _resources("20m", "32Mi", "128Mi")}},
        },
        "prometheus": {
            "prometheusSpec": {
                # By default Prometheus ignores the monitors of other releases.
                "serviceMonitorSelectorNilUsesHelmValues": False,
                "podMonitorSelectorNilUsesHelmValues": False,
                "ruleSelectorNilUsesHelmValues": False,
                "probeSelectorNilUsesHelmValues": False,
                "scrapeConfigSelectorNilUsesHelmValues": False,
                "replicas": replicas,
                "retention": f"{args.context.settings.telemetry.retention_days}d",
                "retentionSize": "40GiB",
                "resources": _resources("500m", "2Gi", "4Gi"),
                "storageSpec": _volume(args.storage_class, "50Gi"),
            }
        },
        "alertmanager": {
            "alertmanagerSpec": {
                "replicas": replicas,
                "resources": _resources("50m", "64Mi", "256Mi"),
                "storage": _volume(args.storage_class, "5Gi"),
            }
        },
        "grafana": {
            "replicas": replicas,
            "admin": {"existingSecret": _GRAFANA_ADMIN},
            # Dashboards come from ConfigMaps. Persistence would need an init container that runs as root.
            "persistence": {"enabled": False},
            "sidecar": {
                "dashboards": {"searchNamespace": "ALL", "resource": "configmap"},
                "datasources": {"resource": "configmap"},
                "securityContext": {"readOnlyRootFilesystem": True},
                "resources": _resources("50m", "96Mi", "192Mi"),
            },
            # The chart's own role can also read the secrets of all namespaces.
            "rbac": {"useExistingClusterRole": _GRAFANA_ROLE},
            "containerSecurityContext": {"readOnlyRootFilesystem": True},
            "extraEmptyDirMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 plugins open their sockets there
            "resources": _resources("100m", "256Mi", "512Mi"),
        },
        # Metrics about secrets would require read access to all of them.
        "kube-state-metrics": {"collectorsExclude": ["secrets"], "resources": _resources("50m", "128Mi", "512Mi")},
        "prometheus-node-exporter": {
            "namespaceOverride": NODE_EXPORTER,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containerSecurityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "resources": _resources("50m", "64Mi", "128Mi"),
        },
    }


def _resources(cpu: str, memory: str, limit: str) -> Mapping[str, Any]:
    # Without a CPU limit: throttled monitoring loses samples exactly when the node is busy.
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}


def _volume(storage_class: str, size: str) -> Mapping[str, Any]:
    claim = {
        "storageClassName": storage_class,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    return {"volumeClaimTemplate": {"spec": claim}}
