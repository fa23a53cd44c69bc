"""Admission rules agree with the policy pack: the pack's own cases, evaluated by a real API server.

Proves that each admission rule denies what its control reports, denies nothing else, and applies only to namespaces of
its levels; and that Pod Security at the strictest level denies what all other controls of pods report, so that every
control of pods is enforced at admission. Proves that the API server and the pack agree on each of Kubernetes' own
cases, and that a namespace without a level is denied. Does not prove that Pod Security admits everything that the pack
passes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from infra.cluster.admission_rules import CLOUD_NAMESPACES, LEVEL_LABEL, PRIVILEGED_NAMESPACES, RULES
from policies import controls, get_control
from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.readiness import workloads
from tests.support.admission import API_VERSION, POLICY_KIND, enforce_rules, find_denial, merge
from tests.support.policies.cases import UNKNOWN_TEXT, Outcome
from tests.support.policies.kubernetes_cases import DEPLOYMENT, INGRESS, POD, SERVICE
from tests.support.waiting import eventually
from tests.unit.policies.controls.test_controls import TABLE
from tests.unit.policies.controls.test_pod_security_standards import read_pods, violated

_numbers = itertools.count(1)

# The fields that each control of pods requires of a container: with all of them, a pod is compliant.
REQUIREMENTS: Mapping[str, Mapping[str, Any]] = {
    "k8s-pod-privilege-escalation": {"securityContext": {"allowPrivilegeEscalation": False}},
    "k8s-pod-non-root": {"securityContext": {"runAsNonRoot": True}},
    "k8s-pod-drop-capabilities": {"securityContext": {"capabilities": {"drop": ["ALL"]}}},
    "k8s-pod-seccomp": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
    "k8s-pod-read-only-root": {"securityContext": {"readOnlyRootFilesystem": True}},
    "k8s-pod-image-tag": {"image": "ghcr.io/mlflow/mlflow:v3.1.0"},
    "k8s-pod-resources": {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}},
}


# The message of Pod Security, or of the API server's own validation, for each control that they enforce.
POD_SECURITY_MESSAGES: Mapping[str, str] = {
    "k8s-pod-privileged": "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    "k8s-pod-host-namespaces": "host namespaces",
    "k8s-pod-privilege-escalation": "allowPrivilegeEscalation != false",
    "k8s-pod-non-root": "runAsNonRoot != true|runAsUser=0",
    "k8s-pod-drop-capabilities": "unrestricted capabilities",
    "k8s-pod-added-capabilities": "unrestricted capabilities",
    "k8s-pod-seccomp": "seccompProfile",
    "k8s-pod-host-path": 'uses restricted volume type "hostPath"',
    "k8s-pod-host-port": "hostPort",
}


def container(over: Mapping[str, Any], name: str, but: str = "") -> dict[str, Any]:
    """A compliant container with the changes in `over`, and without the fields that the control `but` requires."""
    complete_manifest: dict[str, Any] = {"name": name}
    for control, part in REQUIREMENTS.items():
        if control != but or control == "k8s-pod-image-tag":  # which the API server requires too
            complete_manifest = merge(complete_manifest, part)
    return merge(complete_manifest, {**over, "name": name})


def pod(case: Mapping[str, Any], control: str) -> dict[str, Any]:
    """A complete pod from a control's case, except for its ephemeral containers, which are added later."""
    lists = {
        kind: [container(each, f"{kind.lower()}-{number}", control) for number, each in enumerate(case.get(kind, ()))]
        for kind in ("containers", "initContainers")
    }
    for each in itertools.chain(*lists.values()):
        each["ports"] = [{"containerPort": port.get("hostPort", 80), **port} for port in each.get("ports", ())]
    own = {key: value for key, value in case.items() if not key.endswith("ontainers")}
    return {**own, **lists, "containers": lists["containers"] or [container({}, "main")]}


def cases(control: str, kind: str) -> Iterator[tuple[str, Outcome, Object]]:
    """The cases of a control without unknown values: (name, outcome, properties)."""
    for name, outcome, (first, *_) in TABLE[control].expectations():
        if not is_whole(first.props, kind):
            continue
        props = first.props
        if (kind, first.type, name) == (POD, DEPLOYMENT, "absent"):
            if control.startswith("k8s-pod-image-"):
                continue  # a pod without an image is invalid
            props = props["spec"]["template"]
        elif kind != first.type:
            continue
        if outcome != "undecided" and UNKNOWN_TEXT not in str(props):
            yield name, outcome, props


def is_whole(props: Mapping[str, Any], kind: str) -> bool:
    """Whether the API server can evaluate a case: it rejects pods without containers, and drops newer fields."""
    spec = props.get("spec", {})
    listed = spec.get("containers", []) if isinstance(spec, Mapping) else None
    described = isinstance(listed, list) and all(isinstance(each, Mapping) and each for each in listed)
    is_empty = spec in ({}, {"containers": []})
    return kind != POD or (described and "spec" in props and not is_empty and "resources" not in spec)


@pytest.fixture
def restricted(plane: ControlPlane) -> Iterator[str]:
    """A namespace to which the rules apply, with a pod for ephemeral containers."""
    with namespace_of_level(plane.api, "restricted") as name:
        yield name


@contextmanager
def namespace_of_level(api: ApiClient, level: str) -> Iterator[str]:
    name = f"{level}-{next(_numbers)}"
    api.create(build_namespace(name, {LEVEL_LABEL: level}))
    eventually(lambda: api.create(complete_manifest("Pod", name, {"spec": pod({}, "")})))
    yield name
    api.delete("v1", "Namespace", name)


def build_namespace(name: str, labels: Mapping[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}


def complete_manifest(kind: str, namespace: str, props: Mapping[str, Any]) -> dict[str, Any]:
    group = "networking.k8s.io/" if kind == "Ingress" else ""
    metadata = {"name": "it", "namespace": namespace, **props.get("metadata", {})}
    return {"apiVersion": f"{group}v1", "kind": kind, **props, "metadata": metadata}


def evaluate_case(api: ApiClient, namespace: str, control: str, props: Mapping[str, Any], type_: str) -> str:
    """Why one case is denied; empty if it is not."""
    if type_ == POD:
        spec = props.get("spec", {})
        debuggers = [container(each, "debugger", control) for each in spec.get("ephemeralContainers", ())]
        for debugger in debuggers:
            debugger.pop("resources", None)
        return find_denial(api, complete_manifest("Pod", namespace, {"spec": pod(spec, control)}), *debuggers)
    if type_ == SERVICE:
        spec = {"ports": [{"port": 80}], **props.get("spec", {})}
        return find_denial(api, complete_manifest("Service", namespace, {**props, "spec": spec}))
    spec = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}, **props.get("spec", {})}
    return find_denial(api, complete_manifest("Ingress", namespace, {**props, "spec": spec}))


NAMESPACED = [name for name, rule in RULES.items() if rule.levels and rule.group != "serving.kserve.io"]


@pytest.mark.parametrize("control", NAMESPACED)
def test_a_rule_agrees_with_its_control(plane: ControlPlane, restricted: str, namespace: str, control: str) -> None:
    (type_,) = {POD, SERVICE, INGRESS} & {first.type for _, _, (first, *_) in TABLE[control].expectations()}
    found = list(cases(control, type_))
    assert {outcome for _, outcome, _ in found} == {"passes", "fails"}
    mark = f"{POLICY_KIND} '{control}'"
    with enforce_rules(plane.api, control):
        bad = next(props for name, _, props in found if name == "violating0")
        eventually(lambda: mark in evaluate_case(plane.api, restricted, control, bad, type_))
        for name, outcome, props in found:
            message = evaluate_case(plane.api, restricted, control, props, type_)
            assert (mark in message and message.startswith("Forbidden: ")) == (outcome == "fails"), (
                f"{name}: {props}: {message}"
            )
        assert evaluate_case(plane.api, namespace, control, bad, type_) == ""
        for level in ("baseline", "privileged"):
            with namespace_of_level(plane.api, level) as other:
                message = evaluate_case(plane.api, other, control, bad, type_)
                assert (mark in message) == (level in RULES[control].levels), (level, message)
        policy = plane.api.get(API_VERSION, POLICY_KIND, control)
        assert policy
        assert policy["status"].get("typeChecking", {}).get("expressionWarnings", []) == []


def test_an_object_older_than_a_rule_can_be_deleted(plane: ControlPlane, restricted: str) -> None:
    """Removing the finalizers of a deleted pod is an update, which a rule must not deny."""
    control = "k8s-pod-image-tag"
    # Unschedulable, so that no kubelet interferes.
    spec_with_latest_tag = {"containers": [{"image": "ghcr.io/mlflow/mlflow:latest"}], "nodeSelector": {"disk": "fast"}}
    old = complete_manifest("Pod", restricted, {"metadata": {"name": "old", "finalizers": ["example.org/hold"]}})
    plane.api.create({**old, "spec": pod(spec_with_latest_tag, "")})
    with enforce_rules(plane.api, control):
        eventually(lambda: control in evaluate_case(plane.api, restricted, "", {"spec": spec_with_latest_tag}, POD))
        plane.api.delete("v1", "Pod", "old", restricted)
        plane.api.patch(old, {"metadata": {"finalizers": None}})
        eventually(lambda: plane.api.get("v1", "Pod", "old", restricted) is None)


def test_a_workload_without_pods_has_the_remedy_of_the_control(plane: ControlPlane, restricted: str) -> None:
    control = get_control("k8s-pod-image-tag")
    spec_with_latest_tag = {"spec": {"containers": [{"image": "ghcr.io/mlflow/mlflow:latest"}]}}
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod(spec_with_latest_tag["spec"], "")}
    with enforce_rules(plane.api, control.id):
        eventually(lambda: control.id in evaluate_case(plane.api, restricted, "", spec_with_latest_tag, POD))
        metadata = {"name": "web", "namespace": restricted}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        plane.api.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})

        def reported() -> bool:
            message = [problem.message for problem in workloads.find_problems(plane.api, restricted)]
            policy = f"{POLICY_KIND} '{control.id}' with binding '{control.id}' denied request"
            violation = f"[medium] {control.id}: {control.title}. Remedy: {control.remedy}."
            assert message == [f"Deployment {restricted}/web: 0/1 pods ready: {policy}: {violation}"]
            return True

        eventually(reported)


def test_every_control_of_pods_and_inference_services_is_enforced_at_admission() -> None:
    enforced = {*RULES, *POD_SECURITY_MESSAGES}
    services = ("kubernetes.pod", "kubernetes.inference_service")
    missing = [control.id for control in controls() if control.service in services and control.id not in enforced]
    assert missing == [], (
        "controls without an admission rule: add one to infra/cluster/admission_rules.py, or, if Pod Security "
        "enforces the control, its message to POD_SECURITY_MESSAGES"
    )


@pytest.mark.parametrize("control", POD_SECURITY_MESSAGES)
def test_pod_security_rejects_what_other_controls_report(plane: ControlPlane, restricted: str, control: str) -> None:
    assert evaluate_case(plane.api, restricted, "", {}, POD) == ""
    for name, outcome, props in cases(control, POD):
        if outcome == "fails":
            message = evaluate_case(plane.api, restricted, control, props, POD)
            assert re.search(POD_SECURITY_MESSAGES[control], message), f"{name}: {props}: {message}"


@contextmanager
def levels_required(api: ApiClient) -> Iterator[str]:
    """Require a level of every namespace. At the end, wait until the API server has unloaded the rule."""

    def find_reason() -> str:
        return find_denial(api, build_namespace("models", {}), name="models")

    control = "k8s-namespace-pod-security"
    mark = f"{POLICY_KIND} '{control}'"
    with enforce_rules(api, control):
        eventually(lambda: mark in find_reason())
        yield mark
    eventually(lambda: find_reason() == "")


def test_a_namespace_without_a_level_is_denied(plane: ControlPlane) -> None:
    """The message is the control's. The platform's privileged namespaces and the clouds' are admitted by name."""
    control = "k8s-namespace-pod-security"
    with levels_required(plane.api) as mark:
        assert mark in find_denial(plane.api, build_namespace("models", {LEVEL_LABEL: "privileged"}), name="models")
        for level in ("", "Restricted"):  # which Pod Security itself accepts
            assert find_denial(plane.api, build_namespace("models", {LEVEL_LABEL: level}), name="models") != ""
        for level in ("restricted", "baseline"):
            assert find_denial(plane.api, build_namespace("models", {LEVEL_LABEL: level}), name="models") == ""
        for name in PRIVILEGED_NAMESPACES:
            assert find_denial(plane.api, build_namespace(name, {LEVEL_LABEL: "privileged"}), name=name) == ""
            assert mark in find_denial(plane.api, build_namespace(name, {}), name=name)
        for name in set(CLOUD_NAMESPACES) - {each["metadata"]["name"] for each in plane.api.list("v1", "Namespace")}:
            assert find_denial(plane.api, build_namespace(name, {}), name=name) == ""
        policy = plane.api.get(API_VERSION, POLICY_KIND, control)
        assert policy
        assert policy["status"].get("typeChecking", {}).get("expressionWarnings", []) == []


def test_an_older_namespace_keeps_its_level_and_may_change_otherwise(plane: ControlPlane, namespace: str) -> None:
    older = build_namespace(namespace, {})
    with levels_required(plane.api) as mark:
        plane.api.patch(older, {"metadata": {"labels": {"team": "ml"}}})
        plane.api.patch(older, {"metadata": {"labels": {LEVEL_LABEL: "baseline"}}})
        with pytest.raises(ApiError, match=mark):
            plane.api.patch(older, {"metadata": {"labels": {LEVEL_LABEL: None}}})


def test_a_namespace_pulls_only_from_its_own_registries(plane: ControlPlane, restricted: str) -> None:
    control, (device_plugin, image) = "k8s-pod-image-registry", ("nvidia-device-plugin", "nvcr.io/nvidia/plugin:1")
    spec = {"spec": {"containers": [{"image": image}]}}
    plane.api.create(build_namespace(device_plugin, {LEVEL_LABEL: "privileged"}))
    try:
        with enforce_rules(plane.api, control):
            eventually(lambda: control in evaluate_case(plane.api, restricted, control, spec, POD))
            assert evaluate_case(plane.api, device_plugin, control, spec, POD) == ""
            other = {"spec": {"containers": [{"image": "nvcr.io/others/plugin:1"}]}}
            assert control in evaluate_case(plane.api, device_plugin, control, other, POD)
    finally:
        plane.api.delete("v1", "Namespace", device_plugin)


@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_the_api_server_and_the_pack_agree_on_kubernetes_own_cases(
    plane: ControlPlane, restricted: str, outcome: str
) -> None:
    # Later versions reject more than the server does, such as hosts in probes.
    server = plane.api.request("GET", "/version", {})
    pods = read_pods(outcome, f"v1.{server['minor'].rstrip('+')}")
    denials = {
        name: find_denial(plane.api, {**each, "metadata": {**each["metadata"], "namespace": restricted}})
        for name, each in pods.items()
    }
    disagreeing = {name: denial for name, denial in denials.items() if bool(denial) != bool(violated(pods[name]))}
    assert disagreeing == {}
    assert {bool(denial) for denial in denials.values()} == {outcome == "fail"}
