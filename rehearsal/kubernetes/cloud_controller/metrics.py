"""The metrics API of a stack with a metrics server: every running pod always uses half of its requests.

Source: https://github.com/kubernetes/metrics/blob/master/pkg/apis/metrics/v1beta1/types.go
"""

from __future__ import annotations

import datetime
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from kernel.pod_resources import ResourceAmounts, container_requests, pod_requests
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster
from rehearsal.kubernetes.cloud_controller.system_workloads import METRICS_SERVER, NAMESPACE
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy

_GROUP_VERSION = "metrics.k8s.io/v1beta1"
_API_SERVICE = "v1beta1.metrics.k8s.io"
_RESOURCES = ("cpu", "memory")


def build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """The registration of the API: AKS always has it, EKS with its add-on."""
    if cluster.cloud == "azure" or METRICS_SERVER in cluster.addons:
        group, _, version = _GROUP_VERSION.partition("/")
        service = {"name": METRICS_SERVER, "namespace": NAMESPACE, "port": 443}
        priorities = {"groupPriorityMinimum": 100, "versionPriority": 100}
        yield {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": _API_SERVICE},
            "spec": {"group": group, "version": version, "service": service, **priorities},
        }


class MetricsApi:
    """Serves the API in place of the Service that it is registered with, independent of who registered it."""

    def __init__(self, api: ApiClient, egress: EgressProxy) -> None:
        self._api = api
        self._egress = egress

    def register(self) -> None:
        """Handle the requests to the registered Service, if there is one."""
        found = self._api.get("apiregistration.k8s.io/v1", "APIService", _API_SERVICE)
        if found and found["spec"].get("service"):
            service = found["spec"]["service"]
            self._egress.register(service["namespace"], service["name"], self._handle)

    def _handle(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: ARG002 a handler's signature
        """GET /apis/metrics.k8s.io/v1beta1[/namespaces/N]/(nodes|pods)[/NAME]"""
        resource_path, _, query = path.partition("?")
        label_selector = urllib.parse.parse_qs(query).get("labelSelector", [""])[0]
        steps = resource_path.strip("/").split("/")[3:]
        if not steps:
            return 200, _DISCOVERY
        namespace = ""
        if steps[0] == "namespaces":
            namespace, steps = steps[1], steps[2:]
        resource, name = steps[0], steps[1] if len(steps) > 1 else ""
        items = list(
            self._measure_nodes(label_selector)
            if resource == "nodes"
            else self._measure_pods(namespace, label_selector)
        )
        if not name:
            kind = "NodeMetricsList" if resource == "nodes" else "PodMetricsList"
            return 200, {"kind": kind, "apiVersion": _GROUP_VERSION, "metadata": {}, "items": items}
        matching = [item for item in items if item["metadata"]["name"] == name]
        return (200, matching[0]) if matching else (404, _not_found(resource, name))

    def _measure_nodes(self, label_selector: str) -> Iterator[Object]:
        pods = self._api.list("v1", "Pod", field_selector="status.phase=Running")
        for node in self._api.list("v1", "Node", label_selector=label_selector):
            name = node["metadata"]["name"]
            on_node = [pod for pod in pods if pod["spec"].get("nodeName") == name]
            yield {**_metrics_of("NodeMetrics", node), "usage": _estimate_usage(map(pod_requests, on_node))}

    def _measure_pods(self, namespace: str, label_selector: str) -> Iterator[Object]:
        running = "status.phase=Running"
        for pod in self._api.list("v1", "Pod", namespace, label_selector=label_selector, field_selector=running):
            containers = [
                {"name": container["name"], "usage": _estimate_usage([container_requests(container)])}
                for container in pod["spec"]["containers"]
            ]
            yield {**_metrics_of("PodMetrics", pod), "containers": containers}


def _estimate_usage(requests: Iterable[ResourceAmounts]) -> Mapping[str, str]:
    """Half of the sum of the requests."""
    total = dict.fromkeys(_RESOURCES, Fraction(0))
    for amounts in requests:
        for resource in _RESOURCES:
            total[resource] += amounts.get(resource, Fraction(0)) / 2
    return {"cpu": f"{int(total['cpu'] * 1000)}m", "memory": f"{int(total['memory'] / 1024)}Ki"}


def _metrics_of(kind: str, measured: Object) -> Mapping[str, Any]:
    metadata = {
        key: measured["metadata"][key] for key in ("name", "namespace", "labels") if key in measured["metadata"]
    }
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"kind": kind, "apiVersion": _GROUP_VERSION, "metadata": metadata, "timestamp": now, "window": "15s"}


def _not_found(resource: str, name: str) -> Mapping[str, Any]:
    message = f'{resource}.metrics.k8s.io "{name}" not found'
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
    return {**status, "message": message}


_VERBS = ["get", "list"]
_DISCOVERY = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": _GROUP_VERSION,
    "resources": [
        {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": _VERBS},
        {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": _VERBS},
    ],
}
