"""A real API server rejects mutated objects that have the right shape but are invalid.

Proves that a mutation run detects a probe without a handler, a selector that matches no pod, a custom resource that its
definition does not allow, and a kind that is not served; that the checks leave nothing in the cluster; and that an
object is equal to itself without the server's defaults. The program's own objects are tested in tests/unit/infra.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rehearsal.kubernetes.client import ApiUnreachableError, ClientConfig, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from tests.mutation.api_server import ApiServer

_LABELS = {"app": "web"}


def _deployment(namespace: str) -> Any:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}}
    container = {"name": "web", "image": "registry.example/web:1", "readinessProbe": probe}
    template = {"metadata": {"labels": _LABELS}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": {"matchLabels": _LABELS}, "template": template},
    }


def _definition(group: str) -> Object:
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"caches.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Cache", "plural": "caches", "singular": "cache"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def _cache(group: str, namespace: str, size: int) -> Object:
    metadata = {"name": "small", "namespace": namespace}
    return {"apiVersion": f"{group}/v1", "kind": "Cache", "metadata": metadata, "spec": {"size": size}}


@pytest.fixture
def server(plane: ControlPlane) -> ApiServer:
    return ApiServer(ClientConfig.from_kubeconfig(plane.kubeconfig.read_text()))


def test_valid_objects_are_accepted_and_not_created(server: ApiServer, plane: ControlPlane, namespace: str) -> None:
    declared = _deployment(namespace)
    assert list(server.learn([declared])) == []
    assert plane.api.get("apps/v1", "Deployment", "web", namespace) is None
    declared["spec"]["replicas"] = 2
    assert list(server.find_refusals([declared])) == []


def test_a_probe_without_a_handler_and_a_selector_without_pods_are_rejected(server: ApiServer, namespace: str) -> None:
    declared = _deployment(namespace)
    assert list(server.learn([declared])) == []
    mutated = copy.deepcopy(declared)
    del mutated["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]
    (refusal,) = server.find_refusals([mutated])
    assert "Deployment web" in refusal
    assert "must specify a handler type" in refusal
    mutated = copy.deepcopy(declared)
    mutated["spec"]["selector"]["matchLabels"] = {"app": "other"}
    (refusal,) = server.find_refusals([mutated])
    assert "`selector` does not match template `labels`" in refusal


def test_an_object_without_a_default_of_the_server_is_the_same_object(server: ApiServer, namespace: str) -> None:
    usual = _deployment(namespace)
    explicit, another = copy.deepcopy(usual), copy.deepcopy(usual)
    explicit["spec"]["replicas"] = 1
    another["spec"]["replicas"] = 2
    assert list(server.find_refusals([usual, explicit, another])) == []
    assert server.describe([usual]) == server.describe([explicit]) != server.describe([another])


def test_custom_resources_are_validated_against_the_definition_that_is_declared_with_them(
    server: ApiServer, namespace: str
) -> None:
    group = f"{namespace}.example.com"
    assert list(server.learn([_definition(group), _cache(group, namespace, 1)])) == []
    (refusal,) = server.find_refusals([_cache(group, namespace, 0)])
    assert "should be greater than or equal to 1" in refusal
    (refusal,) = server.find_refusals([_cache("nobody.example.com", namespace, 1)])
    assert "no matches for kind" in refusal


def test_an_unreachable_api_server_is_not_a_rejection(namespace: str) -> None:
    nowhere = ApiServer(ClientConfig("https://127.0.0.1:9", "", "", ""))
    with pytest.raises(ApiUnreachableError):
        list(nowhere.find_refusals([_deployment(namespace)]))
