"""Keeps objects in the cluster as they should be, and recognizes its own again after a restart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rehearsal.kubernetes.client import ApiClient, ApiError, Object

FIELD_MANAGER: Final = "groundwork-simulated-cloud"
# On everything that the simulated cloud puts into the cluster.
SIMULATED_LABEL: Final = "groundwork.rehearsal/simulated"
SIMULATED_LABELS: Final = {SIMULATED_LABEL: "true"}
SIMULATED_SELECTOR: Final = f"{SIMULATED_LABEL}=true"

# What is kept this way, in the order of creation.
_KINDS = (
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

_INVALID = 422  # HTTP's status for what the API server finds invalid

_Key = tuple[str, str, str, str]


class Reconciler:
    """Applies what is new or changed and deletes what is no longer wanted; what is kept already costs nothing."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._kept: dict[_Key, Object] | None = None  # None until it is known what an earlier run has left

    def reconcile(self, manifests: Iterable[Object]) -> bool:
        """Make these, and no others, be there. Gives whether there was anything to do."""
        wanted = {_key(manifest): _labelled(manifest) for manifest in sorted(manifests, key=_order)}
        kept = self._found() if self._kept is None else self._kept
        self._kept = dict(kept)
        changed = [key for key, manifest in wanted.items() if kept.get(key) != manifest]
        gone = [key for key in kept if key not in wanted]
        for key in changed:
            self._apply(key, wanted[key])
            self._kept[key] = wanted[key]
        for key in reversed(gone):
            self._delete(key)
            del self._kept[key]
        return bool(changed or gone)

    def _apply(self, key: _Key, manifest: Object) -> None:
        try:
            self._api.apply(manifest, FIELD_MANAGER, force=True)
        except ApiError as error:
            if error.status != _INVALID:
                raise
            self._delete(key)  # what may not be changed, as a storage class's parameters, is made anew
            self._api.apply(manifest, FIELD_MANAGER, force=True)

    def _delete(self, key: _Key) -> None:
        api_version, kind, namespace, name = key
        self._api.delete(api_version, kind, name, namespace, propagation_policy="Background")

    def _found(self) -> dict[_Key, Object]:
        objects = (
            one for version, kind in _KINDS for one in self._api.list(version, kind, label_selector=SIMULATED_SELECTOR)
        )
        # What holds pods and endpoints together may carry the labels of what it was made for.
        return {_key(one): {} for one in objects if not one["metadata"].get("ownerReferences")}


def _key(manifest: Object) -> _Key:
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _order(manifest: Object) -> int:
    return _KINDS.index((manifest["apiVersion"], manifest["kind"]))


def _labelled(manifest: Object) -> Mapping[str, Any]:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **SIMULATED_LABELS}}}
