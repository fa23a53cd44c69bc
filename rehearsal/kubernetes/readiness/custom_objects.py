"""Custom objects that no real controller reconciles, because the pods of their controller are simulated."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rehearsal.kubernetes.client import ApiClient, ApiError
from rehearsal.kubernetes.readiness.conditions import true_conditions


def count_unserved_objects(api: ApiClient, served_kinds: Collection[str] = ()) -> Mapping[str, int]:
    """The number of objects of each custom kind that is not in `served_kinds`, the kinds of real controllers.

    Kinds without objects are left out.
    """
    counts: dict[str, int] = {}
    for definition in api.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
        spec = definition["spec"]
        kind, version = spec["names"]["kind"], next(item["name"] for item in spec["versions"] if item["served"])
        path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        if kind not in served_kinds and "Established" in true_conditions(definition):
            counts[kind] = counts.get(kind, 0) + _count_objects(api, path)
    return {kind: count for kind, count in sorted(counts.items()) if count}


def _count_objects(api: ApiClient, path: str) -> int:
    try:
        page = api.request("GET", path, {"limit": "1"})
    except ApiError as error:
        if error.status != 404:  # not served yet, or no longer
            raise
        return 0
    return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))
