"""Admission rules of InferenceServices agree with the policy pack: the pack's own cases, on a real API server.

Proves that each rule denies what its control reports, in every place that has a container, and denies nothing else;
that its expression matches the types of KServe's definition; that rules may be created before that definition; and that
images may come from the stack's own registry and the registries in its setting. The defaults of KServe's webhooks, and
the pods, are tested in `test_kserve`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infra.cluster.admission import list_registries
from infra.cluster.admission_rules import RULES
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from tests.support.admission import API_VERSION, POLICY_KIND, RESTRICTED, enforce_rules, find_denial
from tests.support.chart_installation import apply_definitions
from tests.support.namespaced_cluster import unique_name
from tests.support.policies.cases import UNKNOWN_TEXT
from tests.support.policies.inference_service_cases import CASES, INFERENCE_SERVICE, annotated
from tests.support.policies.kubernetes_cases import needs
from tests.support.waiting import eventually

SERVING = "serving.kserve.io/v1beta1"
CONTROLS = [control for control, rule in RULES.items() if rule.group == "serving.kserve.io"]
REGISTRY = "k8s-inference-service-image-registry"
WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


@pytest.fixture(scope="module")
def definition(plane: ControlPlane) -> None:
    """KServe's kinds without its controller, whose webhooks would set defaults for fields that the cases leave out."""
    for kind in WEBHOOKS:  # left behind by the tests of the controller
        for found in plane.api.list(API_VERSION, kind):
            if "serving.kserve.io" in found["metadata"]["name"]:
                plane.api.delete(API_VERSION, kind, found["metadata"]["name"])
    apply_definitions(plane, "kserve-crd-v0.20.0", (SERVING, "InferenceService"))


@pytest.fixture
def models(plane: ControlPlane) -> Iterator[str]:
    """A namespace of models."""
    name = unique_name("models")
    plane.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
    yield name
    plane.api.delete("v1", "Namespace", name)


def build(namespace: str, props: Mapping[str, Any]) -> Object:
    metadata = {**props.get("metadata", {}), "name": "it", "namespace": namespace}
    spec = {"predictor": {}, **props.get("spec", {})}
    return {"apiVersion": SERVING, "kind": "InferenceService", "metadata": metadata, "spec": spec}


def deny(api: ApiClient, namespace: str, image: str) -> str:
    container = {**needs("1", "1Gi", "1Gi"), "image": image}
    return find_denial(api, build(namespace, {**annotated(), "spec": {"predictor": {"containers": [container]}}}))


@pytest.mark.usefixtures("definition")
@pytest.mark.parametrize("control", CONTROLS)
def test_a_rule_agrees_with_its_control(plane: ControlPlane, models: str, namespace: str, control: str) -> None:
    cases = [
        (name, outcome, first.props)
        for name, outcome, (first, *_) in CASES[control].expectations()
        if first.type == INFERENCE_SERVICE and outcome != "undecided" and UNKNOWN_TEXT not in str(first.props)
    ]
    mark = f"{POLICY_KIND} '{control}'"
    bad = next(props for name, _, props in cases if name == "violating0")
    with enforce_rules(plane.api, control):
        eventually(lambda: mark in find_denial(plane.api, build(models, bad)))
        for name, outcome, props in cases:
            message = find_denial(plane.api, build(models, props))
            assert message.startswith("Forbidden: ") == (mark in message) == (outcome == "fails"), (
                f"{name}: {props}: {message}"
            )
            assert outcome == "fails" or message == "", f"{name}: {props}: {message}"
        assert find_denial(plane.api, build(namespace, bad)) == ""
        policy = plane.api.get(API_VERSION, POLICY_KIND, control)
        assert policy
        assert policy["status"].get("typeChecking", {}).get("expressionWarnings", []) == []


@pytest.mark.usefixtures("definition")
def test_images_come_from_the_stacks_own_registry_and_those_of_its_setting(plane: ControlPlane, models: str) -> None:
    registries = list_registries(("registry.example.com/ml/*",), "ours.azurecr.io")
    with enforce_rules(plane.api, REGISTRY, registries=registries):
        denied = eventually(lambda: deny(plane.api, models, "others.azurecr.io/serving:1"))
        assert "Remedy: mirror the image to the stack's registry, or add its registry to the stack's setting" in denied
        assert deny(plane.api, models, "registry.example.com/others/serving:1") != ""
        for image in ("ours.azurecr.io/serving:1", "registry.example.com/ml/serving:1", "ghcr.io/acme/serving:1"):
            assert deny(plane.api, models, image) == ""
