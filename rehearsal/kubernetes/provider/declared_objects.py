"""The Kubernetes objects that the program declares, as the engine's state lists them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kernel.paths import look_up
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.presence import DeclaredObjects
from rehearsal.simulator.core.values import SIGNATURE
from rehearsal.simulator.offline_kubernetes import RELEASE


def list_declared(state: str) -> Iterator[DeclaredObjects]:
    """The objects in the engine's export, JSON; none for an empty text."""
    resources = json.loads(state)["deployment"].get("resources", []) if state else []
    objects = [manifest for resource in resources if (manifest := _read_manifest(resource))]
    yield DeclaredObjects(
        declarer="the program", remedy="Run `pulumi refresh`, then `pulumi up`, which create it again.", objects=objects
    )


def _read_manifest(resource: Mapping[str, Any]) -> Object | None:
    """The object behind a resource; None for a resource that is not an object, or is about to be deleted."""
    is_object = resource["type"].startswith("kubernetes:") and resource["type"] != RELEASE
    if not is_object or not resource.get("custom") or resource.get("delete"):
        return None
    outputs = resource.get("outputs", {})
    name = look_up(outputs, "metadata.name", None)
    if not isinstance(name, str) or not {"apiVersion", "kind"} <= outputs.keys():
        return None
    return {key: value for key, value in outputs.items() if key not in ("status", "data") and not _is_secret(value)}


def _is_secret(value: Any) -> bool:
    return isinstance(value, Mapping) and SIGNATURE in value
