"""Where the connections to a Service arrive: at ports of pods and of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.label_selectors import labels_of
from rehearsal.kubernetes.readiness.snapshot import Snapshot


@dataclass(frozen=True)
class Target:
    """A port that connections arrive at.

    pod      None where it is at an address that is no pod's
    address  of what is no pod
    port     number
    """

    pod: Object | None
    address: str
    port: int


def list_selected_pods(snapshot: Snapshot, service: Object) -> list[Object]:
    """The pods that a Service selects."""
    selector, namespace = service["spec"].get("selector") or {}, service["metadata"]["namespace"]
    if not selector:
        return []
    return [
        pod
        for pod in list_running_pods(snapshot)
        if pod["metadata"]["namespace"] == namespace and selector.items() <= labels_of(pod).items()
    ]


def list_running_pods(snapshot: Snapshot) -> Iterator[Object]:
    """The pods that have not ended."""
    for pod in snapshot.list("v1", "Pod"):
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            yield pod


def list_targets(snapshot: Snapshot, service: Object, port: Mapping[str, Any]) -> list[Target]:
    """Where the connections to one port of a Service arrive."""
    target = port.get("targetPort") or port["port"]
    pods = list_selected_pods(snapshot, service)
    if service["spec"].get("selector"):
        return [Target(pod, "", number) for pod in pods if (number := find_container_port(pod, target))]
    endpoints = snapshot.get("v1", "Endpoints", service["metadata"]["name"], service["metadata"]["namespace"]) or {}
    return [
        Target(None, address["ip"], int(listed["port"]))
        for subset in endpoints.get("subsets") or ()
        for listed in subset.get("ports") or ()
        if listed.get("name") == port.get("name")
        for address in subset.get("addresses") or ()
    ]


def find_container_port(pod: Object, port: int | str) -> int | None:
    """The number of a port of a pod, which may be named; None where no container has it."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    containers = (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    named = (
        listed for container in containers for listed in container.get("ports") or () if listed.get("name") == port
    )
    return next((int(listed["containerPort"]) for listed in named), None)
