"""What the API server would say of a release's objects: each that is not there yet is created for a try.

A try (`dryRun`) passes validation, defaulting and admission, and keeps nothing. Objects that are there already are left
to the upgrade: what Helm would change in them, only Helm knows. The largest chart, of 113 objects, takes less than a
second on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rehearsal.helm import rendering
from rehearsal.helm.rendering import Release
from rehearsal.kubernetes.client import ApiClient, ApiError, NoKindMatchError, Object

_TRY = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "helm"}
_AT_ONCE = 8  # requests: the API server is on the same machine

# Admission asks of a bare pod that its service account is there, which may be another object of the same release.
_NEEDS_OTHERS = frozenset({"Pod"})

# How the API server answers when a webhook that would have to be asked must not be asked for a try.
_NO_TRY = "does not support dry run"


def refusals(api: ApiClient, release: Release, objects: Sequence[Object]) -> list[str]:
    """What the API server refuses of a release's objects, each with the object's name.

    Objects of a kind or in a namespace that is not there yet are passed over. Raises ApiUnreachableError.
    """
    namespaces = {item["metadata"]["name"] for item in api.list("v1", "Namespace")}

    def refusal(manifest: Object) -> str:
        placed = _placed(api, manifest, release.namespace)
        namespace = placed["metadata"].get("namespace") if placed else None
        if placed is None or (namespace and namespace not in namespaces):
            return ""
        said = _tried(api, placed)
        return f"{rendering.label(release.chart, manifest)}: {said}" if said else ""

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [said for said in pool.map(refusal, objects) if said]


def _placed(api: ApiClient, manifest: Object, namespace: str) -> Object | None:
    """The object as Helm would put it into the release's namespace, None where it cannot be tried."""
    if manifest["kind"] in _NEEDS_OTHERS:
        return None
    try:
        kind = api.discover(manifest["apiVersion"], manifest["kind"])
    except NoKindMatchError:
        return None
    metadata = manifest.get("metadata") or {}
    return {**manifest, "metadata": {"namespace": namespace, **metadata} if kind.namespaced else metadata}


def _tried(api: ApiClient, manifest: Object) -> str:
    api_version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    name, namespace = metadata.get("name"), metadata.get("namespace", "")
    try:
        if not name or api.get(api_version, kind, name, namespace) is None:
            api.request("POST", api.discover(api_version, kind).collection_path(namespace), _TRY, manifest)
    except ApiError as error:
        return "" if _NO_TRY in str(error) else str(error)
    return ""
