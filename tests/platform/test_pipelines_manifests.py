"""Kubeflow Pipelines: what is unsafe in upstream's manifests, and that the platform's patches remove it.

Every test of a patch also renders upstream's manifests without it, and shows the difference. Needs kubectl, which
contains kustomize, and the sources in GROUNDWORK_MANIFESTS (see tests/support/pipelines_rendering.py). Does not prove
that the pods start, nor that runs pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from infra.access import get_workload
from infra.cluster.flows import Pods
from infra.cluster.gitops import PIPELINE_DEFINITIONS, PIPELINE_KINDS
from infra.cluster.namespaces import PIPELINES_PROFILES
from infra.cluster.pipelines import NAMESPACE, ROLES, Pipelines
from policies import ReviewedException, Undecided, evaluate_manifest, load_exceptions
from tests.support.gitops_rendering import Manifests
from tests.support.pipelines_rendering import REMOTE, read_kustomization, render_pipelines, render_upstream

WORKLOAD = get_workload("pipelines")


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return render_upstream(tmp_path_factory.mktemp("upstream"))


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return render_pipelines(tmp_path_factory.mktemp("patched"))


def find(manifests: Manifests, kind: str, name: str = "") -> Manifests:
    return [item for item in manifests if item["kind"] == kind and name in ("", item["metadata"]["name"])]


def names(manifests: Manifests) -> set[str]:
    return {item["metadata"]["name"] for item in manifests}


def pods(manifests: Manifests, name: str = "") -> Iterator[Mapping[str, Any]]:
    for item in find(manifests, "Deployment", name):
        yield item["spec"]["template"]["spec"]


def containers(manifests: Manifests, name: str = "") -> Iterator[Mapping[str, Any]]:
    for pod in pods(manifests, name):
        yield from [*pod.get("initContainers", ()), *pod["containers"]]


def environment(manifests: Manifests, name: str) -> Mapping[str, Any]:
    return {item["name"]: item.get("value") for one in containers(manifests, name) for item in one.get("env", ())}


def config(manifests: Manifests, name: str) -> Mapping[str, str]:
    (found,) = find(manifests, "ConfigMap", name)
    data: Mapping[str, str] = found["data"]
    return data


def find_exceptions() -> list[ReviewedException]:
    return [item for item in load_exceptions() if item.resource.startswith("kubeflow-pipelines/")]


def all_violations(manifests: Manifests) -> set[tuple[str, str]]:
    """The control and the object of each violation."""
    return {
        (control.id, f"kubeflow-pipelines/{item['kind']}/{item['metadata']['name']}")
        for item in manifests
        for control, finding in evaluate_manifest(item)
        if not isinstance(finding, Undecided)
    }


def covers(exception: ReviewedException, violation: tuple[str, str]) -> bool:
    control, resource = violation
    return exception.control == control and exception.matches(resource)


def violations(manifests: Manifests) -> set[tuple[str, str]]:
    """The violations that no reviewed exception covers."""
    exceptions = load_exceptions()
    return {one for one in all_violations(manifests) if not any(covers(each, one) for each in exceptions)}


def reads_all_secrets(manifests: Manifests) -> bool:
    rules = [rule for role in find(manifests, "Role") for rule in role["rules"]]
    return any("secrets" in rule["resources"] and not rule.get("resourceNames") for rule in rules)


def mounts_needless_tokens(manifests: Manifests) -> bool:
    names = ("mysql", "seaweedfs", "metadata-envoy-deployment", "metadata-grpc-deployment")
    return any(pod.get("automountServiceAccountToken", True) for name in names for pod in pods(manifests, name))


def publishes_administration(manifests: Manifests) -> bool:
    (store,) = find(manifests, "Service", "seaweedfs")
    return {port["targetPort"] for port in store["spec"]["ports"]} != {8333}


def listens_for_administration_of_envoy(manifests: Manifests) -> bool:
    (envoy,) = containers(manifests, "metadata-envoy-deployment")
    own = yaml.safe_load(config(manifests, "metadata-envoy-configmap")["envoy-config.yaml"])
    overriding = envoy["args"][envoy["args"].index("--config-yaml") + 1] if "--config-yaml" in envoy["args"] else "{}"
    admin = {**own["admin"], **yaml.safe_load(overriding).get("admin", {})}
    published = 9901 in {port["containerPort"] for port in envoy["ports"]}
    return published or admin["address"]["socket_address"]["address"] != "127.0.0.1"


def floats(manifests: Manifests) -> bool:
    """Whether an image's tag is not a complete version; SeaweedFS's versions have two parts."""
    images = {one["image"] for one in containers(manifests)}
    return any(image.rpartition(":")[2].count(".") != 2 for image in images if "/seaweedfs:" not in image)


# What is unsafe upstream, as functions of manifests. The comments name upstream's files in manifests/kustomize.
UNSAFE: Mapping[str, Callable[[Manifests], bool]] = {
    # base/installs/generic/mysql-secret.yaml, and mlpipeline-minio-artifact-secret.yaml of third-party/seaweedfs
    "credentials are the same everywhere": lambda them: bool(find(them, "Secret")),
    # third-party/mysql/base/mysql-deployment.yaml
    "the database needs no password": lambda them: "MYSQL_ALLOW_EMPTY_PASSWORD" in environment(them, "mysql"),
    # base/pipeline/pipeline-runner-role.yaml and ml-pipeline-ui-role.yaml
    "roles read all secrets": reads_all_secrets,
    # base/cache-deployer, base/cache: approves its own certificate, for a webhook over pods
    "a webhook over pods certifies itself": lambda them: bool(find(them, "Deployment", "cache-deployer-deployment")),
    # base/pipeline/metadata-writer
    "pods of runs are changed by another": lambda them: bool(find(them, "Deployment", "metadata-writer")),
    # base/pipeline/ml-pipeline-visualization-deployment.yaml
    "Python code of requests runs": lambda them: bool(find(them, "Deployment", "ml-pipeline-visualizationserver")),
    # base/pipeline/ml-pipeline-viewer-crd-*.yaml
    "viewers start Deployments": lambda them: any("viewer" in name for name in names([*them])),
    # base/pipeline/ml-pipeline-ui-deployment.yaml, frontend/server/configs.ts
    "the user interface admits custom visualizations": lambda them: (
        environment(them, "ml-pipeline-ui")["ALLOW_CUSTOM_VISUALIZATIONS"] != "false"
    ),
    "the user interface fetches any address": lambda them: (
        environment(them, "ml-pipeline-ui").get("ALLOWED_ARTIFACT_DOMAIN_REGEX", "^.*$") != "^$"
    ),
    # third-party/seaweedfs/base/seaweedfs/seaweedfs-networkpolicy.yaml: admits every namespace with a label
    "foreign network policies admit clients": lambda them: bool(find(them, "NetworkPolicy")),
    # third-party/seaweedfs/base/seaweedfs/seaweedfs-service.yaml
    "the store's administration is published": publishes_administration,
    # base/metadata/base/metadata-envoy-configmap.yaml
    "Envoy's administration listens on all addresses": listens_for_administration_of_envoy,
    # base/installs/generic/pipeline-install-config.yaml
    "steps may run as root": lambda them: (
        config(them, "pipeline-install-config")["defaultSecurityContextRunAsNonRoot"] != "true"
    ),
    "pipelines of version 1 run": lambda them: config(them, "pipeline-install-config")["BLOCK_V1_PIPELINES"] != "true",
    # no automountServiceAccountToken in any of the manifests
    "pods have tokens that they do not use": mounts_needless_tokens,
    # mysql:8.4 and alpine:3.23, and workflow-controller:latest of Argo Workflows
    "tags of images float": floats,
    # workflow-controller-priorityclass.yaml of Argo Workflows
    "pods precede others of the cluster": lambda them: bool(find(them, "PriorityClass")),
}


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_unsafe_parts_of_upstream_are_patched(unsafe: str, upstream: Manifests, patched: Manifests) -> None:
    assert UNSAFE[unsafe](upstream), "upstream has become safe: remove the patch"
    assert not UNSAFE[unsafe](patched)


@pytest.mark.parametrize(
    "control",
    [
        "k8s-pod-image-tag",
        "k8s-pod-read-only-root",
        "k8s-pod-resources",
        "k8s-pod-seccomp",
        "k8s-rbac-exec",
        "k8s-rbac-wildcard",
    ],
)
def test_upstream_violates_controls_of_the_policy_pack(control: str, upstream: Manifests) -> None:
    assert control in {found for found, _ in violations(upstream)}


def test_the_patched_manifests_pass_every_control(patched: Manifests) -> None:
    assert violations(patched) == set()


def make_run(manifests: Manifests, **context: Any) -> dict[str, Any]:
    """The workflow of a run with one step, with the fields that the platform's Argo adds to every workflow."""
    defaults = yaml.safe_load(config(manifests, "workflow-controller-configmap")["workflowDefaults"])["spec"]
    step = {"name": "step", "container": {"image": "ghcr.io/acme/train:1", "securityContext": context}}
    spec = {**defaults, "templates": [step]}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "run"}, "spec": spec}


def violated(manifest: Mapping[str, Any], standard: str) -> set[str]:
    return {
        control.id
        for control, finding in evaluate_manifest(manifest)
        if standard in control.references and not isinstance(finding, Undecided)
    }


def test_pods_of_runs_are_evaluated_at_the_level_of_their_namespace(patched: Manifests) -> None:
    assert PIPELINES_PROFILES[NAMESPACE].level == "baseline"
    run = make_run(patched)
    assert violated(run, "PSS-baseline") == set()
    assert {"k8s-pod-non-root", "k8s-pod-privilege-escalation"} <= violated(run, "PSS-restricted")
    assert violated(make_run(patched, privileged=True), "PSS-baseline") == {"k8s-pod-privileged"}
    context = {"type": "Unconfined"}
    assert "k8s-pod-apparmor" in violated(make_run(patched, appArmorProfile=context), "PSS-baseline")
    safe = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert violated(make_run(patched, **safe), "PSS-restricted") == set()


def test_every_exception_is_needed(patched: Manifests) -> None:
    found = all_violations(patched)
    assert [each for each in find_exceptions() if not any(covers(each, one) for one in found)] == []


def test_roles_allow_less_than_upstreams(upstream: Manifests, patched: Manifests) -> None:
    assert not find(patched, "Role") + find(patched, "RoleBinding")
    accounts = names(find(patched, "ServiceAccount")) | {WORKLOAD.service_account}
    for account, rules in ROLES.items():
        assert account in accounts
        ours, theirs = list_permissions(rules), list_permissions(list_rules(upstream, account))
        beyond = {(group, resource, verb) for group, resource, verb in ours if (group, resource, "*") not in theirs}
        assert beyond <= theirs
        assert all(rule.get("resourceNames") for rule in rules if "secrets" in rule["resources"])


def list_rules(manifests: Manifests, account: str) -> Sequence[Mapping[str, Any]]:
    """The rules that apply to a service account."""
    roles = {
        binding["roleRef"]["name"]
        for binding in find(manifests, "RoleBinding")
        if account in {subject["name"] for subject in binding["subjects"]}
    }
    return [rule for role in find(manifests, "Role") if role["metadata"]["name"] in roles for rule in role["rules"]]


def list_permissions(rules: Sequence[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """The group, resource and verb of each permission."""
    return {one for rule in rules for one in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])}


def test_service_accounts_are_those_of_pods_and_that_of_runs_is_the_stacks(
    upstream: Manifests, patched: Manifests
) -> None:
    """With two owners, the service account of runs would alternate between them."""
    assert {WORKLOAD.service_account, "kubeflow-pipelines-container-builder"} < names(find(upstream, "ServiceAccount"))
    used = {pod["serviceAccountName"] for pod in pods(patched) if "serviceAccountName" in pod}
    assert names(find(patched, "ServiceAccount")) == used


def test_everything_is_in_one_namespace_and_allowed_by_the_argo_cd_project(patched: Manifests) -> None:
    definitions = find(patched, "CustomResourceDefinition")
    assert names(definitions) == set(PIPELINE_DEFINITIONS)
    allowed = {(kind.group, kind.kind) for kind in PIPELINE_KINDS}
    for item in patched:
        if item not in definitions:
            group = item["apiVersion"].rpartition("/")[0]
            assert (group, item["kind"]) in allowed, item["metadata"]["name"]
            assert item["metadata"]["namespace"] == NAMESPACE


def test_flows_are_between_pods_that_exist_and_end_at_their_ports(patched: Manifests) -> None:
    known = [item["spec"]["template"] for item in find(patched, "Deployment")]
    runs = yaml.safe_load(config(patched, "workflow-controller-configmap")["workflowDefaults"])["spec"]["podMetadata"]
    for flow in Pipelines.flows:
        for end in (flow.client, flow.server):
            if not isinstance(end, Pods) or end.labels.items() <= runs["labels"].items():
                continue
            (template,) = [item for item in known if end.labels.items() <= item["metadata"]["labels"].items()]
            if end == flow.server:
                ports = {port["containerPort"] for one in template["spec"]["containers"] for port in one["ports"]}
                assert flow.port in ports, flow


def test_secrets_that_pods_read_are_those_that_the_stack_creates(patched: Manifests) -> None:
    references = {
        (item["valueFrom"]["secretKeyRef"]["name"], item["valueFrom"]["secretKeyRef"]["key"])
        for one in containers(patched)
        for item in one.get("env", ())
        if "secretKeyRef" in item.get("valueFrom", {})
    }
    assert references == {
        ("mysql-secret", "username"),
        ("mysql-secret", "password"),
        ("mlpipeline-minio-artifact", "accesskey"),
        ("mlpipeline-minio-artifact", "secretkey"),
    }


def test_the_controllers_leave_most_of_the_quota_to_runs(patched: Manifests) -> None:
    requested = sum(_to_mebibytes(one["resources"]["requests"]["memory"]) for one in containers(patched))
    assert requested * 4 < _to_mebibytes(PIPELINES_PROFILES[NAMESPACE].memory)


def _to_mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]


def test_upstream_is_referred_to_by_commits() -> None:
    assert [resource for resource in read_kustomization()["resources"] if not REMOTE.fullmatch(resource)] == []
