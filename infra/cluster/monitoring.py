"""Prometheus, Alertmanager, Grafana, kube-state-metrics and node-exporter: the chart kube-prometheus-stack."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.rbac.v1 import ClusterRole

from infra.cluster.alert_receivers import (
    ALERTMANAGER,
    build_configuration,
    has_receivers,
    list_unsent,
    mount_secrets,
)
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.namespaces import MONITORING, NODE_EXPORTER
from infra.cluster.pod_values import resources, zone_spread
from infra.cluster.release import create_release
from infra.cluster.storage import STORAGE_CLASS
from infra.cluster.versions import KUBE_PROMETHEUS_STACK
from infra.core.component import Component, StackContext
from infra.core.settings import SsoSettings
from infra.people import ID_TOKEN_HEADER, Permission, Service, list_groups

_PROMETHEUS = Pods(MONITORING, "prometheus", {"app.kubernetes.io/name": "prometheus"})
GRAFANA = Pods(MONITORING, "grafana", {"app.kubernetes.io/name": "grafana"})
_OPERATOR = Pods(MONITORING, "operator", {"app": "kube-prometheus-stack-operator"})

_GRAFANA_ADMIN = "grafana-admin"
_GRAFANA_ROLE = "grafana-dashboards"
# GiB: 3,000 samples a second (90,000 series every 30 seconds) of 2 bytes, and 20 % in reserve.
# Source: https://prometheus.io/docs/prometheus/latest/storage/#operational-aspects
_METRICS_GIB_PER_DAY = 0.6
# Labels of nodes that rules and dashboards group by; kube-state-metrics exports none by default.
_NODE_LABELS = ("groundwork/pool", "node.kubernetes.io/instance-type")
# Alerts of the chart that platform/alerts replaces with ones that have an owner, a dashboard and a runbook. The alert
# that inhibits those of severity `info` is not needed: Prometheus does not send them.
REPLACED_ALERTS = (
    "InfoInhibitor",
    "KubeDeploymentReplicasMismatch",
    "KubeHpaMaxedOut",
    "KubePersistentVolumeFillingUp",
    "KubePodCrashLooping",
    "KubeStatefulSetReplicasMismatch",
    "NodeFilesystemAlmostOutOfSpace",
    "NodeMemoryHighUtilization",
    "Watchdog",
)


@dataclass(frozen=True)
class MonitoringArgs:
    context: StackContext


class Monitoring(Component):
    """Metrics of the cluster and of everything that runs in it."""

    layer = "cluster"
    flows = (
        Flow(_PROMETHEUS, Place.ALL_PODS, reason="scrapes what monitors select"),
        Flow(_PROMETHEUS, Place.NODES, 10250, "scrapes kubelets"),
        Flow(_PROMETHEUS, Place.NODES, 9100, "scrapes node exporters, which are in the nodes' network"),
        Flow(Pods(MONITORING), Place.API_SERVER, reason="watches monitors, targets, metrics' objects and dashboards"),
        Flow(Place.API_SERVER, _OPERATOR, 10250, "calls the operator's webhook"),
        Flow(GRAFANA, _PROMETHEUS, 9090, "queries"),
        Flow(GRAFANA, ALERTMANAGER, 9093, "shows alerts"),
        Flow(ALERTMANAGER, ALERTMANAGER, reason="gossips with the other replicas"),
    )

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
        """Allow Grafana's sidecars to read dashboards and data sources, which are ConfigMaps in any namespace."""
        read = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
        return ClusterRole(
            _GRAFANA_ROLE, metadata=ObjectMetaArgs(name=_GRAFANA_ROLE), rules=[read], opts=self.child_options()
        )


def _values(args: MonitoringArgs) -> Mapping[str, Any]:
    return {
        # Managed control planes do not expose these to scraping.
        "kubeEtcd": {"enabled": False},
        "kubeScheduler": {"enabled": False},
        "kubeControllerManager": {"enabled": False},
        "kubeProxy": {"enabled": False},
        "defaultRules": {
            "disabled": dict.fromkeys(REPLACED_ALERTS, True),
            "additionalRuleLabels": {"owner": "platform"},
        },
        "prometheusOperator": {
            # The requests that the chart recommends.
            "resources": resources("100m", "100Mi", "256Mi"),
            "admissionWebhooks": {"patch": {"resources": resources("20m", "32Mi", "128Mi")}},
            "prometheusConfigReloader": {"resources": resources("10m", "50Mi", "100Mi")},
        },
        "prometheus": _prometheus_values(args),
        "alertmanager": _alertmanager_values(args),
        "grafana": _grafana_values(args.context),
        "kube-state-metrics": {
            # Metrics about secrets would require read access to all of them.
            "collectorsExclude": ["secrets"],
            "metricLabelsAllowlist": [f"nodes=[{','.join(_NODE_LABELS)}]"],
            # Source: https://github.com/kubernetes/kube-state-metrics#resource-recommendation
            "resources": resources("100m", "250Mi", "512Mi"),
        },
        "prometheus-node-exporter": {
            "namespaceOverride": NODE_EXPORTER,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containerSecurityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            # The requests that the chart recommends.
            "resources": resources("100m", "30Mi", "128Mi"),
        },
    }


def _prometheus_values(args: MonitoringArgs) -> Mapping[str, Any]:
    settings = args.context.settings
    replicas, days = settings.resilience.replicas, settings.telemetry.retention_days
    size = 10 * math.ceil(days * _METRICS_GIB_PER_DAY / 10)
    return {
        "podDisruptionBudget": _budget(replicas),
        "prometheusSpec": {
            # By default Prometheus ignores the monitors of other releases.
            "serviceMonitorSelectorNilUsesHelmValues": False,
            "podMonitorSelectorNilUsesHelmValues": False,
            "ruleSelectorNilUsesHelmValues": False,
            "probeSelectorNilUsesHelmValues": False,
            "scrapeConfigSelectorNilUsesHelmValues": False,
            # Receivers of alerts from several stacks see which stack an alert is from.
            "externalLabels": {"stack": args.context.naming.stack, "environment": str(settings.environment)},
            "additionalAlertRelabelConfigs": list(list_unsent(settings)),
            "replicas": replicas,
            "topologySpreadConstraints": zone_spread(replicas, _PROMETHEUS.labels),
            # Links from response times to traces. Each takes about 100 bytes:
            # https://prometheus.io/docs/prometheus/latest/feature_flags/#exemplars-storage
            "enableFeatures": ["exemplar-storage"],
            "exemplars": {"maxSize": 100_000},
            "retention": f"{days}d",
            # The rest is for the write-ahead log and compactions.
            # Source: https://prometheus.io/docs/prometheus/latest/storage/#right-sizing-retention-size
            "retentionSize": f"{size * 8 // 10}GiB",
            "resources": resources("250m", "1Gi", "4Gi"),
            "storageSpec": _volume(f"{size}Gi"),
        },
    }


def _alertmanager_values(args: MonitoringArgs) -> Mapping[str, Any]:
    settings = args.context.settings
    replicas = settings.resilience.replicas
    receives = has_receivers(settings)
    return {
        "enabled": receives,
        **({"config": build_configuration(settings)} if receives else {}),
        "podDisruptionBudget": _budget(replicas),
        "alertmanagerSpec": {
            **mount_secrets(settings),
            "replicas": replicas,
            "topologySpreadConstraints": zone_spread(replicas, ALERTMANAGER.labels),
            "resources": resources("25m", "64Mi", "256Mi"),
            "storage": _volume("5Gi"),
        },
    }


def _grafana_values(context: StackContext) -> Mapping[str, Any]:
    replicas = context.settings.resilience.replicas
    return {
        "replicas": replicas,
        "podDisruptionBudget": {"maxUnavailable": 1} if replicas > 1 else {},
        "topologySpreadConstraints": list(zone_spread(replicas, GRAFANA.labels)),
        "admin": {"existingSecret": _GRAFANA_ADMIN},
        # Dashboards come from ConfigMaps. Persistence would need an init container that runs as root.
        "persistence": {"enabled": False},
        "sidecar": {
            "dashboards": {"searchNamespace": "ALL", "resource": "configmap"},
            "datasources": {
                "resource": "configmap",
                "exemplarTraceIdDestinations": {"datasourceUid": "tempo", "traceIdLabelName": "trace_id"},
                "alertmanager": {"enabled": has_receivers(context.settings)},
            },
            "securityContext": {"readOnlyRootFilesystem": True},
            "resources": resources("20m", "96Mi", "192Mi"),
        },
        # The chart's own role can also read the secrets of all namespaces.
        "rbac": {"useExistingClusterRole": _GRAFANA_ROLE},
        "containerSecurityContext": {"readOnlyRootFilesystem": True},
        "extraEmptyDirMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 plugins open their sockets there
        "grafana.ini": {
            **_GRAFANA_SILENCE,
            "server": {"root_url": f"https://{Service.GRAFANA}.{context.naming.domain}"},
            "users": {"allow_sign_up": False},
            **_grafana_sign_in(context.settings.sso),
        },
        # Grafana's minimum is 512 MB: https://grafana.com/docs/grafana/latest/setup-grafana/installation/
        "resources": resources("100m", "384Mi", "768Mi"),
    }


# Nothing that reports usage, or loads pictures and plugins from the internet.
# Source: https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/
_GRAFANA_SILENCE: Mapping[str, Any] = {
    "analytics": {
        "reporting_enabled": False,
        "check_for_updates": False,
        "check_for_plugin_updates": False,
        "feedback_links_enabled": False,
    },
    "news": {"news_feed_enabled": False},
    "plugins": {"preinstall_disabled": True, "preinstall_auto_update": False},
    "security": {"disable_gravatar": True},
    "snapshots": {"external_enabled": False},
}


def _grafana_sign_in(sso: SsoSettings) -> Mapping[str, Any]:
    """The gateway passes on the token of the person who signed in, and Grafana reads the role from its groups.

    Source: https://grafana.com/docs/grafana/latest/setup-grafana/configure-security/configure-authentication/jwt/
    """
    if not sso.issuer:
        return {}
    roles = {Permission.WRITE: "Admin", Permission.READ: "Viewer"}
    by_group = [
        f"contains(groups[*], '{group}') && '{roles[permission]}'"
        for group, permission in list_groups(sso, Service.GRAFANA)
    ]
    return {
        "auth": {"disable_login_form": True},
        "auth.jwt": {
            "enabled": True,
            "header_name": ID_TOKEN_HEADER,
            "jwk_set_url": sso.keys_url,
            "expect_claims": json.dumps({"iss": sso.issuer, "aud": [sso.client_id]}),
            "username_claim": "sub",
            "email_claim": "email",
            "auto_sign_up": True,
            "role_attribute_path": " || ".join(by_group),
            "role_attribute_strict": True,
        },
    }


def _budget(replicas: int) -> Mapping[str, Any]:
    # The chart sets `minAvailable`, which a budget cannot have together with `maxUnavailable`.
    return {"enabled": replicas > 1, "minAvailable": replicas - 1}


def _volume(size: str) -> Mapping[str, Any]:
    claim = {
        "storageClassName": STORAGE_CLASS,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    return {"volumeClaimTemplate": {"spec": claim}}
