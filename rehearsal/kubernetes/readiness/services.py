"""The targets of connections to a Service: ports of pods and of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kernel.paths import look_up
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.label_selectors import labels_of
from rehearsal.kubernetes.readiness.problem import describe_object
from rehearsal.kubernetes.readiness.snapshot import Snapshot


@dataclass(frozen=True)
class Target:
    """A port that receives connections.

    pod      None if the address is not a pod's
    address  of a target that is not a pod
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
    """The targets of connections to one port of a Service."""
    target = port.get("targetPort") or port["port"]
    pods = list_selected_pods(snapshot, service)
    if service["spec"].get("selector"):
        return [Target(pod, "", number) for pod in pods if (number := find_container_port(pod, target))]
    return [
        target
        for address, number in _list_addresses(snapshot, service, port)
        if (target := _find_holder(snapshot, address, number))
    ]


def has_addresses(snapshot: Snapshot, service: Object, port: Mapping[str, Any]) -> bool:
    """Whether a Service without a selector lists addresses with the port, of existing or departed targets."""
    return any(_list_addresses(snapshot, service, port))


def list_departed(snapshot: Snapshot) -> list[str]:
    """A note for each Service that lists addresses of nodes or pods that no longer exist.

    The writer of the addresses corrects them later: for kubelets, the Prometheus operator after its sync period.
    """
    notes = []
    for service in snapshot.list("v1", "Service"):
        ports = () if service["spec"].get("selector") else service["spec"].get("ports") or ()
        addresses = (address for port in ports for address, _ in _list_addresses(snapshot, service, port))
        departed = {address["ip"] for address in addresses if _find_holder(snapshot, address, 0) is None}
        if departed:
            listed = ", ".join(sorted(departed))
            notes.append(
                f"{describe_object(service)} still lists addresses that no node or pod has any more; "
                f"connections to them were not checked: {listed}"
            )
    return notes


def _list_addresses(
    snapshot: Snapshot, service: Object, port: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], int]]:
    """The addresses in the EndpointSlices of a Service without a selector for a port, each with the port's number.

    An address is of the form `{"ip": ..., "nodeName": ..., "targetRef": ...}`; the last two may be absent.
    """
    endpoints = snapshot.get("v1", "Endpoints", service["metadata"]["name"], service["metadata"]["namespace"]) or {}
    for subset in endpoints.get("subsets") or ():
        for listed in subset.get("ports") or ():
            if listed.get("name") == port.get("name"):
                for address in subset.get("addresses") or ():
                    yield address, int(listed["port"])


def _find_holder(snapshot: Snapshot, address: Mapping[str, Any], number: int) -> Target | None:
    """The target with an address; None if it was the address of a node or pod that is gone or has another one now."""
    reference, ip = address.get("targetRef") or {}, address["ip"]
    match reference.get("kind"):
        case "Node":
            node = snapshot.get("v1", "Node", reference["name"])
            held = [each["address"] for each in look_up(node, "status.addresses", ())] if node else []
            return Target(None, ip, number) if ip in held else None
        case "Pod":
            pod = snapshot.get("v1", "Pod", reference["name"], reference["namespace"])
            return Target(pod, "", number) if pod and look_up(pod, "status.podIP", "") == ip else None
        case _:
            return Target(None, ip, number)


def find_container_port(pod: Object, port: int | str) -> int | None:
    """The number of a pod's port, which may be given by name; None if no container has it."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    containers = (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    named = (
        listed for container in containers for listed in container.get("ports") or () if listed.get("name") == port
    )
    return next((int(listed["containerPort"]) for listed in named), None)
