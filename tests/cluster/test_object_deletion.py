"""Objects that are deleted by the engine or outside of it, through the simulated provider, on a real API server."""

from __future__ import annotations

import pytest
from pulumi.runtime.proto import provider_pb2

from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from tests.support.api_objects import config_map, data_of, values
from tests.support.provider_client import AbortedError, Engine

NONE = provider_pb2.DiffResponse.DIFF_NONE
# Seconds for the namespace controller to list all kinds, at twenty a second; other tests' charts install many.
_NAMESPACE_TIMEOUT = 30


def test_an_object_that_was_deleted_outside_is_reported_as_such(
    plane: ControlPlane, engine: Engine, namespace: str
) -> None:
    resource = engine.resource(config_map(namespace, a="b"))
    resource.create()
    plane.api.delete("v1", "ConfigMap", "settings", namespace, propagation_policy="Background")
    assert resource.read().id == ""
    assert resource.diff(resource.inputs).changes == NONE
    with pytest.raises(AbortedError, match=r"deleted outside Pulumi"):
        resource.update(values(config_map(namespace, a="c")))
    resource.delete()


def test_a_delete_waits_until_the_object_is_deleted(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    resource = engine.resource(config_map(namespace, a="b"))
    resource.create()
    resource.delete()
    assert data_of(plane, namespace) is None
    assert [entry[0] for entry in engine.journal] == ["create", "delete"]


def test_a_delete_that_times_out_names_the_finalizer(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    manifest = config_map(namespace, a="b")
    manifest["metadata"]["finalizers"] = ["example.com/gone"]
    resource = engine.resource(manifest)
    resource.create()
    with pytest.raises(AbortedError, match=r"not deleted after 0\.5 s: finalizer example\.com/gone[.;].*controller"):
        resource.delete(timeout=0.5)
    plane.api.patch(manifest, {"metadata": {"finalizers": None}})


def test_a_namespace_delete_that_times_out_names_its_remaining_contents(plane: ControlPlane, engine: Engine) -> None:
    space = engine.resource({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "held"}})
    space.create()
    manifest = config_map("held", a="b")
    manifest["metadata"]["finalizers"] = ["example.com/gone"]
    plane.api.create(manifest)
    with pytest.raises(AbortedError, match=r"configmaps\. has 1 resource instances.*example\.com/gone in 1") as caught:
        space.delete(timeout=_NAMESPACE_TIMEOUT)
    assert "its controller" in str(caught.value)
    plane.api.patch(manifest, {"metadata": {"finalizers": None}})
