"""Objects through the simulated provider, on a real API server: previews, differences, replacements, drift.

Tests the provider's responses for single objects. That the engine acts on them is tested in tests/engine; waiting for
objects is tested in test_await_logic, deletions in test_object_deletion.
"""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from kernel.values import UNKNOWN
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.simulator.core.values import Values
from tests.support.api_objects import config_map, data_of, values
from tests.support.provider_client import SETTINGS, AbortedError, Engine

NONE, SOME = provider_pb2.DiffResponse.DIFF_NONE, provider_pb2.DiffResponse.DIFF_SOME


def secret(namespace: str, **texts: Any) -> dict[str, Any]:
    return config_map(namespace, "login") | {"kind": "Secret", "stringData": texts, "data": None}


def claim(namespace: str, size: str = "1Gi", class_: str = "none") -> dict[str, Any]:
    spec = {"storageClassName": class_, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    metadata = {"name": "disk", "namespace": namespace, "annotations": {"pulumi.com/skipAwait": "true"}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def test_a_created_object_is_in_the_cluster_and_in_the_outputs(
    plane: ControlPlane, engine: Engine, namespace: str
) -> None:
    resource = engine.resource(config_map(namespace, a="b"))
    assert resource.check() == []
    outputs = resource.create().plain
    assert resource.id == f"{namespace}/settings"
    assert data_of(plane, namespace) == outputs["data"] == {"a": "b"}
    assert outputs["metadata"]["uid"]
    assert "managedFields" not in outputs["metadata"]
    assert engine.journal == [("create", "kubernetes:core/v1:ConfigMap", resource.urn, "done")]


def test_a_preview_creates_nothing_and_returns_the_dry_run(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    manifest = claim(namespace)
    outputs = engine.resource(manifest).create(preview=True).plain
    assert outputs["spec"]["volumeMode"] == "Filesystem", "a default of the API server"
    assert "status" not in outputs
    assert plane.api.get("v1", "PersistentVolumeClaim", "disk", namespace) is None
    assert engine.journal == []


def test_a_preview_fails_if_the_api_server_rejects_the_object(engine: Engine, namespace: str) -> None:
    with pytest.raises(AbortedError, match=r"spec.accessModes: Unsupported value"):
        engine.resource(claim(namespace) | {"spec": {**claim(namespace)["spec"], "accessModes": ["Often"]}}).create(
            preview=True
        )


@pytest.mark.parametrize(
    "manifest",
    [
        config_map("not-there-yet", a="b"),
        config_map("default", a=UNKNOWN),
        config_map("default") | {"apiVersion": "example.com/v1", "kind": "NotThereYet"},
    ],
)
def test_a_preview_passes_objects_that_only_the_real_run_can_check(engine: Engine, manifest: dict[str, Any]) -> None:
    assert engine.resource(manifest).create(preview=True).plain == manifest


def test_a_missing_namespace_is_the_api_servers_error_with_the_remedy(engine: Engine) -> None:
    with pytest.raises(AbortedError, match=r'namespaces "nowhere" not found.*depends_on'):
        engine.resource(config_map("nowhere")).create(timeout=0.1)
    assert engine.journal[0][3].startswith('refused: namespaces "nowhere" not found')


def test_a_create_waits_for_a_namespace_that_is_created_at_the_same_time(plane: ControlPlane, engine: Engine) -> None:
    late = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}}
    timer = threading.Timer(0.7, plane.api.create, [late])
    timer.start()
    engine.resource(config_map("late", a="b")).create(timeout=10)
    timer.join()
    plane.api.delete("v1", "Namespace", "late")


def test_equal_inputs_are_not_a_change(engine: Engine, namespace: str) -> None:
    resource = engine.resource(claim(namespace))
    resource.create()
    assert resource.diff(resource.inputs).changes == NONE


def test_values_that_the_api_server_normalizes_to_the_same_value_are_not_a_change(
    engine: Engine, namespace: str
) -> None:
    resource = engine.resource(claim(namespace, size="1Gi"))
    resource.create()
    assert resource.diff(values(claim(namespace, size="1024Mi"))).changes == NONE


@pytest.mark.parametrize("property_", ["apiVersion", "kind", "metadata", "spec"])
def test_a_property_that_is_not_known_yet_is_a_change(engine: Engine, namespace: str, property_: str) -> None:
    """The engine sends this for an object that depends on a resource that a preview deletes before replacing it."""
    resource = engine.resource(claim(namespace))
    resource.create()
    assert resource.diff(values({**claim(namespace), property_: UNKNOWN})).changes == SOME


def test_a_change_is_an_update_in_place(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    resource = engine.resource(config_map(namespace, a="b"))
    resource.create()
    changed = values(config_map(namespace, a="c", d="e"))
    found = resource.diff(changed)
    assert (found.changes, list(found.replaces)) == (SOME, [])
    assert sorted(found.detailedDiff) == ["data.a", "data.d"]
    assert resource.update(changed, preview=True).plain["data"] == {"a": "c", "d": "e"}
    assert data_of(plane, namespace) == {"a": "b"}, "a preview changes nothing"
    resource.update(changed)
    assert data_of(plane, namespace) == {"a": "c", "d": "e"}
    resource.update(values(config_map(namespace, a="c")))
    assert data_of(plane, namespace) == {"a": "c"}, "a field that is no longer declared is removed"


def test_fields_that_the_program_does_not_declare_are_not_in_the_difference(engine: Engine, namespace: str) -> None:
    service = config_map(namespace) | {"kind": "Service", "data": None, "spec": {"ports": [{"port": 80}]}}
    resource = engine.resource(service)
    resource.inputs = values(service)
    resource.create()
    found = resource.diff(values(service | {"spec": {"ports": [{"port": 80}], "type": "NodePort"}}))
    assert sorted(found.detailedDiff) == ["spec.ports", "spec.type"], "and not spec.externalTrafficPolicy"


def test_drift_in_declared_fields_is_a_change(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    resource = engine.resource(config_map(namespace, a="b"))
    resource.create()
    plane.api.patch(config_map(namespace), {"data": {"extra": "1"}})
    assert resource.diff(resource.inputs).changes == NONE, "fields that others add are ignored"
    plane.api.patch(config_map(namespace), {"data": None})
    found = resource.diff(resource.inputs)
    assert list(found.detailedDiff) == ["data"]


def test_another_name_or_namespace_replaces_the_object(engine: Engine, namespace: str) -> None:
    resource = engine.resource(config_map(namespace, a="b"))
    resource.create()
    renamed = resource.diff(values(config_map(namespace, "other", a="b")))
    assert (list(renamed.replaces), renamed.deleteBeforeReplace) == (["metadata.name"], False)
    moved = resource.diff(values(config_map("default", a="b")))
    assert list(moved.replaces) == ["metadata.namespace"]


def test_a_force_new_field_replaces_the_object_after_deleting_it(engine: Engine, namespace: str) -> None:
    resource = engine.resource(claim(namespace, class_="slow"))
    resource.create()
    found = resource.diff(values(claim(namespace, class_="fast")))
    assert list(found.replaces) == ["spec.storageClassName"]
    assert found.deleteBeforeReplace


def test_a_field_that_the_api_server_reports_as_immutable_replaces_the_object(engine: Engine, namespace: str) -> None:
    resource = engine.resource(config_map(namespace, a="b") | {"immutable": True})
    resource.create()
    found = resource.diff(values(config_map(namespace, a="c")))
    assert sorted(found.replaces) == ["data.a", "immutable"]
    assert found.deleteBeforeReplace


@pytest.mark.parametrize(("settings", "replaces"), [(SETTINGS, []), ({}, ["data.a"])])
def test_data_changes_in_place_only_if_the_provider_is_configured_to(
    engine: Engine, namespace: str, settings: dict[str, str], replaces: list[str]
) -> None:
    engine.configure({"kubeconfig": SETTINGS["kubeconfig"]} | settings)
    resource = engine.resource(config_map(namespace, a="b"))
    resource.create()
    assert list(resource.diff(values(config_map(namespace, a="c"))).replaces) == replaces


def test_the_data_of_a_secret_stays_secret(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    resource = engine.resource(secret(namespace, pin="hunter2"))
    resource.inputs = values(resource.inputs.plain)
    assert resource.check() == []
    assert resource.inputs.secrets == {("stringData",)}
    assert resource.create().secrets == {("data",)}
    assert data_of(plane, namespace, "Secret", "login") == {"pin": "aHVudGVyMg=="}
    assert resource.diff(resource.inputs).changes == NONE
    found = resource.diff(values(secret(namespace, pin="hunter3")))
    assert list(found.detailedDiff) == ["stringData.pin"]


def test_messages_and_journal_contain_no_secret_value(engine: Engine, namespace: str) -> None:
    resource = engine.resource(config_map(namespace) | {"metadata": {"name": "Hunter_2", "namespace": namespace}})
    resource.inputs.secrets.add(("metadata", "name"))
    with pytest.raises(AbortedError) as caught:
        resource.create()
    assert "Hunter_2" not in str(caught.value)
    assert "[secret]" in str(caught.value)
    assert "Hunter_2" not in str(engine.journal)


def test_an_existing_object_is_not_adopted(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    plane.api.create(config_map(namespace, theirs="1"))
    with pytest.raises(AbortedError, match=r"already exists.*alias.*import"):
        engine.resource(config_map(namespace, ours="1")).create()
    assert data_of(plane, namespace) == {"theirs": "1"}
    engine.configure({**SETTINGS, "upsertExistingObjects": "true"})
    engine.resource(config_map(namespace, ours="1")).create()
    assert data_of(plane, namespace) == {"theirs": "1", "ours": "1"}


def test_an_object_of_an_interrupted_run_of_the_same_resource_is_adopted(engine: Engine, namespace: str) -> None:
    engine.resource(config_map(namespace, a="b")).create()
    engine.resource(config_map(namespace, a="c")).create()


def test_a_field_manager_conflict_is_an_error_unless_forced(
    plane: ControlPlane, engine: Engine, namespace: str
) -> None:
    resource = engine.resource(config_map(namespace, a="b"))
    resource.create()
    plane.api.apply(config_map(namespace, a="theirs"), "kubectl-edit", force=True)
    changed = config_map(namespace, a="ours")
    with pytest.raises(AbortedError, match=r'conflict with "kubectl-edit": \.data\.a.*patchForce'):
        resource.update(values(changed))
    assert data_of(plane, namespace) == {"a": "theirs"}
    changed["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
    resource.update(values(changed))
    assert data_of(plane, namespace) == {"a": "ours"}


def test_an_ignored_field_keeps_its_live_value(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    resource = engine.resource(config_map(namespace, a="b", c="d"))
    resource.create()
    plane.api.apply(config_map(namespace, a="theirs"), "kubectl-edit", force=True)
    assert resource.diff(resource.inputs, ignored=["data.a"]).changes == NONE
    resource.update(values(config_map(namespace, a="b", c="changed")), ignored=["data.a"])
    assert data_of(plane, namespace) == {"a": "theirs", "c": "changed"}


def test_a_refresh_reports_drift_in_declared_fields_only(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    resource = engine.resource(config_map(namespace, a="b"))
    resource.create()
    plane.api.patch(config_map(namespace), {"data": {"a": "drifted", "extra": "1"}})
    found = resource.read()
    assert Values.from_wire(found.inputs).plain == values(config_map(namespace, a="drifted")).plain
    assert Values.from_wire(found.properties).plain["data"] == {"a": "drifted", "extra": "1"}


def test_a_refreshed_secret_is_compared_as_text(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    resource = engine.resource({key: value for key, value in secret(namespace, pin="1").items() if value is not None})
    resource.create()
    plane.api.patch(secret(namespace), {"stringData": {"pin": "2"}})
    inputs = Values.from_wire(resource.read().inputs)
    assert inputs.plain["stringData"] == {"pin": "2"}
    assert inputs.secrets == {("stringData",)}


def test_an_import_returns_the_fields_that_can_be_declared(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    plane.api.create(config_map(namespace, a="b"))
    resource = engine.resource({"apiVersion": "v1", "kind": "ConfigMap"})
    resource.inputs, resource.id = Values(), f"{namespace}/settings"
    assert Values.from_wire(resource.read().inputs).plain == values(config_map(namespace, a="b")).plain


def test_a_custom_kind_works_like_any_other(engine: Engine, namespace: str) -> None:
    schema = {"type": "object", "x_kubernetes_preserve_unknown_fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    definition = engine.resource(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "boxes.objects.example.com"},
            "spec": {
                "group": "objects.example.com",
                "names": {"kind": "Box", "plural": "boxes"},
                "scope": "Namespaced",
                "versions": [version],
            },
        }
    )
    assert definition.check() == []
    outputs = definition.create().plain
    assert "x_kubernetes_preserve_unknown_fields" in outputs["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    box = engine.resource(
        config_map(namespace, "box") | {"apiVersion": "objects.example.com/v1", "kind": "Box", "data": None, "size": 1}
    )
    box.inputs = values(box.inputs.plain)
    # Otherwise the garbage collector has to discover the kind first, which takes half a minute.
    box.inputs.plain["metadata"]["annotations"] = {"pulumi.com/deletionPropagationPolicy": "background"}
    box.create()
    assert list(box.diff(Values({**box.inputs.plain, "size": 2})).detailedDiff) == ["size"]
    box.delete()
    definition.delete()


def test_a_namespace_in_the_state_of_a_cluster_wide_object_is_not_a_change(engine: Engine) -> None:
    node_class = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "fast"},
        "handler": "fast",
    }
    resource = engine.resource(node_class)
    resource.inputs.plain["metadata"] = {"name": "fast", "namespace": "default"}
    resource.create()
    assert resource.id == "fast"
    assert resource.diff(values(node_class)).changes == NONE
    resource.delete()


def test_a_name_is_generated_once_if_the_program_sets_none(engine: Engine, namespace: str) -> None:
    resource = engine.resource(config_map(namespace) | {"metadata": {"namespace": namespace}}, name="Made")
    assert resource.check() == []
    metadata = resource.inputs.plain["metadata"]
    assert re.fullmatch(r"made-[0-9a-f]{8}", metadata["name"])
    assert metadata["annotations"] == {"pulumi.com/autonamed": "true"}


def test_patch_resources_are_rejected_with_a_clear_message(engine: Engine) -> None:
    patch = engine.resource({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
    patch.type += "Patch"
    assert patch.check() == [
        "kubernetes:core/v1:NamespacePatch: Patch resources are not simulated; declare the object itself"
    ]


def test_an_unreachable_webhook_is_named_with_the_remedy(engine: Engine, namespace: str) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    webhook = {
        "name": "unreachable.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 1,
        "rules": [rule],
        "clientConfig": {"url": "https://127.0.0.1:9/review"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    hook = engine.resource({**kind, "metadata": {"name": namespace}, "webhooks": [webhook]}, name="hook")
    hook.create()
    with pytest.raises(AbortedError, match=r'failed calling webhook "unreachable.example.com".*has to be ready before'):
        engine.resource(config_map(namespace, a="b")).create()
    hook.delete()
