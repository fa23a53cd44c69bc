"""The cluster as a verdict looks at it, and how its findings are told."""

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

from rehearsal.kubernetes.client import ApiClient, Object

# The kinds that make pods, as a person knows them: what made these (an operator's custom object) is another matter.
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
_MAKERS = (("apps/v1", "ReplicaSet"), ("batch/v1", "Job"))


@dataclass(frozen=True)
class Problem:
    """One reason why something is not Ready.

    workload  `Deployment mlflow/mlflow`; `Node user-0` where there is no namespace
    reason    in the words of the scheduler, admission, a controller or a kubelet
    remedy    the setting to change, empty where none is known
    """

    workload: str
    reason: str
    remedy: str

    @property
    def message(self) -> str:
        said = f"{self.workload}: {self.reason.rstrip('. ')}."
        return f"{said} Remedy: {self.remedy}" if self.remedy else said


Found = Iterator[tuple[Object, Problem]]  # the object at fault, for its annotations, and what is wrong with it


class Snapshot:
    """What there was in the cluster, or in one namespace, at one moment.

    Each kind is asked for once, when it is first needed, but all as of the moment of the first: of a pod that has come
    since, neither it nor what it did is there.
    """

    def __init__(self, api: ApiClient, namespace: str = "") -> None:
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

    def event(self, thing: Object, *find_problems: str) -> str:
        """What the latest event with one of these reasons says of an object, empty where there is none."""
        said = [
            event
            for event in self.all("v1", "Event")
            if event["involvedObject"].get("uid") == thing["metadata"]["uid"] and event.get("reason") in find_problems
        ]
        return plain(max(said, key=_when).get("message", "")) if said else ""

    @cached_property
    def promised(self) -> Collection[tuple[str, str]]:
        """The (namespace, name) of Secrets and ConfigMaps that simulated processes would have made."""
        return {*_by_hooks(self.all("v1", "Secret")), *_by_controllers(self)}

    @cached_property
    def _moment(self) -> str:
        return self.api.current_resource_version()

    def _of(self, api_version: str, kind: str) -> Mapping[tuple[str, str], Object]:
        if (api_version, kind) not in self._known:
            self._known[api_version, kind] = {
                (item["metadata"].get("namespace", ""), item["metadata"]["name"]): item
                for item in self.api.list(api_version, kind, self.namespace, resource_version=self._moment)
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


def _by_controllers(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Source: https://cert-manager.io/docs/usage/certificate/, https://external-secrets.io/latest/api/externalsecret/"""
    for certificate in snapshot.all("cert-manager.io/v1", "Certificate"):
        yield certificate["metadata"]["namespace"], certificate["spec"]["secretName"]
    for external in snapshot.all("external-secrets.io/v1", "ExternalSecret"):
        name = external["spec"].get("target", {}).get("name") or external["metadata"]["name"]
        yield external["metadata"]["namespace"], name
