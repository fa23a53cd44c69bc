"""Logs: Loki, as one process per replica, with the foundation's object store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.access import get_workload
from infra.cluster.data_source import create_data_source
from infra.cluster.flows import Flow, Pods
from infra.cluster.monitoring import GRAFANA
from infra.cluster.pod_values import budget, resources, zone_spread
from infra.cluster.release import create_release
from infra.cluster.versions import LOKI
from infra.contract import Foundation, S3Bucket
from infra.core.component import Component, StackContext

_WORKLOAD = get_workload("loki")
PORT = 3100
URL = f"http://loki.{_WORKLOAD.namespace}.svc:{PORT}"
LOKI_PODS = Pods(_WORKLOAD.namespace, "loki", _WORKLOAD.pod_labels)

# A write needs more than half of the replicas that it goes to, so two would tolerate no more failures than one.
# Source: https://grafana.com/docs/loki/latest/get-started/components/#replication-factor
_QUORUM_REPLICAS = 3
_FLUSH_SECONDS = 300  # to write the content of the memory to the object store; pods have 30 by default


@dataclass(frozen=True)
class LokiArgs:
    context: StackContext
    foundation: Foundation


class Loki(Component):
    """The server, which is sufficient for up to 20 GB of logs a day, and Grafana's data source.

    Source: https://grafana.com/docs/loki/latest/get-started/deployment-modes/#monolithic-mode
    """

    layer = "cluster"
    flows = (
        Flow(GRAFANA, LOKI_PODS, PORT, "queries logs"),
        Flow(LOKI_PODS, LOKI_PODS, reason="gossips with the other replicas, and writes and reads through them"),
    )

    def __init__(self, name: str, args: LokiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        create_release(name, LOKI, _WORKLOAD.namespace, _values(args), self.child_options())
        create_data_source(f"{name}-data-source", _DATA_SOURCE, self.child_options())
        self.register_outputs({"url": URL})


_DATA_SOURCE: Mapping[str, Any] = {
    "name": "Loki",
    "uid": "loki",
    "type": "loki",
    "url": URL,
    "jsonData": {
        # A link to the trace, in lines that contain its ID.
        "derivedFields": [
            {
                "name": "trace",
                "matcherRegex": r'"?trace_?[iI][dD]"?[=:]\s*"?(\w+)',
                "datasourceUid": "tempo",
                "url": "${__value.raw}",
            }
        ]
    },
}


def _values(args: LokiArgs) -> Mapping[str, Any]:
    settings = args.context.settings
    replicas = 1 if settings.resilience.replicas == 1 else max(_QUORUM_REPLICAS, settings.resilience.replicas)
    return {
        "deploymentMode": "Monolithic",
        "loki": _loki_values(args, replicas),
        "singleBinary": {
            "replicas": replicas,
            "sidecar": False,
            # Chunks are in the object store, and newer logs are in the memory of two other replicas: without a volume,
            # no pod is bound to a zone.
            "persistence": {"enabled": False},
            "terminationGracePeriodSeconds": _FLUSH_SECONDS,
            "podDisruptionBudget": budget(replicas),
            "topologySpreadConstraints": list(zone_spread(replicas, _WORKLOAD.pod_labels)),
            # The chart requires a separate node for each replica, so one could not move from a node that is drained.
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
            "resources": resources("100m", "256Mi", "1Gi"),
        },
        **{component: {"replicas": 0} for component in ("read", "write", "backend")},
        # Caches are for more logs than one process can handle; the gateway and the canary are for several tenants and
        # for distributed processes; Prometheus evaluates alerts.
        **{component: {"enabled": False} for component in _UNUSED},
        "sidecar": {"rules": {"enabled": False}},
        "serviceAccount": {"create": False, "name": _WORKLOAD.service_account},
        # Roles in the cluster are for the sidecar.
        "rbac": {"namespaced": True},
        "defaults": {"automountServiceAccountToken": False},
        # Replicas have to find each other before they are ready.
        "memberlist": {"service": {"publishNotReadyAddresses": True}},
        "monitoring": {"serviceMonitor": {"enabled": True}},
    }


_UNUSED = ("gateway", "lokiCanary", "test", "chunksCache", "resultsCache", "ruler")


def _loki_values(args: LokiArgs, replicas: int) -> Mapping[str, Any]:
    store = _store_values(args)
    index = {"prefix": "index_", "period": "24h"}
    schema = {"from": "2024-04-01", "store": "tsdb", "object_store": store["type"], "schema": "v13", "index": index}
    return {
        # One tenant: its clients are the pods that network policies admit.
        "auth_enabled": False,
        "commonConfig": {"replication_factor": min(replicas, _QUORUM_REPLICAS)},
        "schemaConfig": {"configs": [schema]},
        "storage": store,
        "limits_config": {"retention_period": f"{args.context.settings.telemetry.retention_days * 24}h"},
        "compactor": {"retention_enabled": True, "delete_request_store": store["type"]},
        "analytics": {"reporting_enabled": False},
        "podLabels": dict(args.foundation.identities[_WORKLOAD.name].pod_labels),
    }


def _store_values(args: LokiArgs) -> Mapping[str, Any]:
    """The store of logs, which pods authenticate to with their own identity."""
    logs = args.foundation.telemetry_stores.logs
    buckets = {"chunks": logs.name}
    if isinstance(logs, S3Bucket):
        return {"type": "s3", "bucketNames": buckets, "s3": {"region": logs.region, "endpoint": logs.endpoint}}
    blob = {"accountName": logs.account, "useFederatedToken": True, "endpointSuffix": logs.endpoint_suffix}
    return {"type": "azure", "bucketNames": buckets, "azure": blob}
