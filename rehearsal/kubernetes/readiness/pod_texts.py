"""Pods as their workloads declare them, and the texts that their processes read: arguments, variables, ConfigMaps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kernel.paths import look_up
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.problem import describe_object
from rehearsal.kubernetes.readiness.services import list_running_pods
from rehearsal.kubernetes.readiness.snapshot import Snapshot

# Names of variables with the address at which others reach a process, as opposed to one that it calls.
_OWN_ADDRESS = re.compile(r"(WEBHOOK|CALLBACK|REDIRECT|EXTERNAL|PUBLIC|ROOT)_UR[IL]$")


@dataclass(frozen=True)
class PodUse:
    """The pods of one workload.

    owner  for messages: `Deployment monitoring/grafana`
    """

    owner: str
    namespace: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def account(self) -> str:
        """The name of the service account."""
        return str(self.spec.get("serviceAccountName") or "default")

    @property
    def containers(self) -> list[Object]:
        return [*(self.spec.get("initContainers") or ()), *(self.spec.get("containers") or ())]


def list_pod_uses(snapshot: Snapshot) -> list[PodUse]:
    """One for each workload that has running or pending pods, or starts pods on a schedule."""
    found: dict[str, PodUse] = {}
    for pod in list_running_pods(snapshot):
        use = _describe(snapshot.find_workload(pod), pod)
        found.setdefault(use.owner, use)
    for job in snapshot.list("batch/v1", "CronJob"):
        use = _describe(job, look_up(job, "spec.jobTemplate.spec.template", {}))
        found.setdefault(use.owner, use)
    return list(found.values())


def _describe(owner: Object, pod: Mapping[str, Any]) -> PodUse:
    metadata = pod.get("metadata") or {}
    namespace = str(owner["metadata"].get("namespace") or metadata.get("namespace") or "")
    return PodUse(describe_object(owner), namespace, metadata.get("labels") or {}, pod.get("spec") or {})


def list_texts(snapshot: Snapshot, namespace: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The texts that a pod's processes read, each with its location."""
    references = [volume["configMap"]["name"] for volume in spec.get("volumes") or () if "configMap" in volume]
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        yield "its arguments", " ".join([*(container.get("command") or ()), *(container.get("args") or ())])
        for variable in container.get("env") or ():
            if _OWN_ADDRESS.search(variable["name"]):
                continue
            yield f"its variable {variable['name']}", variable.get("value") or ""
            reference = variable.get("valueFrom", {}).get("configMapKeyRef")
            references += [reference["name"]] if reference else []
        sources = (source.get("configMapRef") for source in container.get("envFrom") or ())
        references += [source["name"] for source in sources if source]
    for name in dict.fromkeys(references):
        found = snapshot.get("v1", "ConfigMap", name, namespace)
        for text in ((found or {}).get("data") or {}).values():
            if not _is_workload(text):
                yield f"ConfigMap {name}", _without_comments(text)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _is_workload(text: str) -> bool:
    """Whether a text is the manifest of a pod or a workload: its addresses concern their pods, not the reader."""
    if "apiVersion" not in text:
        return False
    try:
        manifest = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(manifest, Mapping) and bool(
        look_up(manifest, "spec.template.spec.containers", None) or look_up(manifest, "spec.containers", None)
    )
