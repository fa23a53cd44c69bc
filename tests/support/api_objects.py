"""Kubernetes objects for the tests of the provider, as a program declares them and as the API server returns them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.simulator.core.values import Values


def config_map(namespace: str, name: str = "settings", **data: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def values(manifest: Mapping[str, Any]) -> Values:
    return Values({key: value for key, value in manifest.items() if value is not None})


def data_of(plane: ControlPlane, namespace: str, kind: str = "ConfigMap", name: str = "settings") -> Any:
    live = plane.api.get("v1", kind, name, namespace)
    return live and live.get("data")
