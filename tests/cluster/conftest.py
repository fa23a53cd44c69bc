"""One control plane with two nodes for all tests of a worker; the tests are skipped if its programs are missing.

Tests share it, so each works in its own namespace and asserts on nothing else. It ends with the last test of this
folder: even when idle, it takes processor time from the tests that follow.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal import toolchain
from rehearsal.helm import charts
from rehearsal.helm.releases.resources import Releases
from rehearsal.kubernetes.cloud_controller.controller import CloudController
from rehearsal.kubernetes.control_plane import programs
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane, run_control_plane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.simulator.core.state_store import StateStore
from tests.support import chart_packages
from tests.support.namespaced_cluster import NamespacedCluster, build_manifest, create_temporarily, unique_name
from tests.support.provider_client import Engine
from tests.support.waiting import TIMEOUT, eventually

POOL = "user"
_NODES = ("node-1", "node-2")
_SIZE = {"cpu": "4", "memory": "16Gi", "pods": "60"}
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def egress() -> Iterator[EgressProxy]:
    proxy = EgressProxy()
    with proxy.run():
        yield proxy


@pytest.fixture(scope="package")
def plane(egress: EgressProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    reason = programs.prepare()
    if reason:
        pytest.skip(f"no control plane: {reason}")
    with run_control_plane(tmp_path_factory.mktemp("cluster"), egress.path) as running:
        egress.attach(running)
        for name in _NODES:
            running.api.create(_node(name))
        yield running


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """A new namespace, which is deleted with its objects after the test. The deletion is not awaited."""
    name = f"test-{next(_numbers)}"
    plane.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    plane.api.delete("v1", "Namespace", name)


@pytest.fixture
def engine(plane: ControlPlane) -> Engine:
    """A client of a provider whose cluster is the control plane."""
    return Engine.create(plane)


@pytest.fixture
def cluster(plane: ControlPlane, namespace: str) -> NamespacedCluster:
    return NamespacedCluster(plane.api, namespace)


@pytest.fixture
def pool(plane: ControlPlane) -> Iterator[str]:
    """The name of a node pool with one tainted node of two cores."""
    name = unique_name("pool")
    metadata = {"labels": {"groundwork/pool": name}, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    taint = {"key": "dedicated", "value": name, "effect": "NoSchedule"}
    size = {"cpu": "2", "memory": "4Gi", "pods": "30"}
    status = {"allocatable": size, "capacity": size}
    node = build_manifest("v1", "Node", name, metadata=metadata, spec={"taints": [taint]}, status=status)
    with create_temporarily(plane.api, node):
        yield name


@pytest.fixture
def state() -> Iterator[StateStore]:
    state = StateStore(":memory:")
    yield state
    state.close()


@pytest.fixture
def cloud(plane: ControlPlane, egress: EgressProxy, state: StateStore) -> Iterator[CloudController]:
    """A running cloud controller whose nodes are the only schedulable ones; removes what it created afterwards."""
    # Otherwise unscheduled pods of earlier tests would make it add nodes.
    eventually(lambda: not plane.api.list("v1", "Pod", field_selector="spec.nodeName="))
    for name in _NODES:
        plane.api.patch(_node(name), {"spec": {"unschedulable": True}})
    controller = CloudController(plane, state, egress)
    with controller.run():
        yield controller
        for record in state.all():
            state.remove(record)
        controller.wait_until_converged(TIMEOUT)
    for name in _NODES:
        plane.api.patch(_node(name), {"spec": {"unschedulable": None}})


@pytest.fixture
def releases(plane: ControlPlane) -> Releases:
    return Releases(plane)


@pytest.fixture
def chart(namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A function that packages templates as a chart, and returns the inputs of a release named like its namespace."""
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(toolchain, "CACHE", tmp_path / "cache")

    def create_chart(*templates: str, **inputs: Any) -> dict[str, Any]:
        files = {f"{number}.yaml": text for number, text in enumerate(templates)}
        chart_packages.package(tmp_path, "toy", files, values="level: ''\ncode: 0\ncpu: ''\n")
        toy = {"chart": "toy", "version": chart_packages.VERSION, "name": namespace, "namespace": namespace}
        return {**toy, "values": {"level": "1", "cpu": "1", "code": "0"}, "timeout": 60, **inputs}

    return create_chart


def _node(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "groundwork/pool": POOL,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
            },
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "status": {
            "allocatable": _SIZE,
            "capacity": _SIZE,
            "addresses": [{"type": "Hostname", "address": name}],
        },
    }
