"""Objects that somebody deletes or edits by hand are found, whether Helm installed or the program declared them.

Proves this on a real control plane with the real Helm, for the objects of a small release and of an engine's state, and
that the remedies restore them. Edits of kinds other than workloads and ConfigMaps are not covered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rehearsal.helm import cli
from rehearsal.helm.releases.installed_objects import list_installed
from rehearsal.helm.releases.resources import Releases
from rehearsal.kubernetes.client import ApiClient
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.provider.declared_objects import list_declared
from rehearsal.kubernetes.readiness.presence import find_deviations
from tests.support.release_charts import SETTINGS, WEB
from tests.support.waiting import eventually

_DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations: {example.org/name: "no name"}
  name: NAME.example.org
spec:
  group: example.org
  scope: Namespaced
  names: {kind: KIND, plural: NAME}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""


def _find_problems(api: ApiClient, namespace: str) -> list[str]:
    groups = [group for group in list_installed(api) if group.namespace == namespace]
    return [deviation.problem.message for deviation in find_deviations(api, groups)]


@pytest.mark.skipif(not cli.is_available(), reason="no Helm on this machine, and none could be built")
def test_deleted_and_edited_objects_of_a_release_are_found_and_a_rollback_restores_them(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    api, number = plane.api, namespace.replace("-", "")
    definition = _DEFINITION.replace("NAME", number).replace("KIND", number.title())
    releases.install(chart(SETTINGS, WEB, definition), None)
    assert _find_problems(api, namespace) == []

    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace}}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": namespace}}
    containers = [{"name": "main", "image": "registry.example/other:2"}]
    api.patch(web, {"spec": {"template": {"spec": {"containers": containers}}}})
    api.patch(settings, {"data": {"level": "9"}})
    edited = _find_problems(api, namespace)
    assert [message.partition(" not as ")[0] for message in edited] == [
        f"ConfigMap {namespace}/settings: data.level",
        f"Deployment {namespace}/web: spec.template.spec.containers[0].image, "
        "spec.template.spec.containers[0].resources.requests",
    ]

    api.delete("apps/v1", "Deployment", "web", namespace)
    api.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{number}.example.org")
    eventually(lambda: api.get("apps/v1", "Deployment", "web", namespace) is None)  # its pods are deleted first
    missing = [message for message in _find_problems(api, namespace) if "it is missing" in message]
    assert [message.split(":")[0] for message in missing] == [
        f"CustomResourceDefinition {number}.example.org",
        f"Deployment {namespace}/web",
    ]
    remedy = f"helm rollback {namespace} 1 --namespace {namespace}"
    assert remedy in missing[1]
    kubeconfig = ["--kubeconfig", str(plane.kubeconfig)]
    reply = cli.run([*remedy.split()[1:], *kubeconfig], timeout=60)
    assert reply.returncode == 0, reply.stderr
    assert _find_problems(api, namespace) == []


def test_deleted_objects_of_the_program_are_found(plane: ControlPlane, namespace: str) -> None:
    kept = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    gone = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gone", "namespace": namespace}, "data": {}}
    resources = [
        {"type": f"kubernetes:core/v1:{found['kind']}", "custom": True, "outputs": found} for found in (kept, gone)
    ]
    (found,) = find_deviations(plane.api, list_declared(json.dumps({"deployment": {"resources": resources}})))
    assert found.problem.workload == f"ConfigMap {namespace}/gone"
    assert found.problem.remedy == "Run `pulumi refresh`, then `pulumi up`, which create it again."


def test_a_change_by_an_autoscaler_is_not_an_edit(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    scaler = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 5}
"""
    releases.install(chart(WEB.replace("spec:\n  selector", "spec:\n  replicas: 1\n  selector"), scaler), None)
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace}}
    plane.api.patch(web, {"spec": {"replicas": 2}})
    assert _find_problems(plane.api, namespace) == []
