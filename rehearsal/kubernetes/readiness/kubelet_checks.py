"""What a kubelet would refuse, and custom objects that nobody acts on: what simulated pods would hide.

Pods' processes are simulated: their containers start whatever they refer to. A real kubelet looks for every Secret and
ConfigMap first. What is said here is in its own words, held against what there is in the cluster. Objects that other
simulated processes would have made (a chart's hook, cert-manager, External Secrets) are not missed. What it cannot
know: whether an image exists, as which user it runs, and what `subPath` finds in a volume.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.readiness.snapshot import Found, Problem, Snapshot, label, true

# https://github.com/distribution/reference/blob/v0.6.0/regexp.go, by which a kubelet parses an image's name
_HOST = (
    r"([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(:[0-9]+)?"
)
_PART = r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_IMAGE = re.compile(rf"({_HOST}/)?{_PART}(/{_PART})*(:\w[\w.-]{{0,127}})?(@{_DIGEST})?", re.ASCII)

_NO_SUCH_KEY = {
    "Secret": "references non-existent secret key",
    "ConfigMap": "configmap references non-existent config key",
}


def find_kubelet_errors(snapshot: Snapshot) -> Found:
    """What kubelets would refuse of the pods there are, those that have ended among them; may repeat itself."""
    for pod in snapshot.all("v1", "Pod"):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        workload = snapshot.workload(pod)
        references = _References(snapshot, pod["metadata"]["namespace"])
        for reason, remedy in (*_volumes(pod, references), *_containers(pod, references)):
            yield workload, Problem(label(workload), reason, remedy)


def count_unreconciled_objects(api: ApiClient, served: Collection[str] = ()) -> Mapping[str, int]:
    """How many objects there are of each custom kind, but for those kinds that a real controller process serves.

    Nobody acts on them: their controllers are simulated pods. Kinds without objects are left out.
    """
    counts: dict[str, int] = {}
    for definition in api.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
        spec = definition["spec"]
        kind, version = spec["names"]["kind"], next(item["name"] for item in spec["versions"] if item["served"])
        path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        if kind not in served and "Established" in true(definition):
            counts[kind] = counts.get(kind, 0) + _count(api, path)
    return {kind: count for kind, count in sorted(counts.items()) if count}


def _count(api: ApiClient, path: str) -> int:
    try:
        page = api.request("GET", path, {"limit": "1"})
    except ApiError as error:
        if error.status != 404:  # not served yet, or not any more
            raise
        return 0
    return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))


_Refusals = Iterator[tuple[str, str]]  # reason, remedy


@dataclass(frozen=True)
class _References:
    """The Secrets and ConfigMaps of one namespace, as pods refer to them."""

    snapshot: Snapshot
    namespace: str

    def missing(self, kind: str, name: str, wanted: Mapping[str, Any]) -> str:
        """A kubelet's words where an object is not there and is not optional, else nothing."""
        if wanted.get("optional") or self._object(kind, name) or (self.namespace, name) in self.snapshot.promised:
            return ""
        return f'{kind.lower()} "{name}" not found'

    def lacks(self, kind: str, name: str, wanted: Mapping[str, Any], key: str, *, binary: bool) -> bool:
        """Whether an object that is there has no such key, and has to."""
        found = self._object(kind, name)
        keys = {*(found or {}).get("data", {}), *((found or {}).get("binaryData", {}) if binary else {})}
        return found is not None and not wanted.get("optional") and key not in keys

    def _object(self, kind: str, name: str) -> Object | None:
        return self.snapshot.one("v1", kind, name, self.namespace)


def _volumes(pod: Object, references: _References) -> _Refusals:
    """What mounting a pod's volumes fails for. Source: pkg/volume/{secret,configmap,projected} of Kubernetes."""
    for volume in pod["spec"].get("volumes", ()):
        for kind, name, source in _mounted(volume):
            prefix = f'MountVolume.SetUp failed for volume "{volume["name"]}" : '
            gone = references.missing(kind, name, source)
            if gone:
                yield prefix + gone, _not_there(kind, name, references.namespace)
            for key in (item["key"] for item in source.get("items", ())):
                if references.lacks(kind, name, source, key, binary=True):
                    yield f"{prefix}{_NO_SUCH_KEY[kind]}: {key}", _no_key(kind, name, references.namespace, key)


def _mounted(volume: Object) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The (kind, name, source) of what a volume shows."""
    if "secret" in volume:
        yield "Secret", volume["secret"].get("secretName", ""), volume["secret"]
    for source in (volume, *volume.get("projected", {}).get("sources", ())):
        for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            if "name" in source.get(field, {}):
                yield kind, source[field]["name"], source[field]


def _containers(pod: Object, references: _References) -> _Refusals:
    """What making a pod's containers fails for."""
    spec = pod["spec"]
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        image = container.get("image", "")
        if not _IMAGE.fullmatch(image):
            yield (
                f'InvalidImageName: Failed to apply default image tag "{image}": '
                f'couldn\'t parse image name "{image}": invalid reference format',
                f"Correct the image of container {container['name']} in the chart's values: "
                "registry/repository:tag, the repository in lower case.",
            )
        for reason, remedy in (*_root(spec, container), *_environment(container, references)):
            yield f"CreateContainerConfigError: {reason}", remedy


def _root(spec: Mapping[str, Any], container: Object) -> _Refusals:
    """Source: verifyRunAsNonRoot in pkg/kubelet/kuberuntime of Kubernetes. An image's own user is not known here."""
    context = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
    if context.get("runAsNonRoot") and context.get("runAsUser") == 0:
        yield (
            f"container's runAsUser breaks non-root policy (container: {container['name']})",
            "Set runAsUser in the chart's values to another number than 0, or leave it out.",
        )


def _environment(container: Object, references: _References) -> _Refusals:
    """Source: makeEnvironmentVariables in pkg/kubelet/kubelet_pods.go of Kubernetes."""
    namespace = references.namespace
    for kind, source, key in (*_sources(container), *_variables(container)):
        name = source.get("name", "")
        gone = references.missing(kind, name, source)
        if gone:
            yield gone, _not_there(kind, name, namespace)
        elif key and references.lacks(kind, name, source, key, binary=False):
            yield f"couldn't find key {key} in {kind} {namespace}/{name}", _no_key(kind, name, namespace, key)


_Source = tuple[str, Mapping[str, Any], str]  # kind, reference, key


def _sources(container: Object) -> Iterable[_Source]:
    for source in container.get("envFrom", ()):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if field in source:
                yield kind, source[field], ""


def _variables(container: Object) -> Iterable[_Source]:
    for variable in container.get("env", ()):
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            source = variable.get("valueFrom", {}).get(field)
            if source:
                yield kind, source, source["key"]


def _not_there(kind: str, name: str, namespace: str) -> str:
    return (
        f"Declare the {kind} {name} in namespace {namespace} and let the release depend on it, "
        "or correct the name in the chart's values."
    )


def _no_key(kind: str, name: str, namespace: str, key: str) -> str:
    return f"Give the {kind} {namespace}/{name} the key {key}, or correct the key in the chart's values."
