"""Objects that tests of the cloud controller create and read. Proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object

SIMULATED_SELECTOR = "groundwork.rehearsal/simulated=true"


def nodes_by_name(api: ApiClient) -> Mapping[str, Object]:
    return {node["metadata"]["name"]: node for node in api.list("v1", "Node", label_selector=SIMULATED_SELECTOR)}


def ready_condition(node: Object) -> Mapping[str, Any]:
    return next((found for found in node["status"].get("conditions", ()) if found["type"] == "Ready"), {"status": ""})


def all_nodes_ready(api: ApiClient) -> bool:
    return all(ready_condition(node)["status"] == "True" for node in nodes_by_name(api).values())


def pod_manifest(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "example.com/main:1", "resources": {"requests": spec.pop("requests", {})}}
    container |= spec.pop("container", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container], **spec},
    }


def claim_manifest(namespace: str, name: str, storage_class: str | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def mount_claim(claim_name: str) -> Mapping[str, Any]:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}
    return {"volumes": [volume], "container": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}}


def list_running_pods(api: ApiClient, labels: str) -> list[Object]:
    pods = api.list("v1", "Pod", "kube-system", label_selector=labels)
    return [found for found in pods if found["status"].get("phase") == "Running"]


def load_balancer_manifest(namespace: str, name: str, **annotations: str) -> dict[str, Any]:
    """A service of type LoadBalancer."""
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def get_ingress(api: ApiClient, namespace: str, name: str) -> Any:
    found = api.get("v1", "Service", name, namespace)
    return (found or {"status": {}})["status"].get("loadBalancer", {}).get("ingress")


def get_phase(api: ApiClient, kind: str, namespace: str, name: str) -> str:
    found = api.get("v1", kind, name, namespace)
    return str(found["status"].get("phase")) if found else "gone"
