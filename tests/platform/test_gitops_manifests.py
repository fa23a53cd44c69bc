"""The GitOps folder, rendered by kustomize for a stack of each environment, with a model that the promotion wrote.

Proves that base and overlays apply to the InferenceServices, that the pods that KServe creates for them pass every
control of the policy pack for Kubernetes, and how the autoscaler, the probes and the rollout of pods are configured.
The Deployment is built here as KServe's controller builds it (the predictor's pod specification, strategy, labels);
that a real API server and the real controller accept it is tested elsewhere. Needs kubectl, which contains kustomize.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from infra.cluster.experiments import CONFIG_MAP
from infra.cluster.gitops import EXPERIMENT_KINDS, MODEL_KINDS, build_projects, build_root_application
from infra.core import stack_config
from infra.core.settings import Environment
from kernel import stack_file
from policies import Undecided, evaluate_manifest
from rehearsal import project
from rehearsal.toolchain import ROOT
from tests.support.gitops_rendering import GITOPS, Manifests, build_deployment, kustomize, render, write_stack
from tests.support.recording import stack_context


@pytest.fixture(scope="module", params=Environment)
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Manifests]:
    """An environment, and the manifests that Argo CD would apply on a stack of this environment."""
    environment: str = request.param
    return environment, render(environment, tmp_path_factory.mktemp(environment))


def of_kind(manifests: Manifests, kind: str) -> Manifests:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def test_manifests_and_their_pods_pass_every_control(rendered: tuple[str, Manifests]) -> None:
    _, manifests = rendered
    services = of_kind(manifests, "InferenceService")
    assert len(services) == 2
    evaluated = 0
    for manifest in [*manifests, *map(build_deployment, services)]:
        for control, finding in evaluate_manifest(manifest):
            evaluated += 1
            assert isinstance(finding, Undecided), f"{manifest['metadata']['name']}: {control.id}: {finding}"
    broken = build_deployment(services[0])
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] = True
    assert [control.id for control, _ in evaluate_manifest(broken)] == ["k8s-pod-privileged"]


def test_only_the_models_own_route_publishes_it(rendered: tuple[str, Manifests]) -> None:
    """KServe creates no route for this label: pkg/controller/.../ingress/httproute_reconciler.go (Reconcile)."""
    _, manifests = rendered
    for service in of_kind(manifests, "InferenceService"):
        assert service["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"
    (route,) = of_kind(manifests, "HTTPRoute")
    (rule,) = route["spec"]["rules"]
    assert {match["path"]["value"] for match in rule["matches"]} == {"/predict", "/v1/models", "/v2"}


def test_pods_are_configured_for_serving(rendered: tuple[str, Manifests]) -> None:
    _, manifests = rendered
    for service in of_kind(manifests, "InferenceService"):
        predictor = service["spec"]["predictor"]
        (container,) = predictor["containers"]
        assert container["name"] == "kserve-container"
        assert "@sha256:" in container["image"]
        assert container["ports"][0]["containerPort"] == 8000
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        environment = {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
        assert environment["MODEL_NAME"] == "wine"
        assert environment["MODEL_VERSION"] in ("1", "2")
        assert environment["MLFLOW_TRACKING_URI"].startswith("http")
        assert predictor["terminationGracePeriodSeconds"] == 30
        assert int(environment["DRAIN_TIMEOUT"]) < 30
        assert predictor["deploymentStrategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        assert predictor["serviceAccountName"] == "serving"
        assert "podAntiAffinity" in predictor["affinity"]


def test_the_autoscaler_gets_its_bounds_and_both_targets(rendered: tuple[str, Manifests]) -> None:
    environment, manifests = rendered
    bounds = {"dev": (2, 4), "staging": (3, 6), "prod": (3, 10)}
    for service in of_kind(manifests, "InferenceService"):
        assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "hpa"
        assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
        predictor = service["spec"]["predictor"]
        assert (predictor["minReplicas"], predictor["maxReplicas"]) == bounds[environment]
        targets = {
            metric["resource"]["name"]: metric["resource"]["target"]["averageUtilization"]
            for metric in predictor["autoScaling"]["metrics"]
        }
        assert targets == {"cpu": 70, "memory": 80}


def test_no_disruption_budget_prevents_the_drain_of_a_node(rendered: tuple[str, Manifests]) -> None:
    _, manifests = rendered
    pods = {
        service["metadata"]["name"]: service["spec"]["predictor"]["minReplicas"]
        for service in of_kind(manifests, "InferenceService")
    }
    budgets = of_kind(manifests, "PodDisruptionBudget")
    assert {budget["metadata"]["name"] for budget in budgets} == pods.keys()
    for budget in budgets:
        name = budget["spec"]["selector"]["matchLabels"]["serving.kserve.io/inferenceservice"]
        assert 1 <= budget["spec"]["minAvailable"] < pods[name]


def test_everything_is_in_one_namespace_and_allowed_by_the_argo_cd_project(rendered: tuple[str, Manifests]) -> None:
    _, manifests = rendered
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"serving"}
    allowed = {(kind.group, kind.kind) for kind in MODEL_KINDS}
    for manifest in manifests:
        group = manifest["apiVersion"].rpartition("/")[0]
        assert (group, manifest["kind"]) in allowed


@pytest.mark.parametrize(
    ("enabled", "paths"),
    [
        (False, {"models": "ml/stacks/aws-qa"}),
        (
            True,
            {
                "models": "ml/stacks/aws-qa",
                "pipelines": "ml/pipelines",
                "experiments": "ml/stacks/aws-qa/experiments",
            },
        ),
    ],
)
def test_the_app_of_apps_sets_the_stacks_source_in_the_others(
    tmp_path: Path, enabled: bool, paths: dict[str, str]
) -> None:
    gitops = {"repository": "https://git.example.com/team/ml.git", "revision": "v2", "path": "ml/stacks/aws-qa"}
    optional = {"pipelines": {"enabled": True}, "images": {"experiment": f"sha256:{'a' * 64}"}} if enabled else {}
    settings = stack_context("aws", "dev", "aws-qa", gitops=gitops, **optional).settings
    root = build_root_application(settings, "aws-qa")
    assert root["spec"]["source"]["path"] == "ml/applications"
    shutil.copytree(GITOPS / "applications", tmp_path / "applications")
    file = tmp_path / "applications" / "kustomization.yaml"
    # Argo CD adds the patches of the Application to the folder's kustomization.
    kustomization = {**yaml.safe_load(file.read_text()), **root["spec"]["source"]["kustomize"]}
    file.write_text(yaml.safe_dump(kustomization))
    projects = {project["metadata"]["name"]: project["spec"] for project in build_projects(settings)}
    applications = list(yaml.safe_load_all(kustomize(tmp_path / "applications")))
    for application in applications:
        spec, project = application["spec"], projects[application["spec"]["project"]]
        assert (spec["source"]["repoURL"], spec["source"]["targetRevision"]) == (gitops["repository"], "v2")
        assert spec["destination"] in project["destinations"]
        assert spec["source"]["repoURL"] in project["sourceRepos"]
        assert application["metadata"]["namespace"] == "argocd"
    assert {item["metadata"]["name"]: item["spec"]["source"]["path"] for item in applications} == paths


@pytest.mark.parametrize("environment", Environment)
def test_a_stack_without_models_renders(environment: Environment, tmp_path: Path) -> None:
    shutil.copytree(GITOPS, tmp_path / "gitops")
    assert "kind: NetworkPolicy" in kustomize(write_stack(tmp_path / "gitops", environment))


def test_the_experiments_are_the_config_map_that_the_router_mounts(tmp_path: Path) -> None:
    """Its name does not depend on its content, and a route beside it is one of the kinds that may be applied."""
    shutil.copytree(GITOPS, tmp_path / "gitops")
    folder = write_stack(tmp_path / "gitops", Environment.DEV) / "experiments"
    example = (ROOT / "docs" / "gitops.md").read_text().partition("kind: HTTPRoute")[2].partition("```")[0]
    (folder / "route.yaml").write_text(
        f"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute{example}"  # as the documentation shows it
    )
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({**kustomization, "resources": ["route.yaml"]}))
    manifests = list(yaml.safe_load_all(kustomize(folder)))
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"serving"}
    (config_map,) = of_kind(manifests, "ConfigMap")
    assert config_map["metadata"]["name"] == CONFIG_MAP
    assert yaml.safe_load(config_map["data"]["experiments.yaml"]) == {"experiments": []}
    (route,) = of_kind(manifests, "HTTPRoute")
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "experiment-router", "port": 80}]
    assert route["spec"]["rules"][0]["matches"][0]["path"]["type"] == "Exact", (
        "else the model's own route might precede"
    )
    allowed = {kind.kind for kind in EXPERIMENT_KINDS}
    assert {manifest["kind"] for manifest in manifests} == allowed


@pytest.mark.parametrize("stack", project.current().stack_names)
def test_every_stack_has_a_folder_with_the_overlay_of_its_environment(stack: str) -> None:
    file = stack_file.read(project.current().stack_file(stack), "groundwork")
    kustomization = yaml.safe_load((GITOPS / "stacks" / stack / "kustomization.yaml").read_text())
    assert kustomization["components"] == [f"../../overlays/{stack_config.check(file, stack).environment}"]
