"""Changes, replacements, projections and messages of objects, tested on plain values.

That the API server agrees is tested in tests/cluster.
"""

from __future__ import annotations

from typing import Any

import pytest

from kernel.paths import Path, parse_path
from rehearsal.kubernetes.client import ApiError
from rehearsal.kubernetes.provider import projection
from rehearsal.kubernetes.provider.errors import format_error
from rehearsal.kubernetes.provider.replacement import (
    Mutability,
    apply_ignore_changes,
    find_changes,
    find_immutable_fields,
    select_replacing,
)
from rehearsal.simulator.core.values import Values


def thing(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "y"}, **fields}


def test_a_list_counts_as_one_value() -> None:
    old = {"a": [1, 2], "b": {"c": 1, "d": 2}, "e": 1}
    assert list(find_changes(old, {"a": [1, 3], "b": {"c": 1}, "e": 1})) == [("a",), ("b", "d")]


@pytest.mark.parametrize(
    ("kind", "path", "replaces"),
    [
        ("apps/v1 Deployment", "spec.selector.matchLabels.app", True),
        ("apps/v1 Deployment", "spec.template", False),
        ("apps/v1 StatefulSet", "spec.volumeClaimTemplates", True),
        ("batch/v1 Job", "spec.template.spec.containers", True),
        ("batch/v1 Job", "spec.ttlSecondsAfterFinished", False),
        ("v1 Pod", "spec.containers", True),
        ("v1 PersistentVolumeClaim", "spec.resources.requests.storage", False),
        ("rbac.authorization.k8s.io/v1 RoleBinding", "roleRef.name", True),
        ("rbac.authorization.k8s.io/v1 RoleBinding", "subjects", False),
        ("storage.k8s.io/v1 StorageClass", "parameters", True),
        ("v1 Service", "spec.clusterIP", True),
        ("v1 Secret", "type", True),
        ("example.com/v1 Deployment", "spec.selector", False),
        ("v1 ConfigMap", "metadata.labels.a", False),
        ("v1 ConfigMap", "metadata.name", True),
    ],
)
def test_force_new_fields_replace_the_object(kind: str, path: str, replaces: bool) -> None:
    some = thing(*kind.split())
    mutability = Mutability(config_maps=True, secrets=True)
    assert select_replacing([parse_path(path)], some, some, mutability) == ([parse_path(path)] if replaces else [])


@pytest.mark.parametrize(("old", "replaces"), [("apps/v1beta1", False), ("extensions/v1beta1", True), ("v1", True)])
def test_another_api_group_replaces_but_another_version_does_not(old: str, replaces: bool) -> None:
    change = [("apiVersion",)]
    found = select_replacing(change, thing(old, "Deployment"), thing("apps/v1", "Deployment"), Mutability())
    assert found == (change if replaces else [])


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_data_replaces_unless_the_provider_is_configured_as_mutable(kind: str) -> None:
    change: list[Path] = [("data", "a")]
    some, frozen = thing("v1", kind), thing("v1", kind, immutable=True)
    mutable = Mutability(config_maps=True, secrets=True)
    assert select_replacing(change, some, some, Mutability()) == change
    assert select_replacing(change, some, some, mutable) == []
    assert select_replacing(change, frozen, frozen, mutable) == change


def test_only_fields_that_the_error_reports_as_immutable_are_found() -> None:
    causes = [
        {"field": "spec.selector", "message": "Invalid value: {}: field is immutable"},
        {"field": "spec.replicas", "message": "must be greater than or equal to 0"},
    ]
    assert find_immutable_fields(ApiError(422, "Invalid", "", {"causes": causes})) == [("spec", "selector")]
    assert find_immutable_fields(ApiError(403, "Forbidden", "", {"causes": causes})) == []


def test_an_ignored_field_keeps_its_live_value_and_its_manager() -> None:
    managed = [
        {"manager": "ours", "fieldsV1": {"f:spec": {"f:image": {}, "f:paused": {}}}},
        {"manager": "autoscaler", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:image": {}}}},
    ]
    live = {"metadata": {"managedFields": managed}, "spec": {"replicas": 7, "image": "live", "paused": True}}
    wanted = {"spec": {"replicas": 1, "image": "mine", "paused": False}}
    found = apply_ignore_changes(wanted, live, ["spec.replicas", "spec.image"], "ours")
    assert found == {"spec": {"image": "live", "paused": False}}
    assert wanted["spec"]["replicas"] == 1, "the argument is not modified"


def test_secrets_within_lists_make_the_list_secret() -> None:
    inputs = Values({"spec": {"env": [{"value": "hunter2"}]}}, {("spec", "env", 0, "value")})
    live = thing("v1", "Pod", spec={"env": [{"value": "injected"}, {"value": "hunter2"}]})
    assert projection.to_outputs(live, inputs, "m").secrets == {("spec", "env")}


@pytest.mark.parametrize("quoted", ["hunter2", '"hunter2"', "map[pin:hunter2]", "aHVudGVyMg=="])
def test_a_message_is_redacted_of_a_secrets_values(quoted: str) -> None:
    secret = Values(thing("v1", "Secret", stringData={"pin": "hunter2"}))
    message = projection.redact(f"Invalid value: {quoted}", secret)
    assert "[secret]" in message
    assert "hunter2" not in message
    assert "aHVudGVyMg" not in message


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ('failed calling webhook "a.b": no endpoints available', "has to be ready before"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "securityContext"),
        ('pods "x" is forbidden: exceeded quota: quota', "ResourceQuota"),
        ('Apply failed with 2 conflicts: conflicts with "kubectl"', "patchForce"),
    ],
)
def test_an_error_of_the_api_server_has_a_remedy(message: str, remedy: str) -> None:
    formatted = format_error(ApiError(500, "", message))
    assert formatted.startswith(message)
    assert remedy in formatted
