"""One control plane for all tests of a worker, with two nodes; where it cannot be had they are skipped with the reason.

Tests share it, so each works in a namespace of its own and asserts on nothing else.
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
from tests.support.waiting import TIMEOUT, eventually

POOL = "user"
_NODES = ("node-1", "node-2")
_SIZE = {"cpu": "4", "memory": "16Gi", "pods": "60"}
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def egress() -> Iterator[EgressProxy]:
    proxy = EgressProxy()
    with proxy.run():
        yield proxy


@pytest.fixture(scope="session")
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
    """A fresh namespace; what is in it goes with it, some time after the test."""
    name = f"test-{next(_numbers)}"
    plane.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    plane.api.delete("v1", "Namespace", name)


@pytest.fixture
def state() -> Iterator[StateStore]:
    state = StateStore(":memory:")
    yield state
    state.close()


@pytest.fixture
def cloud(plane: ControlPlane, egress: EgressProxy, state: StateStore) -> Iterator[CloudController]:
    """The simulated cloud at work, pods on its nodes alone; afterwards nothing of it is left."""
    # Pods of tests before that wait for a node would bring one here.
    eventually(lambda: not plane.api.list("v1", "Pod", field_selector="spec.nodeName="))
    for name in _NODES:
        plane.api.patch(_node(name), {"spec": {"unschedulable": True}})
    side = CloudController(plane, state, egress)
    with side.run():
        yield side
        for record in state.all():
            state.remove(record)
        side.wait_until_converged(TIMEOUT)
    for name in _NODES:
        plane.api.patch(_node(name), {"spec": {"unschedulable": None}})


@pytest.fixture
def releases(plane: ControlPlane) -> Releases:
    return Releases(plane)


@pytest.fixture
def chart(namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Makes a chart of some templates; gives the inputs of a release of it, which is called as its namespace is."""
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(toolchain, "CACHE", tmp_path / "cache")

    def make(*templates: str, **inputs: Any) -> dict[str, Any]:
        chart_packages.package(tmp_path, "toy", {f"{number}.yaml": text for number, text in enumerate(templates)})
        toy = {"chart": "toy", "version": chart_packages.VERSION, "name": namespace, "namespace": namespace}
        return {**toy, "values": {"level": "1", "cpu": "1", "code": "0"}, "timeout": 60, **inputs}

    return make


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
        "status": {"allocatable": _SIZE, "capacity": _SIZE},
    }
