"""What a kubelet would refuse, and custom objects that nobody acts on: what simulated pods would hide.

Pods' processes are simulated: their containers start whatever they refer to. A real kubelet looks for every Secret and
ConfigMap first. What is said here is in its own words, held against what there is in the cluster. Objects that other
simulated processes would have made (a chart's hook, cert-manager, External Secrets) are not missed. What it cannot
know: whether an image exists, as which user it runs, and what `subPath` finds in a volume.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import yaml

from rehearsal.cluster.api import Api, Object

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

# The kinds that make pods, as a person knows them: what made these (an operator's custom object) is another matter.
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
_MAKERS = (("apps/v1", "ReplicaSet"), ("batch/v1", "Job"))


@dataclass(frozen=True)
class Fault:
    """One reason why something is not Ready.

    workload  `Deployment mlflow/mlflow`; `Node user-0` where there is no namespace
    reason    in the words of the scheduler, admission, a controller or a kubelet
    remedy    the setting to change, empty where none is known
    """

    workload: str
    reason: str
    remedy: str

    @property
    def text(self) -> str:
        said = f"{self.workload}: {self.reason.rstrip('. ')}."
        return f"{said} Remedy: {self.remedy}" if self.remedy else said


Found = Iterator[tuple[Object, Fault]]  # the object at fault, for its annotations, and what is wrong with it


class Snapshot:
    """What there is in the cluster, or in one namespace: each kind is asked for once, when it is first needed."""

    def __init__(self, api: Api, namespace: str = "") -> None:
        self.api = api
        self.namespace = namespace
        self._known: dict[tuple[str, str], Mapping[tuple[str, str], Object]] = {}

    def all(self, api_version: str, kind: str) -> Collection[Object]:
        return self._of(api_version, kind).values()

    def one(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        return self._of(api_version, kind).get((namespace, name))

    def workload(self, thing: Object) -> Object:
        """What made a pod, as a person knows it: a Pod's Deployment, a Job's CronJob, else the thing itself."""
        owner = next((item for item in thing["metadata"].get("ownerReferences", ()) if item.get("controller")), None)
        if owner is None or thing["kind"] in _WORKLOADS:
            return thing
        namespace = thing["metadata"].get("namespace", "")
        known = None
        if owner["kind"] in _WORKLOADS or (owner["apiVersion"], owner["kind"]) in _MAKERS:
            known = self.one(owner["apiVersion"], owner["kind"], owner["name"], namespace)
        if known is not None:
            return self.workload(known)
        # Not there any more, or a custom kind: its reference says enough.
        metadata = {"name": owner["name"], "namespace": namespace}
        return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "metadata": metadata}

    def event(self, thing: Object, *reasons: str) -> str:
        """What the latest event with one of these reasons says of an object, empty where there is none."""
        said = [
            event
            for event in self.all("v1", "Event")
            if event["involvedObject"].get("uid") == thing["metadata"]["uid"] and event.get("reason") in reasons
        ]
        return plain(max(said, key=_when).get("message", "")) if said else ""

    @cached_property
    def promised(self) -> Collection[tuple[str, str]]:
        """The (namespace, name) of Secrets and ConfigMaps that simulated processes would have made."""
        return {*_by_hooks(self.all("v1", "Secret")), *_by_controllers(self)}

    def _of(self, api_version: str, kind: str) -> Mapping[tuple[str, str], Object]:
        if (api_version, kind) not in self._known:
            self._known[api_version, kind] = {
                (item["metadata"].get("namespace", ""), item["metadata"]["name"]): item
                for item in self.api.list(api_version, kind, self.namespace)
            }
        return self._known[api_version, kind]


def label(thing: Object) -> str:
    """How an object is called in messages: `Deployment mlflow/mlflow`, `Node user-0`."""
    namespace = thing["metadata"].get("namespace", "")
    return f"{thing['kind']} {namespace + '/' if namespace else ''}{thing['metadata']['name']}"


def conditions(thing: Object) -> Mapping[str, Mapping[str, Any]]:
    """An object's conditions by type."""
    return {item["type"]: item for item in thing.get("status", {}).get("conditions") or ()}


def true(thing: Object) -> Mapping[str, Mapping[str, Any]]:
    """Those of its conditions that are true."""
    return {kind: item for kind, item in conditions(thing).items() if item["status"] == "True"}


def plain(message: str) -> str:
    """A refusal without the name of the one pod that it was said of, which is another at each attempt."""
    return re.sub(r'^.*?\bpods "[^"]*" is forbidden: |^Error (creating|syncing load balancer): ', "", message)


def findings(api: Api) -> list[Fault]:
    """What kubelets would refuse, by workload."""
    return list(dict.fromkeys(fault for _, fault in refused(Snapshot(api))))


def refused(there: Snapshot) -> Found:
    """What kubelets would refuse of the pods there are, those that have ended among them; may repeat itself."""
    for pod in there.all("v1", "Pod"):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        workload = there.workload(pod)
        references = _References(there, pod["metadata"]["namespace"])
        for reason, remedy in (*_volumes(pod, references), *_containers(pod, references)):
            yield workload, Fault(label(workload), reason, remedy)


def unattended(api: Api, served: Collection[str] = ()) -> Mapping[str, int]:
    """How many objects there are of each custom kind, but for those kinds that a real controller process serves.

    Nobody acts on them: their controllers are simulated pods. Kinds without objects are left out.
    """
    counts: dict[str, int] = {}
    for definition in api.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
        spec = definition["spec"]
        kind, version = spec["names"]["kind"], next(item["name"] for item in spec["versions"] if item["served"])
        path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        if kind not in served and "Established" in true(definition):
            page = api.ask("GET", path, {"limit": "1"})
            count = len(page["items"]) + page["metadata"].get("remainingItemCount", 0)
            counts[kind] = counts.get(kind, 0) + count
    return {kind: count for kind, count in sorted(counts.items()) if count}


def _when(event: Object) -> str:
    """Events have their time in one of three places; each is RFC 3339 in UTC."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def _by_hooks(secrets: Iterable[Object]) -> Iterator[tuple[str, str]]:
    """Helm keeps the hooks in its record of a release; from the cluster they are often gone when they have run."""
    for secret in secrets:
        if secret.get("type") == "helm.sh/release.v1":
            yield from ((secret["metadata"]["namespace"], name) for name in _made(secret["data"]["release"]))


@cache
def _made(release: str) -> Collection[str]:
    """What the hooks of a release make, as far as their arguments or Roles name it: kube-webhook-certgen is told so,
    the making of Argo CD's password is known so. A chart's tests make nothing.

    Source: https://helm.sh/docs/topics/charts_hooks/, pkg/storage/driver/util.go of Helm
    """
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(release))))
    hooks = [hook["manifest"] for hook in record.get("hooks") or () if "test" not in hook["events"]]
    return {name for manifest in hooks for name in _named(manifest)}


def _named(manifest: str) -> Iterator[str]:
    hook = yaml.safe_load(manifest) or {}
    for rule in hook.get("rules") or ():
        yield from rule.get("resourceNames", ())
    if hook.get("kind") == "Job":
        for container in hook["spec"]["template"]["spec"]["containers"]:
            for argument in (*container.get("command", ()), *container.get("args", ())):
                yield str(argument).rpartition("=")[2]


def _by_controllers(there: Snapshot) -> Iterator[tuple[str, str]]:
    """Source: https://cert-manager.io/docs/usage/certificate/, https://external-secrets.io/latest/api/externalsecret/"""
    for certificate in there.all("cert-manager.io/v1", "Certificate"):
        yield certificate["metadata"]["namespace"], certificate["spec"]["secretName"]
    for external in there.all("external-secrets.io/v1", "ExternalSecret"):
        name = external["spec"].get("target", {}).get("name") or external["metadata"]["name"]
        yield external["metadata"]["namespace"], name


_Refusals = Iterator[tuple[str, str]]  # reason, remedy


@dataclass(frozen=True)
class _References:
    """The Secrets and ConfigMaps of one namespace, as pods refer to them."""

    there: Snapshot
    namespace: str

    def missing(self, kind: str, name: str, wanted: Mapping[str, Any]) -> str:
        """A kubelet's words where an object is not there and is not optional, else nothing."""
        if wanted.get("optional") or self._object(kind, name) or (self.namespace, name) in self.there.promised:
            return ""
        return f'{kind.lower()} "{name}" not found'

    def lacks(self, kind: str, name: str, wanted: Mapping[str, Any], key: str, *, binary: bool) -> bool:
        """Whether an object that is there has no such key, and has to."""
        found = self._object(kind, name)
        keys = {*(found or {}).get("data", {}), *((found or {}).get("binaryData", {}) if binary else {})}
        return found is not None and not wanted.get("optional") and key not in keys

    def _object(self, kind: str, name: str) -> Object | None:
        return self.there.one("v1", kind, name, self.namespace)


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
