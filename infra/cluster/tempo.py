"""Traces: Tempo, as one process per replica, with the foundation's object store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import get_workload
from infra.cluster.data_source import create_data_source
from infra.cluster.disruption_budget import create_disruption_budget
from infra.cluster.flows import Flow, Pods
from infra.cluster.monitoring import GRAFANA
from infra.cluster.pod_values import resources, zone_anti_affinity
from infra.cluster.release import create_release
from infra.cluster.versions import TEMPO
from infra.contract import Foundation, S3Bucket
from infra.core.component import Component, StackContext

_WORKLOAD = get_workload("tempo")
_HOST = f"tempo.{_WORKLOAD.namespace}.svc"
_HTTP_PORT = 3200
_MEMBERS_PORT = 7946
OTLP_PORT = 4317
URL = f"http://{_HOST}:{_HTTP_PORT}"
OTLP_ENDPOINT = f"{_HOST}:{OTLP_PORT}"
TEMPO_PODS = Pods(_WORKLOAD.namespace, "tempo", _WORKLOAD.pod_labels)

_MEMBERS = "tempo-members"


@dataclass(frozen=True)
class TempoArgs:
    context: StackContext
    foundation: Foundation


class Tempo(Component):
    """The server, the Service by which its replicas find each other, and Grafana's data source."""

    layer = "cluster"
    flows = (
        Flow(GRAFANA, TEMPO_PODS, _HTTP_PORT, "queries traces"),
        Flow(TEMPO_PODS, TEMPO_PODS, reason="gossips with the other replicas, and writes and reads through them"),
    )

    def __init__(self, name: str, args: TempoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        replicas = args.context.settings.resilience.replicas
        members = self._create_members_service()
        create_release(name, TEMPO, _WORKLOAD.namespace, _values(args), self.child_options(depends_on=[members]))
        create_disruption_budget(name, _WORKLOAD.namespace, replicas, _WORKLOAD.pod_labels, self.child_options())
        create_data_source(f"{name}-data-source", _DATA_SOURCE, self.child_options())
        self.register_outputs({"url": URL})

    def _create_members_service(self) -> Service:
        """The addresses of all replicas, ready or not: they have to find each other before they are."""
        port = {"name": "members", "port": _MEMBERS_PORT, "targetPort": _MEMBERS_PORT, "protocol": "TCP"}
        return Service(
            _MEMBERS,
            metadata=ObjectMetaArgs(name=_MEMBERS, namespace=_WORKLOAD.namespace),
            spec={
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": _WORKLOAD.pod_labels,
                "ports": [port],
            },
            # Its endpoints are pods that the release creates later.
            opts=self.child_options(),
        )


_DATA_SOURCE: Mapping[str, Any] = {
    "name": "Tempo",
    "uid": "tempo",
    "type": "tempo",
    "url": URL,
    "jsonData": {"tracesToLogsV2": {"datasourceUid": "loki", "filterByTraceID": True}},
}


def _values(args: TempoArgs) -> Mapping[str, Any]:
    replicas = args.context.settings.resilience.replicas
    return {
        "replicas": replicas,
        # Replaces the chart's configuration, which receives Jaeger's protocols as well. JSON is YAML.
        "config": pulumi.Output.json_dumps(_config(args)),
        "tempo": {
            "memBallastSizeMbs": 0,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
            "resources": resources("100m", "256Mi", "1Gi"),
            "extraVolumeMounts": [{"name": "data", "mountPath": "/var/tempo"}],
        },
        # Blocks are in the object store, and newer traces are in the memory of another replica: without a volume, no
        # pod is bound to a zone.
        "extraVolumes": [{"name": "data", "emptyDir": {}}],
        "securityContext": {
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": zone_anti_affinity(replicas, _WORKLOAD.pod_labels),
        "podLabels": dict(args.foundation.identities[_WORKLOAD.name].pod_labels),
        "serviceAccount": {
            "create": False,
            "name": _WORKLOAD.service_account,
            "automountServiceAccountToken": False,
        },
        "serviceMonitor": {"enabled": True},
    }


def _config(args: TempoArgs) -> Mapping[str, Any]:
    """Source: https://grafana.com/docs/tempo/latest/configuration/"""
    settings = args.context.settings
    receivers = {"grpc": {"endpoint": f"0.0.0.0:{OTLP_PORT}"}}
    ring = {"replication_factor": min(settings.resilience.replicas, 2)}
    return {
        "server": {"http_listen_port": _HTTP_PORT},
        "distributor": {"receivers": {"otlp": {"protocols": receivers}}},
        "ingester": {"flush_all_on_shutdown": True, "lifecycler": {"ring": ring}},
        "memberlist": {"join_members": [f"{_MEMBERS}.{_WORKLOAD.namespace}.svc:{_MEMBERS_PORT}"]},
        "compactor": {"compaction": {"block_retention": f"{settings.telemetry.retention_days * 24}h"}},
        "storage": {"trace": {**_store_config(args), "wal": {"path": "/var/tempo/wal"}}},
        "overrides": {"per_tenant_override_config": "/conf/overrides.yaml"},
        "usage_report": {"reporting_enabled": False},
    }


def _store_config(args: TempoArgs) -> Mapping[str, Any]:
    """The store of traces, which pods authenticate to with their own identity."""
    traces = args.foundation.telemetry_stores.traces
    if isinstance(traces, S3Bucket):
        return {
            "backend": "s3",
            "s3": {"bucket": traces.name, "endpoint": traces.endpoint, "region": traces.region},
        }
    blob = {
        "container_name": traces.name,
        "storage_account_name": traces.account,
        "endpoint_suffix": traces.endpoint_suffix,
        "use_federated_token": True,
    }
    return {"backend": "azure", "azure": blob}
