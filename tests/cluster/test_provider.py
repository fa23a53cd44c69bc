"""The provider protocol beyond objects: configuration, cancellation, and releases with the real Helm.

Releases themselves are tested in test_releases.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from kernel.values import UNKNOWN
from rehearsal import toolchain
from rehearsal.helm import charts, cli
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.simulator.core.values import Values
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.support import chart_packages
from tests.support.provider_client import SETTINGS, AbortedError, Context, Engine, Resource

CHART = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {pin: "{{ .Values.pin }}"}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, annotations: {helm.sh/hook: "post-install,post-upgrade"}}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {rehearsal.groundwork/exit-code: "{{ .Values.code }}"}}
    spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example/once:1"}]}
"""

Make = Callable[..., Resource]


@pytest.fixture
def release(engine: Engine, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Builds a release of a chart with a ConfigMap and a Job, whose exit code is an argument."""
    if not cli.is_available():
        pytest.skip("no Helm on this machine, and none could be built")
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(toolchain, "CACHE", tmp_path / "cache")
    chart_packages.package(tmp_path, "toy", {"all.yaml": CHART})

    def make(code: Any = "0") -> Resource:
        toy = {"chart": "toy", "version": chart_packages.VERSION, "name": "toy", "namespace": namespace, "timeout": 20}
        inputs = Values({**toy, "values": {"pin": "hunter2", "code": code}}, {("values", "pin")})
        return Resource(engine.provider, RELEASE, inputs, Values())

    return make


def test_a_release_is_installed_read_and_uninstalled(plane: ControlPlane, engine: Engine, release: Make) -> None:
    resource = release()
    namespace = resource.inputs.plain["namespace"]
    assert resource.check() == []
    outputs = resource.create()
    assert resource.id == f"{namespace}/toy"
    assert outputs.plain["status"]["status"] == "deployed"
    assert outputs.secrets == {("values", "pin")}
    assert resource.diff(resource.inputs).changes == provider_pb2.DiffResponse.DIFF_NONE
    assert resource.read().id == resource.id
    resource.delete()
    assert plane.api.get("v1", "ConfigMap", "settings", namespace) is None
    assert resource.read().id == ""
    assert [entry[0] for entry in engine.journal] == ["create", "delete"]


def test_a_preview_of_a_release_installs_nothing(plane: ControlPlane, release: Make) -> None:
    for resource in (release(), release(code=UNKNOWN)):
        resource.create(preview=True)
    assert plane.api.get("v1", "ConfigMap", "settings", resource.inputs.plain["namespace"]) is None


def test_a_failed_release_is_recorded_and_repaired_by_the_next_update(engine: Engine, release: Make) -> None:
    resource = release(code="1")
    with pytest.raises(AbortedError, match=r"BackoffLimitExceeded") as caught:
        resource.create()
    assert caught.value.init_failed is not None
    assert resource.outputs.plain["status"]["status"] == "failed"
    assert "hunter2" not in str(caught.value) + str(engine.journal)
    assert resource.update(release().inputs).plain["status"]["status"] == "deployed"


def test_the_provider_is_replaced_for_another_cluster_only(engine: Engine) -> None:
    def replaces(old: dict[str, str], new: dict[str, str]) -> list[str]:
        wires = {"old_inputs": Values(dict(old)).to_wire(), "news": Values(dict(new)).to_wire()}
        urn = "urn:pulumi:test::groundwork::pulumi:providers:kubernetes::kubernetes"
        return list(engine.provider.DiffConfig(provider_pb2.DiffRequest(urn=urn, **wires), Context()).replaces)

    here, there = ({"kubeconfig": f"clusters: [{{cluster: {{server: {name}}}}}]"} for name in ("here", "there"))
    assert replaces(here, there) == ["kubeconfig"]
    assert replaces(here, {"kubeconfig": here["kubeconfig"] + "\nusers: []"}) == []
    assert replaces(here | {"clusterIdentifier": "a"}, there | {"clusterIdentifier": "a"}) == []
    assert replaces(here | {"clusterIdentifier": "a"}, here | {"clusterIdentifier": "b"}) == ["clusterIdentifier"]


def test_a_cancel_ends_a_wait(engine: Engine, namespace: str) -> None:
    forever = {"pulumi.com/waitFor": "jsonpath={.data.never}"}
    metadata = {"name": "never", "namespace": namespace, "annotations": forever}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    threading.Timer(0.3, engine.provider.Cancel, [None, None]).start()
    started = time.monotonic()
    with pytest.raises(AbortedError, match="cancelled"):
        engine.resource(manifest).create()
    assert time.monotonic() - started < 30
    engine.configure(SETTINGS)
    with pytest.raises(AbortedError, match="not ready after"):
        engine.resource(manifest).create(timeout=0.2)


def test_an_object_without_a_namespace_gets_the_providers_namespace(engine: Engine) -> None:
    engine.configure({**SETTINGS, "namespace": "kube-public"})
    resource = engine.resource({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
    resource.check()
    assert resource.inputs.plain["metadata"]["namespace"] == "kube-public"
    space = engine.resource({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
    space.check()
    assert "namespace" not in space.inputs.plain["metadata"]
