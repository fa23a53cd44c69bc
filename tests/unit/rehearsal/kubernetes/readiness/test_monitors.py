"""The targets of monitors, tested with objects in memory.

Proves each reason why a monitor has no target, and the contents of the message. Does not prove that Prometheus scrapes
the targets: their processes are simulated.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness import monitors
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from tests.support.objects_in_memory import FakeApiClient

APP = {"app": "web"}


def build(api_version: str, kind: str, name: str, labels: Any = None, namespace: str = "shop", **fields: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def monitor(kind: str = "ServiceMonitor", **spec: Any) -> Object:
    endpoints = {"endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints": [{"port": "metrics"}]}
    return build(monitors.API, kind, "web", spec={"selector": {"matchLabels": APP}, **endpoints, **spec})


POD = build(
    "v1",
    "Pod",
    "web-1",
    APP,
    spec={"containers": [{"name": "main", "ports": [{"name": "metrics", "containerPort": 9090}]}]},
)
SERVICE = build(
    "v1",
    "Service",
    "web",
    APP,
    spec={"selector": APP, "ports": [{"name": "metrics", "port": 80, "targetPort": "metrics"}]},
)
PROMETHEUS = build(
    monitors.API,
    "Prometheus",
    "main",
    spec={
        "serviceMonitorSelector": {},
        "serviceMonitorNamespaceSelector": {},
        "podMonitorSelector": {},
        "podMonitorNamespaceSelector": {},
    },
    status={"replicas": 1},
)
NAMESPACE: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def find_messages(*objects: Object) -> list[str]:
    snapshot = Snapshot(FakeApiClient(PROMETHEUS, NAMESPACE, *objects))
    return [problem.message for problem in monitors.find_problems(snapshot)]


def changed(found: Object, **spec: Any) -> Object:
    result = copy.deepcopy(dict(found))
    result["spec"].update(spec)
    return result


def changed_labels(found: Object, labels: Any) -> Object:
    return {**found, "metadata": {**found["metadata"], "labels": labels}}


def deployment(name: str, labels: Any) -> Object:
    return build("apps/v1", "Deployment", name, spec={"template": {"metadata": {"labels": labels}}})


@pytest.mark.parametrize(
    ("found", "objects"), [(monitor(), (SERVICE, POD)), (monitor("PodMonitor"), (POD,))], ids=["service", "pod"]
)
def test_a_monitor_resolves_to_the_ports_of_pods(found: Object, objects: tuple[Object, ...]) -> None:
    assert find_messages(found, *objects) == []
    (scrape,) = monitors.list_scrapes(Snapshot(FakeApiClient(found, *objects)))
    assert scrape.target.pod == POD
    assert scrape.target.port == 9090


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (
            (monitor(selector={"matchLabels": {"app": "wep"}}), SERVICE, POD),
            "its selector app=wep matches no Service. Remedy: the nearest is Service shop/web with app=web",
        ),
        (
            (monitor(endpoints=[{"port": "metrcs"}]), SERVICE, POD),
            "Service shop/web has no port 'metrcs'. Remedy: name one of its ports: metrics",
        ),
        (
            (monitor(), changed(SERVICE, selector={"app": "wep"}), POD),
            "Service shop/web selects no pods. Remedy: the nearest is Pod shop/web-1 with app=web",
        ),
        (
            (monitor(), changed(SERVICE, ports=[{"name": "metrics", "port": 80, "targetPort": "http"}]), POD),
            "Service shop/web: no container of its pods has the port 'http'",
        ),
        (
            (monitor("PodMonitor", selector={"matchLabels": {"app": "wep"}}), POD),
            "its selector app=wep matches no Pod. Remedy: the nearest is Pod shop/web-1 with app=web",
        ),
        (
            (monitor("PodMonitor", podMetricsEndpoints=[{"port": "http"}]), POD),
            "Pod shop/web-1 has no port 'http'. Remedy: name one of its ports: metrics",
        ),
    ],
    ids=["no service", "no port", "no pods", "no container port", "no pod", "no port of a pod"],
)
def test_a_monitor_without_a_target_names_the_nearest(objects: tuple[Object, ...], message: str) -> None:
    (found,) = find_messages(*objects)
    assert f"Monitor shop/web: {message}" in found


@pytest.mark.parametrize(
    ("found", "objects", "missing", "is_left_out"),
    [
        (monitor(), (SERVICE,), deployment("web", APP), True),
        (monitor(), (SERVICE,), deployment("other", {"app": "other"}), False),
        (monitor(), (POD,), SERVICE, True),
        (monitor("PodMonitor"), (changed_labels(POD, {"app": "other"}),), deployment("web", APP), True),
        (monitor(endpoints=[{"port": "metrcs"}]), (SERVICE, POD), deployment("web", APP), False),
    ],
    ids=["its Deployment", "another Deployment", "its Service", "of a PodMonitor", "another reason"],
)
def test_consequences_of_a_missing_object_are_left_out(
    found: Object, objects: tuple[Object, ...], missing: Object, is_left_out: bool
) -> None:
    snapshot = Snapshot(FakeApiClient(PROMETHEUS, NAMESPACE, found, *objects))
    assert len(monitors.find_problems(snapshot)) == 1
    assert len(monitors.find_problems(snapshot, [missing])) == (0 if is_left_out else 1)


def test_only_the_api_servers_service_may_lack_both_pods_and_addresses() -> None:
    def find(namespace: str, name: str) -> list[str]:
        ports = [{"name": "metrics", "port": 443, "targetPort": 6443}]
        service = build("v1", "Service", name, APP, namespace, spec={"ports": ports})
        return find_messages(monitor(namespaceSelector={"any": True}), service)

    assert find("default", "kubernetes") == []
    assert find("shop", "kubernetes") == [
        "ServiceMonitor shop/web: Service shop/kubernetes: no address of it has the port '6443'. Remedy: name a port "
        "that its pods listen on"
    ]


def test_a_service_without_the_port_is_not_an_error_if_another_has_it() -> None:
    members = {
        **changed(SERVICE, ports=[{"name": "members", "port": 7946}]),
        "metadata": {**SERVICE["metadata"], "name": "m"},
    }
    assert find_messages(monitor(), SERVICE, members, POD) == []


def test_a_monitor_that_no_prometheus_selects_is_named() -> None:
    picky = changed(PROMETHEUS, serviceMonitorSelector={"matchLabels": {"release": "main"}})
    snapshot = Snapshot(FakeApiClient(picky, NAMESPACE, monitor(), SERVICE, POD))
    (problem,) = monitors.find_problems(snapshot)
    assert problem.reason == "no Prometheus selects it"


def test_a_component_that_does_not_run_yet_is_not_a_problem() -> None:
    deployment = build("apps/v1", "Deployment", "web", spec={"template": {"metadata": {"labels": APP}}})
    assert find_messages(monitor(), SERVICE, deployment) == []
    assert find_messages(monitor("PodMonitor")) == []


def test_a_monitor_of_later_services_may_match_nothing_if_others_select_all_services() -> None:
    models = {"part-of": "models"}
    later = build(monitors.API, "ServiceMonitor", "models", spec={"selector": {"matchLabels": models}, "endpoints": []})
    assert find_messages(monitor(), later, SERVICE, POD) == []
    unselected = changed_labels(
        {**SERVICE, "metadata": {**SERVICE["metadata"], "name": "other"}}, {"part-of": "modles"}
    )
    (message,) = find_messages(monitor(), later, SERVICE, POD, unselected)
    assert "part-of=models matches no Service" in message
