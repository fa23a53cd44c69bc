"""What of an object changes, what of that cannot change in place, and what the program asked to leave alone.

Everything here is pure; nothing asks the API server.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel.paths import Path
from rehearsal.kubernetes.client import ApiError, Object
from rehearsal.kubernetes.provider.projection import look_up_path

# Changes for which the provider replaces an object, by API group and kind.
# Source: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/diff.go (forceNew)
_FORCED: Mapping[tuple[str, str], str] = {
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

_IDENTITY = (("kind",), ("metadata", "name"), ("metadata", "namespace"))

# One step of a property path as Pulumi writes it: `name`, `[0]`, `["a.b/c"]`.
_STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[\]]+)')


@dataclass(frozen=True)
class Mutability:
    """Whether the data of ConfigMaps and Secrets change in place: the provider's settings of these names."""

    config_maps: bool = False
    secrets: bool = False


def changes(old: Any, new: Any, path: Path = ()) -> Iterator[Path]:
    """Paths at which two property trees differ; a list counts as one value."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from changes(old.get(key), new.get(key), (*path, key))
    elif old != new:
        yield path


def replacing(changed: Iterable[Path], old: Object, new: Object, mutability: Mutability) -> list[Path]:
    """Those of the changed paths for which the object is replaced."""
    wanted = [*_IDENTITY, *_forced(new, mutability)]
    if group(old) != group(new):
        wanted.append(("apiVersion",))
    return [path for path in changed if any(touch(path, each) for each in wanted)]


def immutable(error: ApiError) -> list[Path]:
    """The fields of which the API server says that they cannot be changed in place."""
    if error.status != 422:
        return []
    causes = error.details.get("causes") or []
    return [parsed(cause["field"]) for cause in causes if "field is immutable" in cause.get("message", "")]


def without_ignored(manifest: Object, live: Object, ignored: Sequence[str], manager: str) -> Object:
    """What to apply where the program ignores changes: there the live value stays.

    What only others manage is left out, so that it does not become ours.
    """
    changed = copy.deepcopy(dict(manifest))
    for path in map(parsed, ignored):
        value = look_up_path(live, path)
        if _owned(live, path, theirs=manager) and not _owned(live, path, ours=manager):
            _put(changed, path, None)
        elif value is not None:
            _put(changed, path, value)
    return changed


def touch(path: Path, other: Path) -> bool:
    """Whether one of the paths lies within the other."""
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def parsed(text: str) -> Path:
    """A path as Pulumi or the API server write it: `spec.containers[0].image`, `metadata.labels["a.b/c"]`."""
    return tuple(
        int(index) if index else quoted.replace('\\"', '"') or name for quoted, index, name in _STEP.findall(text)
    )


def written(path: Path) -> str:
    """A path as Pulumi writes it."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.search(r'[."\[\]]', step):
            text += '["{}"]'.format(step.replace('"', '\\"'))
        else:
            text += f".{step}" if text else step
    return text


def _forced(new: Object, mutability: Mutability) -> list[Path]:
    kind = (group(new), new.get("kind", ""))
    listed = _FORCED.get(kind, "").split()
    frozen = new.get("immutable") is True
    if kind == ("", "Secret") and (frozen or not mutability.secrets):
        listed += ["data", "stringData"]
    if kind == ("", "ConfigMap") and (frozen or not mutability.config_maps):
        listed += ["data", "binaryData"]
    return [parsed(path) for path in listed]


def group(thing: Object) -> str:
    group, slash, _ = str(thing.get("apiVersion", "")).rpartition("/")
    return group if slash else ""


def _owned(live: Object, path: Path, *, ours: str = "", theirs: str = "") -> bool:
    """Whether a field is managed by `ours`, or by any other than `theirs`."""
    steps = tuple(f"f:{step}" for step in path)
    return any(
        look_up_path(entry.get("fieldsV1", {}), steps) is not None
        for entry in live["metadata"].get("managedFields", [])
        if (entry.get("manager") == ours if ours else entry.get("manager") != theirs)
    )


def _put(values: dict[str, Any], path: Path, value: Any) -> None:
    """Set the value at a path of mappings, or with None take it away; a path through a list is left alone."""
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
