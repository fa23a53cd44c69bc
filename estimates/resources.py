"""The resources of a deployment, as estimates see them: from the engine's state, or from a preview before they exist.

Sources of the formats: sdk/go/common/apitype/{core,events,plan}.go in https://github.com/pulumi/pulumi/tree/v3.255.0
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The engine's placeholder in a preview for a value that only the deployment will know.
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_STACK = "pulumi:pulumi:Stack"
_DELETIONS = frozenset({"delete", "delete-replaced", "discard", "discard-replaced"})


@dataclass(frozen=True)
class Resource:
    """One resource that a deployment has or will have.

    inputs        as the program set them, including the provider's defaults if it has been called
    parent        URN of the component or resource that it belongs to; empty for none
    dependencies  URNs of what has to exist before it, including its parent and its provider
    """

    urn: str
    type: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    dependencies: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def is_component(self) -> bool:
        """Whether it only groups others. This project's component types have no provider."""
        return self.type == _STACK or (self.type.count(":") == 2 and "/" not in self.type and self._is_local)

    @property
    def _is_local(self) -> bool:
        return self.type.partition(":")[0] not in {"aws", "azure-native", "kubernetes", "pulumi", "random", "time"}

    def get(self, path: str, default: Any = None) -> Any:
        """An input such as `sku.name`; the default if it is not set, null, or not known yet."""
        value: Any = self.inputs
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return default if value is None or value == _UNKNOWN else value


def read_state(resources: Sequence[Mapping[str, Any]]) -> list[Resource]:
    """The resources in the engine's state: `deployment.resources` of what `pulumi stack export` prints."""
    return [_read(item, item.get("dependencies") or ()) for item in resources if not item.get("delete")]


def read_preview(events: Iterable[Mapping[str, Any]], plan: Mapping[str, Any] | None = None) -> list[Resource]:
    """The resources that would exist after a preview.

    events  the engine's log of the preview, which has everything but the dependencies
    plan    the plan that the same preview wrote with `--save-plan`, for the dependencies; without it the only
            dependencies are parents and providers
    """
    goals = {urn: step.get("goal") or {} for urn, step in ((plan or {}).get("resourcePlans") or {}).items()}
    found: dict[str, Resource] = {}
    for event in events:
        metadata = (event.get("resourcePreEvent") or event.get("resOutputsEvent") or {}).get("metadata")
        if not metadata or metadata["op"] in _DELETIONS:
            continue
        item = metadata.get("new") or metadata.get("old")
        if item:
            found[item["urn"]] = _read(item, goals.get(item["urn"], {}).get("dependencies") or ())
    return list(found.values())


def _read(item: Mapping[str, Any], dependencies: Iterable[str]) -> Resource:
    parent, provider = item.get("parent") or "", (item.get("provider") or "").rpartition("::")[0]
    needed = dict.fromkeys(urn for urn in (*dependencies, parent, provider) if urn)
    return Resource(item["urn"], item["type"], item.get("inputs") or {}, parent, tuple(needed))


def find_region(resources: Iterable[Resource]) -> str:
    """The region that the cloud's provider is configured with; empty if there is none."""
    for resource in resources:
        if resource.type in ("pulumi:providers:aws", "pulumi:providers:azure-native"):
            return str(resource.get("region") or resource.get("location") or "")
    return ""


def find_group(resource: Resource, by_urn: Mapping[str, Resource]) -> str:
    """The part of the stack that a resource belongs to: its outermost component, `network` or `monitoring`."""
    group, current = "other", by_urn.get(resource.parent)
    while current is not None and current.type != _STACK:
        if current.is_component:
            group = current.name
        current = by_urn.get(current.parent)
    return group
