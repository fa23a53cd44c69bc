"""Declared objects that somebody has deleted from the cluster, or edited, by hand.

No other check detects this: readiness concerns existing objects, and the engine compares the program with its own
state. Objects that Helm installed are in the release's record in the cluster, which a refresh does not compare either.
Source: https://github.com/pulumi/pulumi-kubernetes/issues/3089

Edits are detected in workloads and ConfigMaps, whose fields determine what runs. Fields that the declaration does not
set are ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kernel.paths import format_path, look_up
from rehearsal.kubernetes.client import ApiClient, ApiError, NoKindMatchError, Object
from rehearsal.kubernetes.readiness.problem import Problem, describe_object

_FIELD_MANAGER = "groundwork-rehearsal"
_WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
_Key = tuple[str, str]  # namespace, name


@dataclass(frozen=True)
class DeclaredObjects:
    """Objects with the same declarer.

    declarer   for messages: `the program`, `release mlflow`
    remedy     how to restore them as declared
    namespace  of objects that do not name one
    """

    declarer: str
    remedy: str
    objects: Collection[Object]
    namespace: str = ""


@dataclass(frozen=True)
class Deviation:
    """An object that is not as declared.

    missing  the manifest of a missing object; None for one that was edited
    """

    problem: Problem
    missing: Object | None = None


def find_deviations(api: ApiClient, declared: Iterable[DeclaredObjects]) -> Iterator[Deviation]:
    """The declared objects that are missing, or edited. Raises ApiUnreachableError."""
    live = _LiveObjects(api)
    for group in declared:
        for item in group.objects:
            manifest = _complete(api, item, group.namespace)
            found = live.find(manifest)
            if found is None and not _ends_by_itself(manifest):
                reason = f"it is missing: {group.declarer} declares it, but it was deleted by other means"
                yield Deviation(Problem(describe_object(manifest), reason, group.remedy), manifest)
            changes = _list_edits(api, live, manifest, found) if found else []
            if changes:
                reason = f"{', '.join(changes)} not as {group.declarer} declares: it was edited by other means"
                yield Deviation(Problem(describe_object(manifest), reason, group.remedy))


class _LiveObjects:
    """The cluster's objects; each kind is listed once."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._listed: dict[tuple[str, str], Mapping[_Key, Object]] = {}

    def find(self, manifest: Object) -> Object | None:
        metadata = manifest["metadata"]
        return self.list(manifest["apiVersion"], manifest["kind"]).get((metadata["namespace"], metadata["name"]))

    def list(self, api_version: str, kind: str) -> Mapping[_Key, Object]:
        if (api_version, kind) not in self._listed:
            self._listed[api_version, kind] = {
                (found["metadata"].get("namespace", ""), found["metadata"]["name"]): found
                for found in self._api.list(api_version, kind)
            }
        return self._listed[api_version, kind]


def _complete(api: ApiClient, item: Object, namespace: str) -> dict[str, Any]:
    """The manifest with the namespace that the API server would use; empty for a kind of the whole cluster."""
    metadata = dict(item["metadata"])
    try:
        is_namespaced = api.discover(item["apiVersion"], item["kind"]).namespaced
    except NoKindMatchError:
        is_namespaced = "namespace" in metadata
    own = metadata.get("namespace") or namespace or "default"
    return {**item, "metadata": {**metadata, "namespace": own if is_namespaced else ""}}


def _ends_by_itself(manifest: Object) -> bool:
    """Whether a controller deletes the object after some time, as for a Job with a TTL."""
    return manifest["kind"] == "Job" and look_up(manifest, "spec.ttlSecondsAfterFinished", None) is not None


def _list_edits(api: ApiClient, live: _LiveObjects, manifest: Object, found: Object) -> list[str]:
    """The paths of the declared fields that differ in the cluster."""
    if manifest["kind"] == "ConfigMap":
        wanted, current = manifest.get("data") or {}, found.get("data") or {}
        return [format_path(("data", key)) for key, value in wanted.items() if current.get(key) != value]
    # The generation counts changes of the specification: 1 means that nobody has changed it since.
    if manifest["kind"] not in _WORKLOAD_KINDS or found["metadata"].get("generation", 1) == 1:
        return []
    try:
        restored = api.apply(_without_autoscaled(live, manifest), _FIELD_MANAGER, force=True, dry_run=True)
    except ApiError:
        return []  # an admission rule that denies the declaration has its own message
    return [format_path(path) for path in _list_differences(restored["spec"], found["spec"], ("spec",))]


def _without_autoscaled(live: _LiveObjects, manifest: Object) -> Object:
    """The manifest without replicas if an autoscaler sets them."""
    metadata = manifest["metadata"]
    targets = [
        (scaler["metadata"]["namespace"], target["kind"], target["name"])
        for scaler in live.list("autoscaling/v2", "HorizontalPodAutoscaler").values()
        for target in [scaler["spec"]["scaleTargetRef"]]
    ]
    if (metadata["namespace"], manifest["kind"], metadata["name"]) not in targets:
        return manifest
    return {**manifest, "spec": {key: value for key, value in manifest["spec"].items() if key != "replicas"}}


def _list_differences(one: Any, two: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in sorted({*one, *two}):
            yield from _list_differences(one.get(key), two.get(key), (*path, key))
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, (first, second) in enumerate(zip(one, two, strict=True)):
            yield from _list_differences(first, second, (*path, index))
    elif one != two:
        yield path
