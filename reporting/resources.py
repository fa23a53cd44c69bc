"""Reads the resources of a stack from a preview's event log, in the form of the engine's state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_GONE = frozenset({"delete", "delete-replaced", "discard", "discard-replaced"})


def list_declared(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The resources that the program declares, with `urn`, `type`, `custom`, `parent`, `inputs` and `outputs`."""
    found: dict[str, Mapping[str, Any]] = {}
    for event in events:
        metadata = event.get("resourcePreEvent", {}).get("metadata", {})
        state = metadata.get("new")
        if state and metadata["op"] not in _GONE:
            found[metadata["urn"]] = {**state, "urn": metadata["urn"], "type": metadata["type"]}
    return list(found.values())


def find_layer(resource: Mapping[str, Any], by_urn: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The outermost component that a resource belongs to, as its package's part and its name: `azure`, `network`."""
    layer = ("stack", "stack")
    above = by_urn.get(resource.get("parent", ""))
    while above is not None:
        if not above.get("custom") and not above["type"].startswith("pulumi:"):
            layer = (above["type"].split(":")[1], above["urn"].rsplit("::", 1)[-1])
        above = by_urn.get(above.get("parent", ""))
    return layer


def list_custom(resources: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The resources in the clouds and the cluster, without components, providers and the stack."""
    return [each for each in resources if each.get("custom") and not str(each["type"]).startswith("pulumi:")]


def group_by_layer(resources: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Numbers of resources, keyed by layer and component: `{"azure": {"network": 21}}`."""
    by_urn = {str(each["urn"]): each for each in resources}
    layers: dict[str, dict[str, int]] = {}
    for resource in list_custom(resources):
        layer, component = find_layer(resource, by_urn)
        components = layers.setdefault(layer, {})
        components[component] = components.get(component, 0) + 1
    return layers
