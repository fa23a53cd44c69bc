"""Charts rendered by the real Helm, their objects validated against the schemas and evaluated by the controls.

Proves with toy charts what is rejected, what is reported, and what is not stored in the state; and, if
GROUNDWORK_CHARTS names a folder with the packages, that the platform's own charts pass with the platform's own values.
Does not prove anything about the API server's admission, or about objects that operators create.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra import cluster
from kernel.paths import look_up
from policies import ReviewedException, load_exceptions
from rehearsal import toolchain
from rehearsal.helm import charts, cli, rendering
from rehearsal.helm.chart_policies import ChartEvaluation, evaluate_release, list_advisories, list_problems
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import SIGNATURE, Values
from rehearsal.simulator.offline_kubernetes import CLOUD, RELEASE
from tests.support import chart_packages
from tests.support.foundations import sample_foundation
from tests.support.recording import Recorder, record_program, stack_context
from tests.support.rendered_workloads import ReplicatedWorkload, list_containers, list_replicated_workloads

pytestmark = pytest.mark.engine

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, annotations: {day: 2030-01-01, sign: =}}
data: {level: "{{ .Values.level }}"}
"""
MONITOR = """
{{ if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: toy}
{{ end }}
"""
LIST = """
apiVersion: v1
kind: ConfigMapList
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: one}}
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: two}, dada: {}}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: made}
stringData: {pin: "made-{{ randAlphaNum 12 }}"}
"""
HOOK = """
apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {helm.sh/hook: pre-install}}
spec: {template: {spec: {restartPolicy: Never, hostPID: true, containers: [{name: main, image: "busybox:1"}]}}}
"""
RUNNING_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
REQUIRES = '{{ required "say how many" .Values.replicas }}'


@pytest.fixture(autouse=True)
def _require_helm() -> None:
    if not cli.is_available():
        pytest.skip("no Helm on this machine, and none could be built")


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulation]:
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(tmp_path))
    state = StateStore(tmp_path / "state.db")
    yield Simulation(CLOUD, state)
    state.close()


def create_release_inputs(folder: Path, values: dict[str, Any] | None = None, **templates: str) -> dict[str, Any]:
    """Package a toy chart with these templates; returns the inputs of a release of it."""
    files = {f"{name}.yaml": text for name, text in templates.items()}
    chart_packages.package(folder, "toy", files, values="level: ''\nfolder: ''\n")
    toy = {"chart": "toy", "version": chart_packages.VERSION, "name": "toy", "namespace": "default"}
    # Renderings are cached by release and values: the folder distinguishes the charts of different tests.
    return {**toy, "values": {"level": "1", "folder": str(folder), **(values or {})}}


def create_release(kubernetes: Simulation, inputs: dict[str, Any]) -> Any:
    _, outputs = kubernetes.create("urn::r", RELEASE, Values(inputs), preview=False)
    return outputs.plain["rendered"]


def test_a_chart_is_rendered_and_its_objects_counted(kubernetes: Simulation, tmp_path: Path) -> None:
    inputs = create_release_inputs(tmp_path, config=CONFIG_MAP, monitor=MONITOR)
    assert create_release(kubernetes, inputs) == {"objects": 2, "notChecked": 1, "reason": ""}


def test_a_template_that_fails_is_an_error_with_helms_message(kubernetes: Simulation, tmp_path: Path) -> None:
    with pytest.raises(CloudError, match=r"toy could not be rendered: .*say how many"):
        create_release(kubernetes, create_release_inputs(tmp_path, broken=REQUIRES))


def test_an_update_is_rendered_too(kubernetes: Simulation, tmp_path: Path) -> None:
    inputs = create_release_inputs(tmp_path, {"replicas": 1}, needs="# " + REQUIRES, config=CONFIG_MAP)
    create_release(kubernetes, inputs)
    changed = {**inputs, "values": {**inputs["values"], "replicas": ""}}
    with pytest.raises(CloudError, match="say how many"):
        kubernetes.update("urn::r", RELEASE, "default/toy", Values(changed), Values(inputs), preview=False)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (LIST, "toy/ConfigMap/two: ConfigMap is invalid: object"),
        (CONFIG_MAP.replace('"{{ .Values.level }}"', "{{ .Values.level }}"), "toy/ConfigMap/settings.*data.level"),
        (CONFIG_MAP.replace("v1", "policy/v1beta1"), "no match for kind"),
        ("kind: ConfigMap", "without apiVersion and kind"),
        ("a: [", "YAML"),
    ],
)
def test_a_release_with_an_object_that_the_api_server_would_reject_is_rejected(
    kubernetes: Simulation, tmp_path: Path, template: str, reason: str
) -> None:
    with pytest.raises(CloudError, match=reason):
        create_release(kubernetes, create_release_inputs(tmp_path, object=template))


def test_random_values_of_a_chart_are_never_written_to_disk(kubernetes: Simulation, tmp_path: Path) -> None:
    inputs = create_release_inputs(tmp_path, secret=SECRET)
    assert (
        create_release(kubernetes, inputs)
        == create_in_new_state(inputs)
        == {"objects": 1, "notChecked": 0, "reason": ""}
    )
    written = [path for path in tmp_path.rglob("*") if path.is_file() and b"made-" in path.read_bytes()]
    assert written == []


def create_in_new_state(inputs: dict[str, Any]) -> Any:
    state = StateStore(":memory:")
    try:
        return create_release(Simulation(CLOUD, state), inputs)
    finally:
        state.close()


def test_a_hook_is_evaluated_like_any_other_object(kubernetes: Simulation, tmp_path: Path) -> None:
    inputs = create_release_inputs(tmp_path, hook=HOOK)
    create_release(kubernetes, inputs)
    problems = "\n".join(list_problems([evaluate_release(inputs, [])], strict=False))
    assert "toy/Job/hook: [high] k8s-pod-host-namespaces: spec.template.spec.hostPID" in problems
    assert "Remedy: leave hostPID, hostIPC and hostNetwork unset" in problems


@pytest.mark.usefixtures("kubernetes")
@pytest.mark.parametrize(("template", "message"), [(LIST, "ConfigMap is invalid"), (REQUIRES, "does not render: ")])
def test_a_release_that_was_created_without_its_chart_is_evaluated_once_the_chart_is_available(
    tmp_path: Path, template: str, message: str
) -> None:
    (problem,) = list_problems([evaluate_release(create_release_inputs(tmp_path, object=template), [])], strict=False)
    assert message in problem


@pytest.mark.usefixtures("kubernetes")
def test_a_release_with_values_that_are_secret_in_the_state_is_not_rendered(tmp_path: Path) -> None:
    inputs = create_release_inputs(tmp_path, {"level": {SIGNATURE: "mark", "ciphertext": "v1:x"}}, config=CONFIG_MAP)
    assert "secret" in evaluate_release(inputs, []).rendered.skip_reason


TODAY = datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("resource", "expires", "covers"),
    [
        ("toy/Job/hook", TODAY, True),
        ("toy/Job/*", TODAY, True),
        ("toy/Job/*", TODAY - timedelta(days=1), False),
        ("hook", TODAY, False),
    ],
)
@pytest.mark.usefixtures("kubernetes")
def test_only_a_valid_exception_covers_a_rendered_object(
    tmp_path: Path, resource: str, expires: date, covers: bool
) -> None:
    exception = ReviewedException("k8s-pod-host-namespaces", resource, "for a test", expires)
    evaluation = evaluate_release(create_release_inputs(tmp_path, hook=HOOK), [exception])
    assert any(violation.control.id == exception.control for violation in evaluation.exempt) is covers
    assert any(violation.control.id == exception.control for violation in evaluation.failed) is not covers


@pytest.mark.usefixtures("kubernetes")
def test_advisories_are_not_problems_even_when_strict(tmp_path: Path) -> None:
    evaluation = evaluate_release(create_release_inputs(tmp_path, hook=HOOK), [])
    lower = [replace(item, control=replace(item.control, severity="low")) for item in evaluation.violations]
    advised = [replace(evaluation, violations=lower)]
    assert list_problems(advised, strict=True) == []
    assert "[low] k8s-pod-host-namespaces" in "\n".join(list_advisories(advised))


def test_an_unavailable_chart_is_reported_and_is_a_problem_when_strict(
    kubernetes: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "CACHE", tmp_path / "cache")
    inputs = {"chart": "nowhere", "version": "1.0.0", "name": "toy", "namespace": "default", "values": {}}
    reason = "the release names no repository"
    assert create_release(kubernetes, inputs) == {"objects": 0, "notChecked": 0, "reason": reason}
    evaluations = [evaluate_release(inputs, [])]
    assert list_problems(evaluations, strict=False) == []
    (problem,) = list_problems(evaluations, strict=True)
    assert reason in problem
    assert "nowhere-1.0.0.tgz" in problem


def test_a_release_whose_chart_was_missing_is_rendered_once_it_is_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "CACHE", tmp_path / "cache")
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(tmp_path / "empty"))
    release = rendering.Release.from_inputs(create_release_inputs(tmp_path, config=CONFIG_MAP))
    assert "names no repository" in rendering.render(release).skip_reason
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(tmp_path))
    assert [each["kind"] for each in rendering.render(release).objects] == ["ConfigMap"]


@pytest.fixture(scope="module", params=["dev", "prod"])
def recorded(request: pytest.FixtureRequest) -> Recorder:
    """The platform as an environment declares it; a release that breaks a schema fails."""
    if not os.environ.get(charts.FOLDER_VARIABLE):
        pytest.skip(f"{charts.FOLDER_VARIABLE} does not name a folder with the charts")
    return record_program(lambda: cluster.create_platform(stack_context("azure", request.param), sample_foundation()))[
        0
    ]


@pytest.fixture(scope="module")
def platform(recorded: Recorder) -> list[ChartEvaluation]:
    """The evaluations of the platform's charts with its own values."""
    reviewed = load_exceptions()
    return [evaluate_release(item.inputs, reviewed) for item in recorded.of_type(RELEASE)]


def test_the_platforms_charts_render_without_problems(platform: list[ChartEvaluation]) -> None:
    assert {evaluation.chart.short_name for evaluation in platform} == set(charts.pinned_charts())
    assert list_problems(platform, strict=True) == []
    with_pods = [each for each in platform if any(map(list_containers, each.rendered.objects))]
    assert len(with_pods) >= 2
    assert all(evaluation.passed > 10 for evaluation in with_pods)


def test_every_exception_of_a_rendered_object_is_needed(platform: list[ChartEvaluation]) -> None:
    reviewed = load_exceptions()
    # Exceptions for Kubeflow Pipelines, which is not a chart, are compared in tests/platform.
    others = ("kubeflow-pipelines",)
    rendered = {
        exception
        for exception in reviewed
        if "/" in exception.resource and exception.resource.partition("/")[0] not in others
    }
    used = {violation.exception for evaluation in platform for violation in evaluation.exempt}
    assert used == rendered


PROBES = {"livenessProbe", "readinessProbe"}
# Reviewed: the probes that containers lack.
UNPROBED = {
    # /-/healthy fails together with a store that Alloy sends to, which a restart would not fix.
    "alloy: alloy": {"livenessProbe"},
    # The charts have no values for these, and only Prometheus calls them.
    "argo-cd: application-controller": {"livenessProbe"},
    "cert-manager: cert-manager-cainjector": PROBES,
    "cert-manager: cert-manager-controller": {"readinessProbe"},
    # They only answer /readyz.
    "external-secrets: cert-controller": {"livenessProbe"},
    "external-secrets: webhook": {"livenessProbe"},
    # Sidecars of containers that are probed.
    "kserve-resources: kube-rbac-proxy": PROBES,
    "kube-prometheus-stack: grafana-sc-dashboard": PROBES,
    "kube-prometheus-stack: grafana-sc-datasources": PROBES,
}


def test_containers_are_probed(platform: list[ChartEvaluation]) -> None:
    unprobed = {}
    for evaluation in platform:
        for manifest in evaluation.rendered.objects:
            if manifest["kind"] in RUNNING_KINDS and look_up(manifest, "spec.replicas", 1):
                for container in look_up(manifest, "spec.template.spec.containers", ()):
                    if missing := PROBES - container.keys():
                        unprobed[f"{evaluation.chart.short_name}: {container['name']}"] = missing
    assert unprobed == UNPROBED


def test_no_container_gets_a_cpu_limit_that_it_does_not_declare(
    recorded: Recorder, platform: list[ChartEvaluation]
) -> None:
    limit_ranges = {
        item.inputs["metadata"]["namespace"]: item.inputs["spec"]["limits"][0]
        for item in recorded.of_type("kubernetes:core/v1:LimitRange")
    }
    limited = []
    containers = 0
    for evaluation, release_namespace in zip(platform, list_namespaces(recorded), strict=True):
        for manifest in evaluation.rendered.objects:
            namespace = manifest["metadata"].get("namespace") or release_namespace
            for container in list_containers(manifest):
                containers += 1
                if "cpu" in default_limits(container, limit_ranges.get(namespace, {})):
                    limited.append(f"{rendering.object_label(evaluation.chart, manifest)}: {container['name']}")
    assert limited == []
    assert containers >= 10


def default_limits(container: Mapping[str, Any], limit_range: Mapping[str, Any]) -> Mapping[str, Any]:
    """The limits that a LimitRange adds to a container: its `default` or, without one, its `max`.

    Source: https://kubernetes.io/docs/concepts/policy/limit-range/
    """
    defaults = {**limit_range.get("max", {}), **limit_range.get("default", {})}
    declared = look_up(container, "resources.limits", {})
    return {resource: amount for resource, amount in defaults.items() if resource not in declared}


def list_namespaces(recorded: Recorder) -> list[str]:
    """The namespaces of the releases, in their order."""
    return [item.inputs["namespace"] for item in recorded.of_type(RELEASE)]


def test_replicas_have_a_budget_and_are_spread_over_zones(recorded: Recorder, platform: list[ChartEvaluation]) -> None:
    declared = [item.inputs for item in recorded.of_type("kubernetes:policy/v1:PodDisruptionBudget")]
    problems = []
    for evaluation, namespace in zip(platform, list_namespaces(recorded), strict=True):
        objects = evaluation.rendered.objects
        for workload in list_replicated_workloads(objects, namespace):
            budgets = workload.find_budgets([*objects, *declared], namespace)
            name = f"{evaluation.chart.short_name}: {workload.name}"
            if any(not workload.allows_disruption(budget) for budget in budgets):
                problems.append(f"{name} has a budget that allows no disruption, so its node cannot be drained")
            if workload.replicas > 1 and not budgets:
                problems.append(f"{name} has {workload.replicas} replicas and no budget")
            if workload.replicas > 1 and not is_spread(workload):
                problems.append(f"{name} has {workload.replicas} replicas that may all be in one zone")
    assert problems == []


def is_spread(workload: ReplicatedWorkload) -> bool:
    """Whether the scheduler prefers zones in which the workload has no pod yet."""
    preferred = "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution"
    constraints = [
        *(workload.pod.get("topologySpreadConstraints") or ()),
        *(each["podAffinityTerm"] for each in look_up(workload.pod, preferred, ())),
    ]
    return any(
        each["topologyKey"] == "topology.kubernetes.io/zone" and workload.is_selected(each["labelSelector"])
        for each in constraints
    )
