"""The parts of Kubeflow Pipelines that the stack itself declares, on a foundation of constant values.

tests/platform/test_pipelines_manifests.py tests what Argo CD applies.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from infra.cluster.gitops import PIPELINE_DEFINITIONS, PIPELINE_KINDS
from infra.cluster.pipelines import NAMESPACE, ROLES
from policies import evaluate_manifest, get_control, load_exceptions
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.support.recording import Recorder
from tests.support.sample_platform import record_platform

pytestmark = pytest.mark.slow

APPLICATION = "kubernetes:argoproj.io/v1alpha1:Application"
PROJECT = "kubernetes:argoproj.io/v1alpha1:AppProject"
COMPONENT = "groundwork:cluster:Pipelines"
NAMESPACES = "kubernetes:core/v1:Namespace"
SECRET = "kubernetes:core/v1:Secret"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
GITOPS = {"repository": "https://git.example.com/acme/models.git"}


def declare(*, enabled: bool) -> Recorder:
    return record_platform(gitops=GITOPS, pipelines={"enabled": enabled})


@pytest.fixture(scope="module")
def platform() -> Recorder:
    return declare(enabled=True)


def inside(platform: Recorder, type_: str) -> dict[str, Any]:
    """The objects of a kind in the namespace of Kubeflow Pipelines, keyed by name."""
    objects = [item.inputs for item in platform.of_type(type_)]
    return {item["metadata"]["name"]: item for item in objects if item["metadata"].get("namespace") == NAMESPACE}


def test_nothing_of_it_is_declared_by_default() -> None:
    platform = declare(enabled=False)
    assert not [item.name for item in platform.resources if re.search("kubeflow|pipelines", item.name)]
    assert "components" not in platform.single(APPLICATION).inputs["spec"]["source"]["kustomize"]


def test_secrets_are_generated_and_no_two_are_the_same(platform: Recorder) -> None:
    secrets = {name: item["stringData"] for name, item in inside(platform, SECRET).items()}
    assert {name: set(content) for name, content in secrets.items()} == {
        "mysql-secret": {"username", "password"},
        "mlpipeline-minio-artifact": {"accesskey", "secretkey"},
    }
    generated = [secrets["mysql-secret"]["password"], *secrets["mlpipeline-minio-artifact"].values()]
    assert len(set(generated)) == 3
    assert all(len(value) == 32 for value in generated)


def test_each_service_account_has_a_role_that_passes_the_policy_pack(platform: Recorder) -> None:
    roles, bindings = inside(platform, f"{RBAC}:Role"), inside(platform, f"{RBAC}:RoleBinding")
    assert roles.keys() - {"argocd-apply"} == ROLES.keys()
    for account in ROLES:
        assert bindings[account]["roleRef"]["name"] == account
        assert [subject["name"] for subject in bindings[account]["subjects"]] == [account]
        manifest = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", **roles[account]}
        violated = {control.id for control, _ in evaluate_manifest(manifest)}
        excused = (item.control for item in load_exceptions() if item.matches(f"{NAMESPACE}-{account}"))
        covered = {each for each in excused if get_control(each).applies_to(f"{RBAC}:Role")}
        assert violated == covered


def test_the_application_is_created_after_the_secrets_and_roles_of_its_pods(platform: Recorder) -> None:
    root = platform.single(APPLICATION)
    assert root.inputs["spec"]["source"]["kustomize"]["components"] == ["pipelines"]
    before = platform.list_dependencies(APPLICATION, root.name)
    assert (PROJECT, "appproject-pipelines") in before
    assert (SECRET, f"{NAMESPACE}-mysql-secret") in platform.list_dependencies("groundwork:cluster:GitOps", "gitops")
    assert (NAMESPACES, NAMESPACE) in platform.list_dependencies(COMPONENT, "pipelines")
    assert (RELEASE, "argo-cd") in platform.list_dependencies("groundwork:cluster:Namespaces", "model-namespaces")


def test_argo_cd_writes_what_the_project_allows_and_neither_secrets_nor_roles(platform: Recorder) -> None:
    (project,) = [item.inputs["spec"] for item in platform.of_type(PROJECT) if item.name == "appproject-pipelines"]
    assert project["destinations"] == [{"server": "https://kubernetes.default.svc", "namespace": NAMESPACE}]
    allowed = {(item["group"], item["kind"]) for item in project["namespaceResourceWhitelist"]}
    assert allowed == {(kind.group, kind.kind) for kind in PIPELINE_KINDS}
    rules = inside(platform, f"{RBAC}:Role")["argocd-apply"]["rules"]
    written = {resource for rule in rules for resource in rule["resources"]}
    assert written == {kind.resource for kind in PIPELINE_KINDS}
    assert not written & {"secrets", "roles", "rolebindings"}


def test_argo_cd_changes_only_the_definitions_of_pipelines(platform: Recorder) -> None:
    roles = [item.inputs for item in platform.of_type(f"{RBAC}:ClusterRole")]
    (role,) = [item for item in roles if item["metadata"]["name"] == "argocd-apply-definitions"]
    create, change = role["rules"]
    assert create["verbs"] == ["create"]
    assert change["resourceNames"] == list(PIPELINE_DEFINITIONS)
    assert {tuple(rule["resources"]) for rule in role["rules"]} == {("customresourcedefinitions",)}


def test_no_route_leads_to_it(platform: Recorder) -> None:
    routes = [item.inputs for item in platform.resources if item.type.endswith(":HTTPRoute")]
    assert routes
    assert not [item for item in routes if NAMESPACE in str(item)]
