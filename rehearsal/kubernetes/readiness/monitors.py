"""The targets of Prometheus' ServiceMonitors and PodMonitors, and the monitors that have none.

Prometheus does not report a monitor that selects nothing: its metrics are missing, and so are its alerts.
Source: https://prometheus-operator.dev/docs/developer/getting-started/
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel.paths import look_up
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.label_selectors import find_nearest, labels_of, matches
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.kubernetes.readiness.services import (
    Target,
    find_container_port,
    has_addresses,
    list_running_pods,
    list_selected_pods,
    list_targets,
)
from rehearsal.kubernetes.readiness.snapshot import Snapshot

API = "monitoring.coreos.com/v1"
_SERVICE_MONITOR, _POD_MONITOR = "ServiceMonitor", "PodMonitor"
_WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
# Its Service has no addresses in a rehearsal, since the API server listens on a loopback address and advertises none.
_API_SERVER = ("default", "kubernetes")


@dataclass(frozen=True)
class Scrape:
    """A target that Prometheus scrapes for a monitor."""

    monitor: Object
    target: Target


@dataclass(frozen=True)
class _Unresolved:
    """Why a part of a monitor has no target, and the closest match that exists.

    sought  the label selector that selects nothing; None if that is not the reason
    """

    reason: str
    remedy: str
    sought: Mapping[str, Any] | None = None


def find_problems(snapshot: Snapshot, missing: Collection[Object] = ()) -> list[Problem]:
    """The monitors that no Prometheus selects, and the parts of monitors without a target.

    `missing` are declared objects that somebody deleted: problems that only follow from that are left out.
    """
    problems = [
        Problem(describe_object(monitor), unresolved.reason, unresolved.remedy)
        for monitor, found in _resolve_all(snapshot)
        for unresolved in found
        if isinstance(unresolved, _Unresolved) and not any(_would_satisfy(item, unresolved) for item in missing)
    ]
    return [*problems, *_find_ignored(snapshot)]


def _would_satisfy(missing: Object, unresolved: _Unresolved) -> bool:
    """Whether the selector would select a missing object, or the pods that it would have."""
    pod_labels = look_up(missing, "spec.template.metadata.labels", {})
    sought = unresolved.sought
    return sought is not None and any(matches(sought, labels) for labels in (labels_of(missing), pod_labels))


def list_scrapes(snapshot: Snapshot) -> list[Scrape]:
    """Every target of every monitor."""
    return [
        Scrape(monitor, target)
        for monitor, found in _resolve_all(snapshot)
        for target in found
        if isinstance(target, Target)
    ]


def list_selecting(snapshot: Snapshot, monitor: Object) -> list[Object]:
    """The Prometheus objects that select a monitor."""
    kind = monitor["kind"][0].lower() + monitor["kind"][1:]
    namespace = monitor["metadata"]["namespace"]
    selecting = []
    for prometheus in snapshot.list(API, "Prometheus"):
        spec = prometheus["spec"]
        namespaces = spec.get(f"{kind}NamespaceSelector")
        is_own = namespaces is None and prometheus["metadata"]["namespace"] == namespace
        is_selected = is_own or matches(namespaces, _namespace_labels(snapshot, namespace))
        if is_selected and matches(spec.get(f"{kind}Selector"), labels_of(monitor)):
            selecting.append(prometheus)
    return selecting


def _find_ignored(snapshot: Snapshot) -> Iterator[Problem]:
    if not snapshot.list(API, "Prometheus"):
        return
    for kind in (_SERVICE_MONITOR, _POD_MONITOR):
        for monitor in snapshot.list(API, kind):
            if not list_selecting(snapshot, monitor):
                selector = f"{kind[0].lower()}{kind[1:]}Selector"
                yield Problem(
                    describe_object(monitor), "no Prometheus selects it", f"give it the labels of the {selector}"
                )


def _resolve_all(snapshot: Snapshot) -> Iterator[tuple[Object, list[Target | _Unresolved]]]:
    for monitor in snapshot.list(API, _SERVICE_MONITOR):
        yield monitor, list(_resolve_service_monitor(snapshot, monitor))
    for monitor in snapshot.list(API, _POD_MONITOR):
        yield monitor, list(_resolve_pod_monitor(snapshot, monitor))


def _resolve_service_monitor(snapshot: Snapshot, monitor: Object) -> Iterator[Target | _Unresolved]:
    selector = monitor["spec"].get("selector") or {}
    services = _list_in_namespaces(monitor, snapshot.list("v1", "Service"))
    selected = [service for service in services if matches(selector, labels_of(service))]
    if services:
        # If other monitors select all existing Services, this one's do not exist yet: models get theirs later.
        anything = [service for service in services if not _is_selected_by_another(snapshot, service, monitor)]
    else:
        anything = _list_in_namespaces(monitor, list_running_pods(snapshot))
    if not selected and anything and _is_operated(snapshot):
        yield _describe_unmatched(selector, "Service", services)
    for endpoint in monitor["spec"].get("endpoints") or ():
        # A Service without the port is not an error if another has it: labels often also select a headless Service.
        with_port = [service for service in selected if _find_ports(service, endpoint)]
        for service in with_port or selected:
            yield from _resolve_endpoint(snapshot, service, endpoint)


def _is_selected_by_another(snapshot: Snapshot, service: Object, monitor: Object) -> bool:
    others = (other for other in snapshot.list(API, _SERVICE_MONITOR) if other["metadata"] != monitor["metadata"])
    return any(
        _list_in_namespaces(other, [service]) and matches(other["spec"].get("selector") or {}, labels_of(service))
        for other in others
    )


def _find_ports(service: Object, endpoint: Mapping[str, Any]) -> list[Any]:
    """The ports of a Service that a monitor's endpoint names."""
    ports = service["spec"].get("ports") or ()
    if endpoint.get("port"):
        return [port for port in ports if port.get("name") == endpoint["port"]]
    return [port for port in ports if endpoint.get("targetPort") in (port.get("targetPort"), port["port"])]


def _resolve_endpoint(
    snapshot: Snapshot, service: Object, endpoint: Mapping[str, Any]
) -> Iterator[Target | _Unresolved]:
    name, found = describe_object(service), _find_ports(service, endpoint)
    if not found:
        ports = service["spec"].get("ports") or ()
        wanted = endpoint.get("port") or endpoint.get("targetPort")
        known = ", ".join(str(port.get("name") or port["port"]) for port in ports) or "none"
        yield _Unresolved(f"{name} has no port '{wanted}'", f"name one of its ports: {known}")
        return
    pods = list_selected_pods(snapshot, service)
    selector = service["spec"].get("selector")
    if selector and not pods:
        if not _is_scaled_to_zero(snapshot, service):
            yield _Unresolved(f"{name} selects no pods", _nearest_pod(snapshot, service), {"matchLabels": selector})
        return
    targets = list_targets(snapshot, service, found[0])
    is_api_server = (service["metadata"]["namespace"], service["metadata"]["name"]) == _API_SERVER
    if not targets and not has_addresses(snapshot, service, found[0]) and not is_api_server:
        where = "no container of its pods" if selector else "no address of it"
        wanted = found[0].get("targetPort") or found[0]["port"]
        yield _Unresolved(f"{name}: {where} has the port '{wanted}'", "name a port that its pods listen on")
    yield from targets


def _resolve_pod_monitor(snapshot: Snapshot, monitor: Object) -> Iterator[Target | _Unresolved]:
    selector = monitor["spec"].get("selector") or {}
    pods = _list_in_namespaces(monitor, list_running_pods(snapshot))
    selected = [pod for pod in pods if matches(selector, labels_of(pod))]
    if not selected and pods:
        yield _describe_unmatched(selector, "Pod", pods)
    for endpoint in monitor["spec"].get("podMetricsEndpoints") or ():
        port = endpoint.get("port") or endpoint.get("portNumber") or endpoint.get("targetPort") or ""
        targets = [Target(pod, "", number) for pod in selected if (number := find_container_port(pod, port))]
        if selected and not targets:
            yield _Unresolved(
                f"{describe_object(selected[0])} has no port '{port}'",
                f"name one of its ports: {', '.join(_port_names(selected[0])) or 'it declares none'}",
            )
        yield from targets


def _list_in_namespaces(monitor: Object, found: Iterable[Object]) -> list[Object]:
    """The objects in the namespaces that a monitor selects; empty if nothing of the component exists yet."""
    selector = monitor["spec"].get("namespaceSelector") or {}
    if selector.get("any"):
        return list(found)
    namespaces = selector.get("matchNames") or [monitor["metadata"]["namespace"]]
    return [item for item in found if item["metadata"]["namespace"] in namespaces]


def _describe_unmatched(selector: Mapping[str, Any], kind: str, candidates: Sequence[Object]) -> _Unresolved:
    nearest = find_nearest(selector, candidates)
    remedy = f"the nearest is {describe_object(nearest)} with {_format(labels_of(nearest))}" if nearest else ""
    return _Unresolved(
        f"its selector {_format(selector.get('matchLabels') or selector)} matches no {kind}", remedy, selector
    )


def _nearest_pod(snapshot: Snapshot, service: Object) -> str:
    namespace = service["metadata"]["namespace"]
    pods = [pod for pod in list_running_pods(snapshot) if pod["metadata"]["namespace"] == namespace]
    nearest = find_nearest({"matchLabels": service["spec"]["selector"]}, pods)
    return f"the nearest is {describe_object(nearest)} with {_format(labels_of(nearest))}" if nearest else ""


def _is_operated(snapshot: Snapshot) -> bool:
    """Whether a real operator runs, which creates the Service of the kubelets."""
    return any(prometheus.get("status") for prometheus in snapshot.list(API, "Prometheus"))


def _is_scaled_to_zero(snapshot: Snapshot, service: Object) -> bool:
    """Whether a Service selects the pod template of a workload that is scaled to zero."""
    selector, namespace = service["spec"]["selector"], service["metadata"]["namespace"]
    workloads = (workload for kind in _WORKLOAD_KINDS for workload in snapshot.list("apps/v1", kind))
    return any(
        workload["metadata"]["namespace"] == namespace
        and selector.items() <= (workload["spec"]["template"]["metadata"].get("labels") or {}).items()
        for workload in workloads
    )


def _namespace_labels(snapshot: Snapshot, name: str) -> Mapping[str, str]:
    namespace = snapshot.get("v1", "Namespace", name)
    return labels_of(namespace) if namespace else {}


def _port_names(pod: Object) -> list[str]:
    ports = (port for container in pod["spec"]["containers"] for port in container.get("ports") or ())
    return [str(port.get("name") or port["containerPort"]) for port in ports]


def _format(labels: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "{}"
