"""Lists, patches and custom resources are evaluated by the objects that they carry.

Proves for each evaluated Kubernetes kind that its list is evaluated item by item, and its patch by the properties that
it sets; and for operators that run models and training that the pods in their resources are evaluated at any place.
Does not prove that an operator creates the pods that its resource describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kernel.values import UNKNOWN
from policies import Undecided, controls, evaluate_manifest, evaluate_manifests
from policies.contents import get_control, manifest_type
from policies.engine.carriers import certain_types, possible_types
from policies.engine.unevaluated import is_evaluated
from tests.support.policies.sdk_inputs import list_types, reach
from tests.unit.policies.controls.test_controls import find_cases
from tests.unit.policies.controls.test_odd_input import plain

PRIVILEGED = {"name": "main", "securityContext": {"privileged": True}}
POD: dict[str, Any] = {"metadata": {"labels": {"app": "train"}}, "spec": {"containers": [PRIVILEGED]}}
KUBERNETES = [
    control for control in controls() if not control.over_stack and control.types[0].startswith("kubernetes:")
]
# Controls whose kinds have lists and patches, unlike Helm releases.
SUFFIXED = [
    pytest.param(control, id=control.id) for control in KUBERNETES if not control.service.endswith((".helm", "service"))
]


def violated(manifest: Mapping[str, Any]) -> set[str]:
    return {control.id for control, finding in evaluate_manifest(manifest) if not isinstance(finding, Undecided)}


def undecided(manifest: Mapping[str, Any]) -> set[str]:
    return {control.id for control, finding in evaluate_manifest(manifest) if isinstance(finding, Undecided)}


def custom(version: str, kind: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "it"}, "spec": spec}


@pytest.mark.parametrize("control", SUFFIXED)
def test_a_list_is_evaluated_item_by_item(control: Any) -> None:
    cases = find_cases(control)
    for [subject] in cases.violating:
        items = [plain(cases.compliant[0][0].props), plain(subject.props)]
        findings = control.evaluate_resource(f"{subject.type}List", {"items": items})
        assert any(str(finding).startswith("items[1]: ") for finding in findings)
    [finding, *_] = control.evaluate_resource(f"{cases.violating[0][0].type}List", {"items": UNKNOWN}) or [None]
    assert finding is None or isinstance(finding, Undecided)


@pytest.mark.parametrize("control", SUFFIXED)
def test_a_patch_is_evaluated_by_the_properties_that_it_sets(control: Any) -> None:
    cases = find_cases(control)
    for type_ in control.types:
        assert control.evaluate_resource(f"{type_}Patch", {"metadata": {"name": "it"}}) == []
        assert control.evaluate_resource(f"{type_}Patch", {"spec": {}}) == []
    for [subject] in cases.compliant:
        assert control.evaluate_resource(f"{subject.type}Patch", plain(subject.props)) == []


def test_a_patch_with_a_volume_says_nothing_about_other_volumes() -> None:
    """An operator's template merges it with a volume of the same name."""
    volumes = [{"name": "tmp", "emptyDir": {}}]
    template = {"spec": {"containers": [{"name": "main"}], "volumes": volumes}}
    assert violated(custom("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy", {"patch": {"template": template}})) == set()


def test_a_patch_cannot_set_what_a_resource_may_not() -> None:
    """Most violating cases set something. Those that omit something are not violations in a patch."""
    found = total = 0
    for control in KUBERNETES:
        for [subject, *_] in find_cases(control).violating:
            total += 1
            found += bool(control.evaluate_resource(f"{subject.type}Patch", plain(subject.props)))
    assert found / total > 0.75, f"{found} of {total}"


def test_every_kind_with_pods_is_evaluated() -> None:
    carriers = reach("kubernetes", frozenset({"PodSpecArgs", "PodSpecPatchArgs"}))
    assert len(carriers) > 40
    control = get_control("k8s-pod-privileged")
    assert {token for token in carriers if not set(possible_types(token)) & set(control.types)} == set()


def test_every_list_and_patch_of_an_evaluated_kind_is_evaluated() -> None:
    types = set(list_types("kubernetes"))
    evaluated = {token for token in types if is_evaluated(token)}
    suffixed = {f"{token}{suffix}" for token in evaluated for suffix in ("List", "Patch")} & types
    assert len(suffixed) > 40
    assert {token for token in suffixed if not is_evaluated(token)} == set()


def test_lists_of_any_kind_are_evaluated_together_with_other_manifests() -> None:
    namespace = custom("v1", "Namespace", None) | {
        "metadata": {"name": "mlflow", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    }
    together = {"apiVersion": "v1", "kind": "List", "items": [namespace, {"apiVersion": "v1", "kind": "Pod", **POD}]}
    assert "k8s-pod-privileged" in violated(together)
    found = {each.control.id for each in evaluate_manifests([together])}
    assert "k8s-namespace-network-policy" in found
    policy = custom("networking.k8s.io/v1", "NetworkPolicy", {"podSelector": {}})
    policy["metadata"]["namespace"] = "mlflow"
    found = {each.control.id for each in evaluate_manifests([together, policy])}
    assert "k8s-namespace-network-policy" not in found


TEMPLATE = {"template": POD}
COMPLETE = {
    "ServingRuntime": custom("serving.kserve.io/v1alpha1", "ServingRuntime", POD["spec"]),
    "ClusterServingRuntime": custom("serving.kserve.io/v1alpha1", "ClusterServingRuntime", POD["spec"]),
    "ServingRuntime's workers": custom(
        "serving.kserve.io/v1alpha1", "ServingRuntime", {"containers": [], "workerSpec": POD["spec"]}
    ),
    "RayCluster": custom("ray.io/v1", "RayCluster", {"headGroupSpec": TEMPLATE}),
    "RayCluster's workers": custom("ray.io/v1", "RayCluster", {"workerGroupSpecs": [{"groupName": "a"}, TEMPLATE]}),
    "RayJob": custom("ray.io/v1", "RayJob", {"rayClusterSpec": {"headGroupSpec": TEMPLATE}}),
    "RayJob's submitter": custom("ray.io/v1", "RayJob", {"submitterPodTemplate": POD}),
    "RayService": custom("ray.io/v1", "RayService", {"rayClusterConfig": {"workerGroupSpecs": [TEMPLATE]}}),
    "PyTorchJob": custom("kubeflow.org/v1", "PyTorchJob", {"pytorchReplicaSpecs": {"Worker": TEMPLATE}}),
    "TFJob": custom("kubeflow.org/v1", "TFJob", {"tfReplicaSpecs": {"Chief": TEMPLATE}}),
    "MPIJob": custom("kubeflow.org/v2beta1", "MPIJob", {"mpiReplicaSpecs": {"Launcher": TEMPLATE}}),
    "Notebook": custom("kubeflow.org/v1", "Notebook", TEMPLATE),
    "Experiment of Katib": custom(
        "kubeflow.org/v1beta1", "Experiment", {"trialTemplate": {"trialSpec": {"kind": "Job", "spec": TEMPLATE}}}
    ),
    "Workflow": custom("argoproj.io/v1alpha1", "Workflow", {"templates": [{"name": "a", "container": PRIVILEGED}]}),
    "Workflow's script": custom("argoproj.io/v1alpha1", "Workflow", {"templates": [{"script": PRIVILEGED}]}),
    "Workflow's set": custom(
        "argoproj.io/v1alpha1", "WorkflowTemplate", {"templates": [{"containerSet": {"containers": [PRIVILEGED]}}]}
    ),
    "Workflow's sidecar": custom(
        "argoproj.io/v1alpha1", "Workflow", {"templates": [{"container": {"name": "a"}, "sidecars": [PRIVILEGED]}]}
    ),
    "Workflow's step": custom(
        "argoproj.io/v1alpha1", "Workflow", {"templates": [{"steps": [[{"inline": {"container": PRIVILEGED}}]]}]}
    ),
    "Workflow's task": custom(
        "argoproj.io/v1alpha1", "Workflow", {"templates": [{"dag": {"tasks": [{"inline": {"script": PRIVILEGED}}]}}]}
    ),
    "CronWorkflow": custom(
        "argoproj.io/v1alpha1", "CronWorkflow", {"workflowSpec": {"templates": [{"container": PRIVILEGED}]}}
    ),
    "Rollout": custom("argoproj.io/v1alpha1", "Rollout", TEMPLATE),
    "AnalysisTemplate": custom(
        "argoproj.io/v1alpha1", "AnalysisTemplate", {"metrics": [{"provider": {"job": {"spec": TEMPLATE}}}]}
    ),
    "JobSet": custom("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": [{"template": {"spec": TEMPLATE}}]}),
}
MERGED = {
    "InferenceService": custom("serving.kserve.io/v1beta1", "InferenceService", {"predictor": POD["spec"]}),
    "InferenceService's model": custom(
        "serving.kserve.io/v1beta1", "InferenceService", {"predictor": {"model": PRIVILEGED}}
    ),
    "InferenceService's transformer": custom(
        "serving.kserve.io/v1beta1", "InferenceService", {"transformer": {"initContainers": [PRIVILEGED]}}
    ),
    "an operator that is not known": custom("example.com/v1", "App", {"deep": [{"in": {"it": POD}}]}),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_pods_of_operators_are_evaluated_like_pods(name: str) -> None:
    found = violated(COMPLETE[name])
    assert {"k8s-pod-privileged", "k8s-pod-non-root", "k8s-pod-seccomp", "k8s-pod-image-tag"} <= found
    assert is_evaluated(manifest_type(COMPLETE[name]))


@pytest.mark.parametrize("name", MERGED)
def test_pods_that_are_completed_elsewhere_are_evaluated_by_the_properties_that_they_set(name: str) -> None:
    found = violated(MERGED[name])
    assert "k8s-pod-privileged" in found
    assert not found & {"k8s-pod-non-root", "k8s-pod-seccomp", "k8s-pod-image-tag", "k8s-pod-resources"}


def test_a_runtime_that_is_disabled_runs_no_pods() -> None:
    spec = {**POD["spec"], "disabled": True}
    assert violated(custom("serving.kserve.io/v1alpha1", "ClusterServingRuntime", spec)) == set()


@pytest.mark.parametrize("spec", [POD["spec"], {"containers": [PRIVILEGED], "workerSpec": POD["spec"]}])
def test_a_runtime_does_not_set_the_identity_of_its_pods(spec: Any) -> None:
    """KServe uses the service account and token settings of the InferenceService; a runtime has no such fields."""
    runtime = custom("serving.kserve.io/v1alpha1", "ClusterServingRuntime", spec)
    assert "k8s-pod-token" not in violated(runtime) | undecided(runtime)
    assert "k8s-pod-token" in violated(COMPLETE["Notebook"])


@pytest.mark.parametrize("kind", ["Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler"])
def test_a_pod_of_the_prometheus_operator_has_the_resources_that_its_custom_resource_sets(kind: str) -> None:
    resources = {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    assert violated(custom("monitoring.coreos.com/v1", kind, {})) == {"k8s-pod-resources"}
    assert violated(custom("monitoring.coreos.com/v1", kind, {"resources": resources})) == set()
    assert is_evaluated(f"kubernetes:monitoring.coreos.com/v1:{kind}")


def test_a_pod_of_the_prometheus_operator_is_evaluated_by_the_fields_of_its_custom_resource() -> None:
    spec = {
        "image": "docker.io/prom/prometheus:latest",
        "hostNetwork": True,
        "containers": [{"name": "sidecar", "securityContext": {"privileged": True}}],
        "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
    }
    found = violated(custom("monitoring.coreos.com/v1", "Prometheus", spec))
    assert {"k8s-pod-image-tag", "k8s-pod-host-namespaces", "k8s-pod-privileged", "k8s-pod-host-path"} <= found
    assert "k8s-pod-resources" in undecided(custom("monitoring.coreos.com/v1", "Prometheus", UNKNOWN))


def test_an_unknown_operator_is_listed_as_not_evaluated() -> None:
    assert not is_evaluated("kubernetes:example.com/v1:App")


def test_unknown_properties_of_a_carrier_are_undecided() -> None:
    for spec in (UNKNOWN, {"headGroupSpec": UNKNOWN}, {"workerGroupSpecs": UNKNOWN}):
        assert "k8s-pod-privileged" in undecided(custom("ray.io/v1", "RayCluster", spec))
    assert "k8s-pod-privileged" in undecided(custom("argoproj.io/v1alpha1", "Workflow", {"templates": UNKNOWN}))


def test_a_workflows_pods_have_the_settings_of_the_workflow() -> None:
    container = {"name": "main", "image": "ghcr.io/acme/train:1"}
    spec = {"templates": [{"container": container}], "hostNetwork": True, "volumes": [{"hostPath": {"path": "/"}}]}
    found = violated(custom("argoproj.io/v1alpha1", "Workflow", spec))
    assert {"k8s-pod-host-namespaces", "k8s-pod-host-path", "k8s-pod-non-root"} <= found
    spec = {"templates": [{"container": container}], "securityContext": {"runAsNonRoot": True}}
    assert "k8s-pod-non-root" not in violated(custom("argoproj.io/v1alpha1", "Workflow", spec))


def test_a_workflows_defaults_apply_to_all_of_its_templates() -> None:
    unsafe = {"name": "a", "container": {"image": "ghcr.io/acme/train:1"}}
    safe = {
        "container": {"securityContext": {"allowPrivilegeEscalation": False}},
        "automountServiceAccountToken": False,
    }
    workflow = custom("argoproj.io/v1alpha1", "Workflow", {"templates": [unsafe], "templateDefaults": safe})
    assert not violated(workflow) & {"k8s-pod-privilege-escalation", "k8s-pod-token"}
    workflow["spec"]["templates"] = [{**unsafe, "automountServiceAccountToken": True}]
    assert "k8s-pod-token" in violated(workflow)
    confined = {"container.apparmor.security.beta.kubernetes.io/main": "unconfined"}
    for part in (
        {"podMetadata": {"annotations": confined}},
        {"templateDefaults": {"metadata": {"annotations": confined}}},
    ):
        workflow = custom("argoproj.io/v1alpha1", "Workflow", {"templates": [unsafe], **part})
        assert "k8s-pod-apparmor" in violated(workflow)


@pytest.mark.parametrize(
    "patch", ["hostPID: true", '{"containers": [{"name": "main", "securityContext": {"privileged": true}}]}']
)
@pytest.mark.parametrize("level", ["workflow", "template"])
def test_a_workflows_patch_of_pods_is_evaluated_by_the_properties_that_it_sets(level: str, patch: str) -> None:
    template = {"name": "a", "container": {"image": "ghcr.io/acme/train:1"}}
    plain_spec: dict[str, Any] = {"templates": [template]}
    patched = (
        {"podSpecPatch": patch, **plain_spec}
        if level == "workflow"
        else {"templates": [{**template, "podSpecPatch": patch}]}
    )
    before, after = (violated(custom("argoproj.io/v1alpha1", "Workflow", spec)) for spec in (plain_spec, patched))
    assert after - before <= {"k8s-pod-host-namespaces", "k8s-pod-privileged"}
    assert after - before
    unknown = custom("argoproj.io/v1alpha1", "Workflow", {**plain_spec, "podSpecPatch": "{{inputs.parameters.patch}}"})
    assert "k8s-pod-privileged" in undecided(unknown)


@pytest.mark.parametrize("odd", ["", 7, [], {}, [[]], ["x"], {"a": None}, None, {"containers": 7}])
def test_malformed_carriers_raise_no_error(odd: Any) -> None:
    for manifest in (*COMPLETE.values(), *MERGED.values()):
        broken = {**manifest, "spec": odd}
        messages = [finding for _, finding in evaluate_manifest(broken) if not isinstance(finding, Undecided)]
        assert not any("bug in this control" in message for message in messages)
    for type_ in ("Pod", "Deployment", ""):
        manifest = {"apiVersion": "v1", "kind": f"{type_}List", "items": odd}
        assert not any("bug in this control" in str(finding) for _, finding in evaluate_manifest(manifest))


def test_a_types_certain_and_possible_carriers() -> None:
    pod = "kubernetes:core/v1:Pod"
    assert certain_types("kubernetes:core/v1:PodPatch") == ("kubernetes:core/v1:PodPatch", pod)
    assert pod in certain_types("kubernetes:ray.io/v1:RayClusterPatch")
    assert pod not in certain_types("kubernetes:example.com/v1:App")
    assert pod in possible_types("kubernetes:example.com/v1:App")
    assert pod not in possible_types("kubernetes:core/v1:Secret")
    assert pod not in possible_types("kubernetes:helm.sh/v3:Release")
