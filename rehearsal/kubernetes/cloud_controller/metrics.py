"""The metrics API, where the stack has a metrics server: every pod uses half of what it asks for, for ever.

Source: https://github.com/kubernetes/metrics/blob/master/pkg/apis/metrics/v1beta1/types.go
"""

from __future__ import annotations

import datetime
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster
from rehearsal.kubernetes.cloud_controller.system_workloads import METRICS_SERVER, NAMESPACE
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.readiness.capacity import parse_quantity, requests

_GROUP = "metrics.k8s.io/v1beta1"
_NAME = "v1beta1.metrics.k8s.io"
_RESOURCES = ("cpu", "memory")


def build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """The API's registration: AKS has it always, EKS with its add-on."""
    if cluster.cloud == "azure" or METRICS_SERVER in cluster.addons:
        group, _, version = _GROUP.partition("/")
        service = {"name": METRICS_SERVER, "namespace": NAMESPACE, "port": 443}
        priorities = {"groupPriorityMinimum": 100, "versionPriority": 100}
        yield {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": _NAME},
            "spec": {"group": group, "version": version, "service": service, **priorities},
        }


class MetricsApi:
    """Answers for the service that the API is registered with, whoever has registered it."""

    def __init__(self, api: ApiClient, egress: EgressProxy) -> None:
        self._api = api
        self._egress = egress

    def serve(self) -> None:
        """Stand behind the registered service, if there is one."""
        found = self._api.get("apiregistration.k8s.io/v1", "APIService", _NAME)
        if found and found["spec"].get("service"):
            service = found["spec"]["service"]
            self._egress.register(service["namespace"], service["name"], self._answer)

    def _answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: ARG002 a handler's signature
        """GET /apis/metrics.k8s.io/v1beta1[/namespaces/N]/(nodes|pods)[/NAME]"""
        where, _, query = path.partition("?")
        labels = urllib.parse.parse_qs(query).get("labelSelector", [""])[0]
        steps = where.strip("/").split("/")[3:]
        if not steps:
            return 200, _DISCOVERY
        namespace = ""
        if steps[0] == "namespaces":
            namespace, steps = steps[1], steps[2:]
        kind, name = steps[0], steps[1] if len(steps) > 1 else ""
        items = list(self._nodes(labels) if kind == "nodes" else self._pods(namespace, labels))
        if not name:
            kind = "NodeMetricsList" if kind == "nodes" else "PodMetricsList"
            return 200, {"kind": kind, "apiVersion": _GROUP, "metadata": {}, "items": items}
        named = [item for item in items if item["metadata"]["name"] == name]
        return (200, named[0]) if named else (404, _missing(kind, name))

    def _nodes(self, labels: str) -> Iterator[Object]:
        pods = self._api.list("v1", "Pod", field_selector="status.phase=Running")
        for node in self._api.list("v1", "Node", label_selector=labels):
            name = node["metadata"]["name"]
            here = [pod for pod in pods if pod["spec"].get("nodeName") == name]
            yield {**_metrics("NodeMetrics", node), "usage": _usage(map(requests, here))}

    def _pods(self, namespace: str, labels: str) -> Iterator[Object]:
        for pod in self._api.list("v1", "Pod", namespace, label_selector=labels, field_selector="status.phase=Running"):
            containers = [{"name": one["name"], "usage": _usage([_asked(one)])} for one in pod["spec"]["containers"]]
            yield {**_metrics("PodMetrics", pod), "containers": containers}


def _asked(container: Object) -> Mapping[str, Fraction]:
    asked = container.get("resources", {}).get("requests", {})
    return {resource: parse_quantity(asked[resource]) for resource in _RESOURCES if resource in asked}


def _usage(asked: Iterable[Mapping[str, Fraction]]) -> Mapping[str, str]:
    total = dict.fromkeys(_RESOURCES, Fraction(0))
    for one in asked:
        for resource in _RESOURCES:
            total[resource] += one.get(resource, Fraction(0)) / 2
    return {"cpu": f"{int(total['cpu'] * 1000)}m", "memory": f"{int(total['memory'] / 1024)}Ki"}


def _metrics(kind: str, of: Object) -> Mapping[str, Any]:
    metadata = {key: of["metadata"][key] for key in ("name", "namespace", "labels") if key in of["metadata"]}
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"kind": kind, "apiVersion": _GROUP, "metadata": metadata, "timestamp": now, "window": "15s"}


def _missing(kind: str, name: str) -> Mapping[str, Any]:
    message = f'{kind}.metrics.k8s.io "{name}" not found'
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
    return {**status, "message": message}


_VERBS = ["get", "list"]
_DISCOVERY = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": _GROUP,
    "resources": [
        {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": _VERBS},
        {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": _VERBS},
    ],
}
