"""Reconciles a set of objects in the cluster with their manifests; after a restart it recognizes its own objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from rehearsal.kubernetes.client import ApiClient, ApiError, Object

FIELD_MANAGER: Final = "groundwork-simulated-cloud"
# The label of every object that the simulated cloud creates in the cluster.
SIMULATED_LABEL: Final = "groundwork.rehearsal/simulated"
SIMULATED_LABELS: Final = {SIMULATED_LABEL: "true"}
SIMULATED_SELECTOR: Final = f"{SIMULATED_LABEL}=true"

# The kinds that are reconciled here, in the order of creation.
_KINDS = (
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("v1", "Namespace"),
    ("v1", "ServiceAccount"),
    ("v1", "Service"),
    ("storage.k8s.io/v1", "CSIDriver"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("apiregistration.k8s.io/v1", "APIService"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
)

_UNPROCESSABLE = 422  # HTTP status for an object that the API server finds invalid

_Key: TypeAlias = tuple[str, str, str, str]  # apiVersion, kind, namespace, name


class Reconciler:
    """Applies manifests that are new or changed, and deletes objects that no longer have a manifest.

    It compares with the manifests that it applied before, not with the cluster, so an unchanged set costs no request.
    """

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._applied: dict[_Key, Object] | None = None  # None until the objects of an earlier run have been listed

    def reconcile(self, manifests: Iterable[Object]) -> bool:
        """Reconcile the cluster with exactly these objects; returns whether anything changed."""
        desired = {_key(manifest): _with_label(manifest) for manifest in sorted(manifests, key=_creation_order)}
        applied = self._list_existing() if self._applied is None else self._applied
        self._applied = dict(applied)
        changed = [key for key, manifest in desired.items() if applied.get(key) != manifest]
        obsolete = [key for key in applied if key not in desired]
        for key in changed:
            self._apply(key, desired[key])
            self._applied[key] = desired[key]
        for key in reversed(obsolete):
            self._delete(key)
            del self._applied[key]
        return bool(changed or obsolete)

    def _apply(self, key: _Key, manifest: Object) -> None:
        try:
            self._api.apply(manifest, FIELD_MANAGER, force=True)
        except ApiError as error:
            if error.status != _UNPROCESSABLE:
                raise
            self._delete(key)  # to change immutable fields, such as a StorageClass's parameters
            self._api.apply(manifest, FIELD_MANAGER, force=True)

    def _delete(self, key: _Key) -> None:
        api_version, kind, namespace, name = key
        self._api.delete(api_version, kind, name, namespace, propagation_policy="Background")

    def _list_existing(self) -> dict[_Key, Object]:
        """The objects of an earlier run, with empty manifests so that all are applied again."""
        objects = (
            found
            for api_version, kind in _KINDS
            for found in self._api.list(api_version, kind, label_selector=SIMULATED_SELECTOR)
        )
        # Controllers copy labels to the objects that they create.
        return {_key(found): {} for found in objects if not found["metadata"].get("ownerReferences")}


def _key(manifest: Object) -> _Key:
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _creation_order(manifest: Object) -> int:
    return _KINDS.index((manifest["apiVersion"], manifest["kind"]))


def _with_label(manifest: Object) -> Mapping[str, Any]:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **SIMULATED_LABELS}}}
