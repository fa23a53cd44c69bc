"""Argo CD and what it may do, on a foundation of constant values.

Proves what is declared; tests/cluster/test_argocd.py and rehearsals prove that it works, in any order of creation.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra.cluster.argocd import ArgoCd, ArgoCdArgs
from infra.cluster.gitops import MODEL_KINDS
from infra.cluster.versions import ARGO_CD_IMAGE_TAG
from kernel.annotations import SETTING
from rehearsal.kubernetes.controllers.argocd import APPLICATION_CONTROLLER
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.support.recording import Recorder, stack_context
from tests.support.sample_platform import record_components, record_platform

pytestmark = pytest.mark.slow

APPLICATION = "kubernetes:argoproj.io/v1alpha1:Application"
PROJECT = "kubernetes:argoproj.io/v1alpha1:AppProject"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
REPOSITORY = "https://git.example.com/acme/models.git"


def record(repository: str = REPOSITORY, **gitops: str) -> Recorder:
    return record_platform(gitops={"repository": repository, **gitops})


@pytest.fixture(scope="module")
def platform() -> Recorder:
    return record()


def argo_cd_values(platform: Recorder) -> Any:
    (release,) = [item.inputs for item in platform.of_type(RELEASE) if item.inputs["chart"] == "argo-cd"]
    return release["values"]


def test_the_image_is_of_the_version_whose_controllers_run_in_a_rehearsal(platform: Recorder) -> None:
    assert argo_cd_values(platform)["global"]["image"]["tag"] == ARGO_CD_IMAGE_TAG
    assert f"v{APPLICATION_CONTROLLER.tool.version}" == ARGO_CD_IMAGE_TAG


def test_one_application_is_declared_and_comes_last(platform: Recorder) -> None:
    root = platform.single(APPLICATION)
    assert root.inputs["spec"]["source"]["repoURL"] == REPOSITORY
    before = platform.list_dependencies(APPLICATION, root.name)
    assert {name for type_, name in before if type_ == PROJECT} == {"appproject-applications", "appproject-models"}
    assert any(type_ == f"{RBAC}:RoleBinding" for type_, _ in before)
    assert ("kubernetes:core/v1:Namespace", "serving") in platform.list_dependencies(
        "groundwork:cluster:GitOps", "gitops"
    )
    assert (RELEASE, "argo-cd") in platform.list_dependencies("groundwork:cluster:Namespaces", "model-namespaces")


def test_the_token_of_a_private_repository_is_created_before_the_application() -> None:
    platform = record(tokenSecret="gitops-token")
    root = platform.single(APPLICATION)
    (copy,) = [item for item in platform.resources if item.name == "argocd-gitops-repository"]
    assert (copy.type, copy.name) in platform.list_dependencies(APPLICATION, root.name)
    assert copy.inputs["spec"]["data"] == [{"secretKey": "token", "remoteRef": {"key": "gw/gitops-token"}}]
    assert copy.inputs["metadata"]["annotations"][SETTING] == "groundwork:gitops.tokenSecret"
    template = copy.inputs["spec"]["target"]["template"]
    assert template["metadata"]["labels"] == {"argocd.argoproj.io/secret-type": "repository"}
    assert template["data"]["url"] == REPOSITORY


def test_without_a_repository_no_application_is_declared() -> None:
    platform = record("")
    assert platform.of_type(APPLICATION) == platform.of_type(PROJECT) == []
    assert argo_cd_values(platform)


def test_argo_cd_writes_only_what_the_project_of_models_allows_and_reads_no_secrets(platform: Recorder) -> None:
    (role,) = [item.inputs for item in platform.of_type(f"{RBAC}:Role") if "argocd" in item.name]
    assert role["metadata"]["namespace"] == "serving"
    written = {(rule["apiGroups"][0], resource) for rule in role["rules"] for resource in rule["resources"]}
    assert written == {(kind.group, kind.resource) for kind in MODEL_KINDS}
    models = next(item.inputs for item in platform.of_type(PROJECT) if item.inputs["metadata"]["name"] == "models")
    allowed = {(item["group"], item["kind"]) for item in models["spec"]["namespaceResourceWhitelist"]}
    assert allowed == {(kind.group, kind.kind) for kind in MODEL_KINDS}
    (reader,) = [item.inputs for item in platform.of_type(f"{RBAC}:ClusterRole") if "argocd" in item.name]
    assert {verb for rule in reader["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert not {"secrets", "*"} & {resource for rule in reader["rules"] for resource in rule["resources"]}
    assert argo_cd_values(platform)["createClusterRoles"] is False


def test_secrets_are_declared_and_there_is_no_anonymous_access(platform: Recorder) -> None:
    configs = argo_cd_values(platform)["configs"]
    assert configs["secret"] == {"createSecret": False}
    assert configs["cm"]["users.anonymous.enabled"] == "false"
    assert configs["rbac"]["policy.default"] == ""
    secrets = [item.inputs["metadata"] for item in platform.of_type("kubernetes:core/v1:Secret")]
    names = {metadata["name"] for metadata in secrets if metadata["namespace"] == "argocd"}
    assert names == {"argocd-secret", "argocd-initial-admin-secret", "argocd-redis"}
    (settings,) = [metadata for metadata in secrets if metadata["name"] == "argocd-secret"]
    assert settings["labels"] == {"app.kubernetes.io/part-of": "argocd"}


def test_production_has_no_single_replica_but_the_controller_and_the_cache() -> None:
    context = stack_context("azure", "prod")
    recorder = record_components(lambda _, options: ArgoCd("argo-cd", ArgoCdArgs(context), options))
    values = argo_cd_values(recorder)
    for part in ("server", "repoServer"):
        assert values[part]["replicas"] == 2
        assert values[part]["pdb"] == {"enabled": True, "maxUnavailable": 1}
        assert values[part]["topologySpreadConstraints"]
