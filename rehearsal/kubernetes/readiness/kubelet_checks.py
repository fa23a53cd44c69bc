"""Checks of a kubelet that do not apply to simulated pods.

A simulated pod starts regardless of its references; a real kubelet first looks up every Secret and ConfigMap, parses
the image's name and compares the user with `runAsNonRoot`. The errors here are a kubelet's own messages. Objects that
other simulated processes would have created count as existing (`expected_objects`). Whether an image exists, its
user, and whether a `subPath` exists in a volume are not checked, because the cluster does not know them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.expected_objects import ExpectedObjects
from rehearsal.kubernetes.readiness.problem import Problem, ProblemsOfObjects, describe_object
from rehearsal.kubernetes.readiness.snapshot import Snapshot

# A kubelet's parser of image names: https://github.com/distribution/reference/blob/v0.6.0/regexp.go
_HOST = (
    r"([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(:[0-9]+)?"
)
_PATH_COMPONENT = r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_IMAGE = re.compile(rf"({_HOST}/)?{_PATH_COMPONENT}(/{_PATH_COMPONENT})*(:\w[\w.-]{{0,127}})?(@{_DIGEST})?", re.ASCII)

_MISSING_KEY_ERRORS = {
    "Secret": "references non-existent secret key",
    "ConfigMap": "configmap references non-existent config key",
}

_Errors = Iterator[tuple[str, str]]  # reason, remedy
_KeyReference = tuple[str, Mapping[str, Any], str]  # kind, reference, key (empty for the whole object)


def find_kubelet_errors(snapshot: Snapshot) -> ProblemsOfObjects:
    """The kubelets' errors for all pods that are not being deleted, including completed ones.

    Pods of one workload yield equal problems.
    """
    expected = ExpectedObjects(snapshot)
    for pod in snapshot.list("v1", "Pod"):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        workload = snapshot.find_workload(pod)
        objects = _ConfigObjects(snapshot, expected, pod["metadata"]["namespace"])
        for reason, remedy in (*_volume_errors(pod, objects), *_container_errors(pod, objects)):
            yield workload, Problem(describe_object(workload), reason, remedy)


@dataclass(frozen=True)
class _ConfigObjects:
    """The Secrets and ConfigMaps of one namespace, to resolve the references of pods."""

    snapshot: Snapshot
    expected: ExpectedObjects
    namespace: str

    def find_missing(self, kind: str, name: str, reference: Mapping[str, Any]) -> str:
        """A kubelet's message if an object does not exist and is not optional, else an empty text."""
        if reference.get("optional") or self._get(kind, name) or self.expected.includes(self.namespace, name):
            return ""
        return f'{kind.lower()} "{name}" not found'

    def lacks_key(self, kind: str, name: str, reference: Mapping[str, Any], key: str, *, with_binary: bool) -> bool:
        """Whether an object exists without a key that is not optional."""
        found = self._get(kind, name)
        keys = {*(found or {}).get("data", {}), *((found or {}).get("binaryData", {}) if with_binary else {})}
        return found is not None and not reference.get("optional") and key not in keys

    def _get(self, kind: str, name: str) -> Object | None:
        return self.snapshot.get("v1", kind, name, self.namespace)


def _volume_errors(pod: Object, objects: _ConfigObjects) -> _Errors:
    """Why a pod's volumes cannot be mounted. Source: pkg/volume/{secret,configmap,projected} of Kubernetes."""
    for volume in pod["spec"].get("volumes", ()):
        for kind, name, source in _volume_sources(volume):
            prefix = f'MountVolume.SetUp failed for volume "{volume["name"]}" : '
            missing = objects.find_missing(kind, name, source)
            if missing:
                yield prefix + missing, _missing_object_remedy(kind, name, objects.namespace)
            for key in (item["key"] for item in source.get("items", ())):
                if objects.lacks_key(kind, name, source, key, with_binary=True):
                    remedy = _missing_key_remedy(kind, name, objects.namespace, key)
                    yield f"{prefix}{_MISSING_KEY_ERRORS[kind]}: {key}", remedy


def _volume_sources(volume: Object) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The (kind, name, source) of the Secrets and ConfigMaps in a volume."""
    if "secret" in volume:
        yield "Secret", volume["secret"].get("secretName", ""), volume["secret"]
    for source in (volume, *volume.get("projected", {}).get("sources", ())):
        for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            if "name" in source.get(field, {}):
                yield kind, source[field]["name"], source[field]


def _container_errors(pod: Object, objects: _ConfigObjects) -> _Errors:
    """Why a pod's containers cannot be created."""
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
        for reason, remedy in (*_user_errors(spec, container), *_environment_errors(container, objects)):
            yield f"CreateContainerConfigError: {reason}", remedy


def _user_errors(spec: Mapping[str, Any], container: Object) -> _Errors:
    """Source: verifyRunAsNonRoot in pkg/kubelet/kuberuntime of Kubernetes. The image's own user is not known here."""
    context = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
    if context.get("runAsNonRoot") and context.get("runAsUser") == 0:
        yield (
            f"container's runAsUser breaks non-root policy (container: {container['name']})",
            "Set runAsUser in the chart's values to a number other than 0, or leave it out.",
        )


def _environment_errors(container: Object, objects: _ConfigObjects) -> _Errors:
    """Source: makeEnvironmentVariables in pkg/kubelet/kubelet_pods.go of Kubernetes."""
    namespace = objects.namespace
    for kind, reference, key in (*_env_from_references(container), *_env_references(container)):
        name = reference.get("name", "")
        missing = objects.find_missing(kind, name, reference)
        if missing:
            yield missing, _missing_object_remedy(kind, name, namespace)
        elif key and objects.lacks_key(kind, name, reference, key, with_binary=False):
            remedy = _missing_key_remedy(kind, name, namespace, key)
            yield f"couldn't find key {key} in {kind} {namespace}/{name}", remedy


def _env_from_references(container: Object) -> Iterable[_KeyReference]:
    for source in container.get("envFrom", ()):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if field in source:
                yield kind, source[field], ""


def _env_references(container: Object) -> Iterable[_KeyReference]:
    for variable in container.get("env", ()):
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            reference = variable.get("valueFrom", {}).get(field)
            if reference:
                yield kind, reference, reference["key"]


def _missing_object_remedy(kind: str, name: str, namespace: str) -> str:
    return (
        f"Declare the {kind} {name} in namespace {namespace} and make the release depend on it, "
        "or correct the name in the chart's values."
    )


def _missing_key_remedy(kind: str, name: str, namespace: str, key: str) -> str:
    return f"Add the key {key} to the {kind} {namespace}/{name}, or correct the key in the chart's values."
