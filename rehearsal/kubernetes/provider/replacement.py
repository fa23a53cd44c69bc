"""What changes between two versions of an object, which changes replace it, and which fields ignoreChanges keeps.

Everything here is pure; nothing calls the API server.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel.paths import Path, look_up, overlaps, parse_path
from rehearsal.kubernetes.client import ApiError, Object

# The fields whose change replaces an object, by API group and kind.
# Source: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/diff.go (forceNew)
_FORCE_NEW: Mapping[tuple[str, str], str] = {
    ("apps", "DaemonSet"): "spec.selector",
    ("apps", "Deployment"): "spec.selector",
    ("apps", "StatefulSet"): """spec.podManagementPolicy spec.revisionHistoryLimit spec.selector spec.serviceName
        spec.volumeClaimTemplates""",
    ("batch", "Job"): "spec.completions spec.parallelism spec.selector spec.template",
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): "roleRef",
    ("rbac.authorization.k8s.io", "RoleBinding"): "roleRef",
    ("storage.k8s.io", "StorageClass"): "parameters provisioner",
    ("", "PersistentVolume"): """spec.awsElasticBlockStore spec.azureDisk spec.azureFile spec.cephfs spec.cinder
        spec.csi spec.fc spec.flexVolume spec.flocker spec.gcePersistentDisk spec.glusterfs spec.hostPath spec.iscsi
        spec.local spec.nfs spec.photonPersistentDisk spec.portworxVolume spec.quobyte spec.rbd spec.scaleIO
        spec.storageos spec.vsphereVolume""",
    ("", "PersistentVolumeClaim"): "spec.accessModes spec.selector spec.storageClassName spec.volumeName",
    ("", "Pod"): """spec.affinity spec.automountServiceAccountToken spec.containers spec.dnsConfig spec.dnsPolicy
        spec.enableServiceLinks spec.hostAliases spec.hostIPC spec.hostNetwork spec.hostPID spec.hostname
        spec.imagePullSecrets spec.initContainers spec.nodeName spec.nodeSelector spec.overhead spec.preemptionPolicy
        spec.priority spec.priorityClassName spec.readinessGates spec.restartPolicy spec.runtimeClassName
        spec.schedulerName spec.securityContext spec.serviceAccount spec.serviceAccountName
        spec.shareProcessNamespace spec.subdomain spec.terminationGracePeriodSeconds spec.volumes""",
    ("", "ResourceQuota"): "spec.scopes",
    ("", "Secret"): "type",
    ("", "Service"): "spec.clusterIP",
}

_IDENTITY: Sequence[Path] = (("kind",), ("metadata", "name"), ("metadata", "namespace"))


@dataclass(frozen=True)
class Mutability:
    """Whether the data of ConfigMaps and Secrets changes in place: the provider's enableConfigMapMutable and so on."""

    config_maps: bool = False
    secrets: bool = False


def find_changes(old: Any, new: Any, path: Path = ()) -> Iterator[Path]:
    """The paths at which two property trees differ; a list counts as one value."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from find_changes(old.get(key), new.get(key), (*path, key))
    elif old != new:
        yield path


def select_replacing(changes: Iterable[Path], old: Object, new: Object, mutability: Mutability) -> list[Path]:
    """Select the changes that replace the object."""
    force_new = [*_IDENTITY, *_find_force_new(new, mutability)]
    if api_group(old) != api_group(new):
        force_new.append(("apiVersion",))
    return [path for path in changes if any(overlaps(path, each) for each in force_new)]


def find_immutable_fields(error: ApiError) -> list[Path]:
    """The fields that the API server refuses to change in place."""
    if error.status != 422:
        return []
    causes = error.details.get("causes") or []
    return [parse_path(cause["field"]) for cause in causes if "field is immutable" in cause.get("message", "")]


def apply_ignore_changes(manifest: Object, live: Object, ignored: Sequence[str], field_manager: str) -> Object:
    """The manifest with the live values at the ignored paths.

    Fields that only other managers own are left out, so that applying the manifest does not claim their ownership.
    """
    merged = copy.deepcopy(dict(manifest))
    for path in map(parse_path, ignored):
        value = look_up(live, path, None)
        managers = _find_managers(live, path)
        if managers and field_manager not in managers:
            _set_value(merged, path, None)
        elif value is not None:
            _set_value(merged, path, value)
    return merged


def api_group(manifest: Object) -> str:
    """The API group of an object; empty for the core group."""
    group, slash, _ = str(manifest.get("apiVersion", "")).rpartition("/")
    return group if slash else ""


def _find_force_new(new: Object, mutability: Mutability) -> list[Path]:
    kind = (api_group(new), new.get("kind", ""))
    paths = _FORCE_NEW.get(kind, "").split()
    is_immutable = new.get("immutable") is True
    if kind == ("", "Secret") and (is_immutable or not mutability.secrets):
        paths += ["data", "stringData"]
    if kind == ("", "ConfigMap") and (is_immutable or not mutability.config_maps):
        paths += ["data", "binaryData"]
    return [parse_path(path) for path in paths]


def _find_managers(live: Object, path: Path) -> set[str]:
    """The field managers that own the field at a path.

    Format: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managing-fields
    """
    steps = tuple(f"f:{step}" for step in path)
    return {
        str(entry.get("manager"))
        for entry in live["metadata"].get("managedFields", [])
        if look_up(entry.get("fieldsV1", {}), steps, None) is not None
    }


def _set_value(values: dict[str, Any], path: Path, value: Any) -> None:
    """Set the value at a path of mappings, or remove it if it is None; a path through a list is ignored."""
    *parents, last = path
    for step in parents:
        inner = values.get(str(step))
        if inner is None and value is not None:
            inner = values[str(step)] = {}
        if not isinstance(inner, dict):
            return
        values = inner
    if value is None:
        values.pop(str(last), None)
    else:
        values[str(last)] = value
