"""Objects that Argo workflows create with `resource` templates are evaluated like declared objects.

Proves it for pods, other workflows and RBAC, for manifests that cannot be read or have expressions, and for patches,
through the functions for tests and charts and through the server that the engine calls.
Does not prove that a workflow runs its templates, or that Argo replaces expressions as documented.
"""

from __future__ import annotations

import json
from textwrap import indent
from typing import Any

import pytest
import yaml
from pulumi_policy import EnforcementLevel

from kernel.values import UNKNOWN
from policies import Undecided, controls_over, evaluate_manifest, evaluate_manifests, get_control
from policies.engine.pack import NAME, as_policy
from policies.engine.servicer import PackServicer
from tests.support.policies.analyzer import analyze, analyze_stack
from tests.support.policies.cases import Declared
from tests.unit.policies.controls.test_controls import find_cases
from tests.unit.policies.controls.test_odd_input import plain

WORKFLOW = "kubernetes:argoproj.io/v1alpha1:Workflow"
PRIVILEGED = {"name": "main", "securityContext": {"privileged": True}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it"}, "spec": {"containers": [PRIVILEGED]}}
TEMPLATE = {"template": {"spec": POD["spec"]}}
MANIFEST = "spec.templates[0].resource.manifest"


def created_by(manifest: Any, **resource: Any) -> dict[str, Any]:
    """A workflow that creates the objects of a manifest; a string is used unchanged."""
    text = manifest if isinstance(manifest, str) or manifest is UNKNOWN else yaml.safe_dump(manifest)
    return workflow({"name": "create", "resource": {"action": "create", "manifest": text, **resource}})


def workflow(*templates: Any, kind: str = "Workflow") -> dict[str, Any]:
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "spec": {"templates": list(templates)}}


def violated(manifest: dict[str, Any]) -> dict[str, str]:
    return {c.id: found for c, found in evaluate_manifest(manifest) if not isinstance(found, Undecided)}


def undecided(manifest: dict[str, Any]) -> dict[str, str]:
    return {c.id: found.path for c, found in evaluate_manifest(manifest) if isinstance(found, Undecided)}


@pytest.mark.parametrize("action", ["create", "apply", "replace"])
@pytest.mark.parametrize(
    "manifest",
    [
        POD,
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": TEMPLATE},
        {"apiVersion": "batch/v1", "kind": "Job", "spec": TEMPLATE},
        {"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": TEMPLATE}}},
        {"apiVersion": "ray.io/v1", "kind": "RayJob", "spec": {"rayClusterSpec": {"headGroupSpec": TEMPLATE}}},
        {"apiVersion": "example.com/v1", "kind": "App", "spec": TEMPLATE},
        {"apiVersion": "v1", "kind": "List", "items": [POD]},
        workflow({"name": "inner", "container": PRIVILEGED}),
        created_by(POD),
    ],
    ids=lambda value: value if isinstance(value, str) else value["kind"],
)
def test_pods_that_a_workflow_creates_are_evaluated_like_pods(action: str, manifest: dict[str, Any]) -> None:
    found = violated(created_by(manifest, action=action))
    assert found["k8s-pod-privileged"].startswith(f"{MANIFEST}")
    declared = violated(manifest)
    assert set(declared) == set(found)


@pytest.mark.parametrize("kind", ["WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"])
def test_every_kind_that_creates_workflows_is_evaluated(kind: str) -> None:
    spec = created_by(POD)["spec"]
    manifest = {**workflow(kind=kind), "spec": {"workflowSpec": spec} if kind == "CronWorkflow" else spec}
    assert "k8s-pod-privileged" in violated(manifest)


def test_inline_templates_and_template_defaults_are_evaluated() -> None:
    template = created_by(POD)["spec"]["templates"][0]
    assert "k8s-pod-privileged" in violated(workflow({"name": "a", "steps": [[{"inline": template}]]}))
    with_default = workflow(
        {"name": "a", "resource": {"manifest": yaml.safe_dump(POD)}}, {"name": "b", "container": {}}
    )
    with_default["spec"]["templateDefaults"] = {"resource": {"action": "create"}}
    assert [found for _, found in evaluate_manifest(with_default) if "privileged" in str(found)]
    with_default["spec"]["templateDefaults"] = {"resource": {"action": "delete"}}
    assert "k8s-pod-privileged" not in violated(with_default)


@pytest.mark.parametrize("action", ["get", "delete"])
def test_actions_that_create_nothing_have_no_findings(action: str) -> None:
    for manifest in (POD, "{{inputs.parameters.it}}"):
        assert evaluate_manifest(created_by(manifest, action=action)) == []


def test_an_action_with_an_expression_may_create_the_object() -> None:
    assert "k8s-pod-privileged" in violated(created_by(POD, action="{{inputs.parameters.action}}"))


@pytest.mark.parametrize("control_id", ["k8s-rbac-wildcard", "k8s-rbac-cluster-admin", "k8s-config-map-secrets"])
def test_other_objects_are_evaluated_by_the_controls_of_their_kinds(control_id: str) -> None:
    cases = find_cases(get_control(control_id))
    for [bad] in cases.violating:
        assert control_id in violated(created_by(write(bad)))
    for [good] in cases.compliant:
        assert control_id not in violated(created_by(write(good)))


def write(subject: Any) -> str:
    """A case as a manifest, with an expression for each unknown value."""
    content = plain(subject.props) | describe(subject.type)
    return json.dumps(content, default=lambda _: "{{item}}")


def describe(type_: str) -> dict[str, str]:
    _, version, kind = type_.split(":")
    return {"apiVersion": version.removeprefix("core/"), "kind": kind}


def test_every_document_of_a_manifest_is_evaluated() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []}
    found = violated(created_by(f"---\n{yaml.safe_dump(role)}---\n---\n{yaml.safe_dump(POD)}"))
    assert found["k8s-pod-privileged"].startswith(f"{MANIFEST}[1]: ")


def test_a_good_object_is_compliant() -> None:
    control = get_control("k8s-pod-privileged")
    [good] = find_cases(control).compliant[0]
    manifest = created_by(write(good))
    assert control.id not in {**violated(manifest), **undecided(manifest)}
    assert control in controls_over(manifest)
    assert not [each for each in controls_over(manifest) if each.id.startswith("k8s-rbac")]


UNREADABLE = {
    "expression": "{{inputs.parameters.manifest}}",
    "unknown": UNKNOWN,
    "text without an object": "nothing to see",
    "list": "[1, 2]",
    "empty": "",
    "not YAML": "a: [",
    "expression between lines": "apiVersion: v1\n{{inputs.parameters.more}}\nkind: Pod",
    "expression that is the kind": "apiVersion: v1\nkind: '{{item}}'\nspec: {containers: []}",
    "expression that is the version": "apiVersion: {{item}}\nkind: Pod",
    "no kind": "apiVersion: v1\nspec: {containers: []}",
    "invalid date": "2026-13-45",
    "list in itself": "&a [*a]",
    "nested too deeply": "[" * 5000,
    "a million values": "\n".join(
        [
            json.dumps(POD)[:-1],
            ', "more": [&a0 [x, x, x, x, x, x, x, x, x, x]',
            *(f", &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)),
            "]}",
        ]
    ),
    "control character": "a: \x00",
    "tag of Python": "!!python/object/apply:os.system ['true']",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_manifest_that_cannot_be_read_is_undecided(name: str) -> None:
    manifest = created_by(UNREADABLE[name])
    assert violated(manifest) == {}
    assert undecided(manifest)["k8s-pod-privileged"] == f"{MANIFEST}.spec"


def test_other_values_of_an_object_with_expressions_are_known() -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {generateName: train-, labels: {"{{inputs.parameters.key}}": a}}
spec:
  hostNetwork: {{=inputs.parameters.host == 'yes'}}
  containers:
    - name: main
      image: "{{inputs.parameters.image}}:1"
      securityContext: {privileged: true}
"""
    manifest = created_by(text)
    assert "k8s-pod-privileged" in violated(manifest)
    found = undecided(manifest)
    assert found["k8s-pod-image-tag"] == f"{MANIFEST}.spec.containers[0].image"
    assert found["k8s-pod-host-namespaces"] == f"{MANIFEST}.spec.hostNetwork"


def test_an_expression_in_a_key_may_be_any_key() -> None:
    text = "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, '{{item}}': {}}]}}"
    assert undecided(created_by(text))["k8s-pod-privileged"].startswith(
        f"{MANIFEST}.spec.containers[0].securityContext"
    )


@pytest.mark.parametrize("source", [{}, {"s3": {"key": "it"}}, {"raw": {"data": "{{item}}"}}, UNKNOWN])
def test_a_manifest_from_an_artifact_is_undecided(source: Any) -> None:
    manifest = workflow({"resource": {"action": "create", "manifestFrom": {"artifact": source}}})
    assert undecided(manifest)["k8s-pod-privileged"] == "spec.templates[0].resource.manifestFrom.spec"


def test_a_raw_artifact_is_a_manifest() -> None:
    artifact = {"name": "it", "raw": {"data": yaml.safe_dump(POD)}}
    manifest = workflow({"resource": {"action": "create", "manifestFrom": {"artifact": artifact}}})
    assert "k8s-pod-privileged" in violated(manifest)


def test_an_object_without_a_manifest_is_undecided() -> None:
    manifest = workflow({"resource": {"action": "create", "flags": ["-f", "https://example.com/pod.yaml"]}})
    assert "k8s-pod-privileged" in undecided(manifest)


DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "it"}}


def test_a_patch_is_evaluated_by_the_properties_that_it_sets() -> None:
    found = violated(created_by({**DEPLOYMENT, "spec": TEMPLATE}, action="patch"))
    assert set(found) == {"k8s-pod-privileged"}
    harmless = created_by({**DEPLOYMENT, "spec": {"replicas": 2}}, action="patch")
    assert evaluate_manifest(harmless) == []


def test_an_expression_in_a_patch_is_undecided() -> None:
    """Only the value with the expression is: properties that the patch omits are elsewhere."""
    container = {"name": "main", "securityContext": {"privileged": "{{item}}"}}
    template = {"template": {"spec": {"containers": [container]}}}
    assert "k8s-pod-privileged" in undecided(created_by({**DEPLOYMENT, "spec": template}, action="patch"))
    assert "k8s-pod-host-path" not in undecided(created_by({**DEPLOYMENT, "spec": template}, action="patch"))
    patched = workflow({"container": {"name": "main"}, "podSpecPatch": "hostPID: '{{item}}'"})
    assert undecided(patched) == {"k8s-pod-host-namespaces": "spec.templates[0].podSpecPatch.spec.hostPID"}


@pytest.mark.parametrize(
    "patch", [[{"op": "replace", "path": "/spec/hostNetwork", "value": True}], {"spec": {"hostNetwork": True}}]
)
def test_a_patch_of_an_object_named_by_flags_is_undecided(patch: Any) -> None:
    manifest = created_by(patch, action="patch", flags=["deployment", "it"], mergeStrategy="json")
    assert "k8s-pod-host-namespaces" in undecided(manifest)


def test_nested_workflows_are_evaluated_to_a_maximum_depth() -> None:
    text = yaml.safe_dump(POD)
    for _ in range(4):
        text = nest(text)
    assert "k8s-pod-privileged" in violated(created_by(text))
    for _ in range(40):
        text = nest(text)
    assert violated(created_by(text)) == {}
    assert "k8s-pod-privileged" in undecided(created_by(text))


def nest(text: str) -> str:
    """The text of a workflow that creates an object, without escapes, which would grow with each level."""
    head = (
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec:\n  templates:\n  - resource:\n      action: create\n"
    )
    return f"{head}      manifest: |\n{indent(text, ' ' * 8)}"


@pytest.mark.parametrize("odd", ["", 7, [], {}, [[]], ["x"], {"a": None}, None, {"action": 7}, {"manifest": []}])
def test_malformed_resources_raise_no_error(odd: Any) -> None:
    for manifest in (workflow({"resource": odd}), workflow({"resource": {"action": "create", "manifest": odd}})):
        assert not [found for found in violated(manifest).values() if "bug in this control" in found]


def test_a_patch_of_a_workflow_is_evaluated_by_the_objects_that_it_creates() -> None:
    patch = {**created_by(POD), "kind": "WorkflowPatch"}
    assert "k8s-pod-privileged" in violated(patch)
    assert evaluate_manifest(workflow({"name": "a"}, kind="WorkflowPatch")) == []


def test_objects_that_a_workflow_creates_are_not_part_of_the_stack() -> None:
    """A network policy that a workflow may create later protects no namespace."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "it", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "it", "namespace": "it"},
        "spec": {"podSelector": {}},
    }
    for second, is_protected in ((policy, True), (created_by(policy), False)):
        for manifests in ([namespace, second], [{"apiVersion": "v1", "kind": "List", "items": [namespace, second]}]):
            found = {each.control.id for each in evaluate_manifests(manifests)}
            assert ("k8s-namespace-network-policy" not in found) is is_protected


def test_the_engine_gets_findings_on_objects_that_a_workflow_creates() -> None:
    policies = [as_policy(get_control(each)) for each in ("k8s-pod-privileged", "k8s-rbac-wildcard")]
    server = PackServicer(NAME, "0.0.1", policies, EnforcementLevel.ADVISORY)
    [found] = analyze(server, Declared(WORKFLOW, created_by(POD)))
    assert found.policyName == "k8s-pod-privileged"
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": rules}
    [found] = analyze(server, Declared(WORKFLOW, created_by(role)))
    assert found.policyName == "k8s-rbac-wildcard"
    assert analyze(server, Declared(WORKFLOW, created_by("{{item}}"))) == []
    [summary] = analyze_stack(server, ())
    assert "k8s-pod-privileged (1)" in summary.message
