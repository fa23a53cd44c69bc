"""Finds what the API server would reject in a release, by creating each object that does not exist yet as a dry run.

A dry run goes through validation, defaulting and admission, and persists nothing. Existing objects are left to the
upgrade, since only Helm knows what it would change in them. The largest chart, with 113 objects, takes less than a
second on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rehearsal.helm import rendering
from rehearsal.helm.rendering import Release
from rehearsal.kubernetes.client import ApiClient, ApiError, NoKindMatchError, Object

_DRY_RUN = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "helm"}
_PARALLEL_REQUESTS = 8  # the API server is on the same machine

# Admission requires that a bare pod's service account exists, which may be another object of the same release.
_DEPENDENT_KINDS = frozenset({"Pod"})

# The API server's answer when a webhook that applies has side effects and so cannot take part in a dry run.
_DRY_RUN_UNSUPPORTED = "does not support dry run"


def find_rejections(api: ApiClient, release: Release, objects: Sequence[Object]) -> list[str]:
    """The API server's rejections of objects in a release, each with the object's label.

    Objects whose kind or namespace does not exist yet are skipped. Raises ApiUnreachableError.
    """
    namespaces = {item["metadata"]["name"] for item in api.list("v1", "Namespace")}

    def find_rejection(manifest: Object) -> str:
        placed = _with_namespace(api, manifest, release.namespace)
        namespace = placed["metadata"].get("namespace") if placed else None
        if placed is None or (namespace and namespace not in namespaces):
            return ""
        error = _create_dry_run(api, placed)
        return f"{rendering.object_label(release.chart, manifest)}: {error}" if error else ""

    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        return [rejection for rejection in pool.map(find_rejection, objects) if rejection]


def _with_namespace(api: ApiClient, manifest: Object, namespace: str) -> Object | None:
    """The object in the namespace that Helm would create it in; None if a dry run would prove nothing."""
    if manifest["kind"] in _DEPENDENT_KINDS:
        return None
    try:
        kind = api.discover(manifest["apiVersion"], manifest["kind"])
    except NoKindMatchError:
        return None
    metadata = manifest.get("metadata") or {}
    return {**manifest, "metadata": {"namespace": namespace, **metadata} if kind.namespaced else metadata}


def _create_dry_run(api: ApiClient, manifest: Object) -> str:
    api_version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    name, namespace = metadata.get("name"), metadata.get("namespace", "")
    try:
        if not name or api.get(api_version, kind, name, namespace) is None:
            api.request("POST", api.discover(api_version, kind).collection_path(namespace), _DRY_RUN, manifest)
    except ApiError as error:
        return "" if _DRY_RUN_UNSUPPORTED in str(error) else str(error)
    return ""
