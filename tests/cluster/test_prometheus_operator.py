"""The Prometheus operator runs as a real process beside the control plane once its chart is installed.

Proves that it creates the StatefulSets of Prometheus and Alertmanager, with their volumes and requests, and that its
webhook accepts the platform's rules and rejects one that is not valid PromQL. Does not prove that anything is scraped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from infra.cluster import create_platform
from rehearsal.kubernetes.client import ApiError, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.controllers.manager import ControllerManager, ensure_programs
from rehearsal.kubernetes.readiness import workloads
from tests.support.chart_installation import find_condition, install_chart
from tests.support.foundations import sample_foundation
from tests.support.recording import record_program, stack_context
from tests.support.waiting import eventually

_NAMESPACE = "prometheus-operator"
_VERSION = "monitoring.coreos.com/v1"
_CLAIM = "prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec"
_VALUES = (
    f"{_CLAIM}.storageClassName=by-hand",
    f"{_CLAIM}.resources.requests.storage=50Gi",
    "prometheus.prometheusSpec.resources.requests.memory=2Gi",
    "grafana.enabled=false",
    "kubeStateMetrics.enabled=false",
    "nodeExporter.enabled=false",
)


@pytest.fixture(scope="module")
def controllers(plane: ControlPlane, egress: EgressProxy) -> Iterator[ControllerManager]:
    found = ensure_programs(["kube-prometheus-stack"])
    if not found:
        pytest.skip("the Prometheus operator is not available")
    controllers = ControllerManager(plane, egress, found)
    with controllers.run():
        for manifest in _storage_manifests():
            plane.api.create(manifest)
        install_chart(plane, "kube-prometheus-stack-88.5.3", _NAMESPACE, *_VALUES)
        yield controllers


def test_prometheus_gets_pods_with_its_volume_and_memory(plane: ControlPlane, controllers: ControllerManager) -> None:
    name = "kube-prometheus-stack-prometheus"
    eventually(
        lambda: (
            find_condition(plane.api.get(_VERSION, "Prometheus", name, _NAMESPACE), "Available").get("status") == "True"
        )
    )

    (claim,) = plane.api.list("v1", "PersistentVolumeClaim", _NAMESPACE)
    assert claim["spec"]["resources"]["requests"] == {"storage": "50Gi"}
    assert claim["status"]["phase"] == "Bound"
    pod = plane.api.get("v1", "Pod", f"prometheus-{name}-0", _NAMESPACE)
    assert pod is not None
    assert _container(pod, "prometheus")["resources"]["requests"]["memory"] == "2Gi"
    assert "Prometheus" in controllers.served_kinds()
    assert not controllers.problems()


@pytest.mark.usefixtures("controllers")
def test_alertmanager_gets_its_stateful_set(plane: ControlPlane) -> None:
    name = "alertmanager-kube-prometheus-stack-alertmanager"

    eventually(lambda: plane.api.get("apps/v1", "StatefulSet", name, _NAMESPACE))


@pytest.mark.usefixtures("controllers")
def test_the_webhook_of_the_operator_accepts_every_rule_of_the_platform(plane: ControlPlane, namespace: str) -> None:
    recorder, _ = record_program(lambda: create_platform(stack_context("azure"), sample_foundation()))
    rules = [item.inputs for item in recorder.resources if item.inputs.get("kind") == "PrometheusRule"]
    assert rules
    for rule in rules:
        created = plane.api.create({**rule, "metadata": {**rule["metadata"], "namespace": namespace}})
        assert created["spec"] == rule["spec"]


@pytest.mark.usefixtures("controllers")
def test_the_webhook_of_the_operator_rejects_an_invalid_rule(plane: ControlPlane, namespace: str) -> None:
    rule = {"alert": "Broken", "expr": "sum(rate("}
    manifest = {
        "apiVersion": _VERSION,
        "kind": "PrometheusRule",
        "metadata": {"name": "broken", "namespace": namespace},
        "spec": {"groups": [{"name": "broken", "rules": [rule]}]},
    }

    with pytest.raises(ApiError, match="denied the request: Rules are not valid"):
        plane.api.create(manifest)


@pytest.mark.usefixtures("controllers")
def test_a_condition_that_the_operator_reports_is_a_problem(plane: ControlPlane, namespace: str) -> None:
    claim = {"storageClassName": "nowhere", "resources": {"requests": {"storage": "1Gi"}}}
    manifest = {
        "apiVersion": _VERSION,
        "kind": "Prometheus",
        "metadata": {"name": "volumeless", "namespace": namespace},
        "spec": {"storage": {"volumeClaimTemplate": {"spec": claim}}},
    }

    plane.api.create(manifest)

    (problem,) = eventually(lambda: workloads.find_problems(plane.api, namespace))
    assert problem.workload == f"Prometheus {namespace}/volumeless"
    assert 'storage class "nowhere" does not exist' in problem.reason


def test_a_controller_of_another_version_is_simulated(plane: ControlPlane, controllers: ControllerManager) -> None:
    name = "kube-prometheus-stack-operator"
    deployment = plane.api.get("apps/v1", "Deployment", name, _NAMESPACE)
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    image = container["image"].rpartition(":")[0] + ":v0.92.0"
    template = {"spec": {"containers": [{**container, "image": image}]}}

    plane.api.patch(deployment, {"spec": {"template": template}})

    note = "the Prometheus operator: its image has version 0.92.0, the available program 0.93.1"
    eventually(lambda: note in controllers.notes())
    eventually(lambda: not controllers.served_kinds())


def _storage_manifests() -> Sequence[Object]:
    """A StorageClass, and the volume that a cloud's provisioner would create."""
    volume = {
        "storageClassName": "by-hand",
        "capacity": {"storage": "50Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/nowhere"},
    }
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "by-hand"},
            "provisioner": "kubernetes.io/no-provisioner",
        },
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "for-prometheus"}, "spec": volume},
    ]


def _container(pod: Object, name: str) -> Any:
    return next(each for each in pod["spec"]["containers"] if each["name"] == name)
