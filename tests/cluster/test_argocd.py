"""Argo CD's application controller and repository server run as real processes once their chart is installed.

Proves that a commit to a git repository on this machine, declared with an https URL, is applied to the cluster within
seconds; that removed objects are pruned and manual changes reverted; that a stack's Applications become Synced and
Healthy, regardless of the order in which they and their prerequisites are created; that errors of the API server and of
the project are in the status; which permissions apply; and that a killed process is restarted. Does not cover Argo CD's
API server and user interface, nor Redis, which is replaced by a substitute.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra.cluster.gitops import build_projects, build_root_application
from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.controllers.argocd import APPLICATION_CONTROLLER, REDIS, REPOSITORY_SERVER
from rehearsal.kubernetes.controllers.manager import ControllerManager, ensure_programs
from rehearsal.kubernetes.readiness.applications import list_unreachable
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from rehearsal.kubernetes.readiness.workloads import find_problems
from rehearsal.toolchain import ROOT
from tests.support.argocd_applications import (
    API_VERSION,
    NAMESPACE,
    Repository,
    application_manifest,
    failed_operation,
    find_processes,
    get_status,
    is_healthy,
    is_synced,
    may_patch_config_maps,
    project_manifest,
    read_value,
    render_config_map,
    render_manifest,
    render_mislabelled_deployment,
)
from tests.support.chart_installation import apply_definitions, install_chart
from tests.support.provider_client import Engine
from tests.support.recording import stack_context
from tests.support.waiting import eventually

_RBAC = "rbac.authorization.k8s.io/v1"
_ROLE = "argo-cd-argocd-application-controller"
_GITOPS = ROOT / "platform" / "gitops"
_MONITOR = ("monitoring.coreos.com/v1", "ServiceMonitor")
_DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_VALUES = (
    f"global.image.tag=v{APPLICATION_CONTROLLER.tool.version}",
    "dex.enabled=false",
    "notifications.enabled=false",
)


@pytest.fixture(scope="module")
def controllers(plane: ControlPlane, egress: EgressProxy) -> Iterator[ControllerManager]:
    found = ensure_programs(["argo-cd"])
    if not found:
        pytest.skip("Argo CD's controllers are not available")
    controllers = ControllerManager(plane, egress, found)
    with controllers.run():
        install_chart(plane, "argo-cd-10.1.1", NAMESPACE, *_VALUES)
        plane.api.apply(project_manifest(), "test")
        yield controllers
        for application in plane.api.list(API_VERSION, "Application"):
            plane.api.delete(API_VERSION, "Application", application["metadata"]["name"], NAMESPACE)
        eventually(lambda: not plane.api.list(API_VERSION, "Application"))
    eventually(lambda: not find_processes(plane))


@pytest.fixture
def url(namespace: str) -> str:
    return f"https://git.example.com/{namespace}/settings.git"


@pytest.fixture
def repository(controllers: ControllerManager, url: str, tmp_path: Path) -> Repository:
    made = Repository.create(tmp_path)
    controllers.git_server.add_repository(url, made.folder)
    return made


@pytest.fixture
def application(plane: ControlPlane, namespace: str, url: str) -> Iterator[Callable[..., Object]]:
    """Creates an Application of the repository for the test's namespace, with the namespace's name."""

    def create(*, retry: Mapping[str, Any] | None = None, **source: str) -> Object:
        return plane.api.create(application_manifest(namespace, {"repoURL": url, **source}, retry or {"limit": 0}))

    yield create
    plane.api.delete(API_VERSION, "Application", namespace, NAMESPACE)


def test_a_commit_is_applied_to_the_cluster(
    plane: ControlPlane,
    controllers: ControllerManager,
    repository: Repository,
    application: Callable[..., Object],
    namespace: str,
) -> None:
    first = repository.commit({"colour.yaml": render_config_map("colour", "red")})
    application()
    eventually(lambda: is_synced(plane, namespace, first))
    assert read_value(plane, namespace, "colour") == "red"

    second = repository.commit({"colour.yaml": render_config_map("colour", "blue")})

    eventually(lambda: is_synced(plane, namespace, second))
    assert read_value(plane, namespace, "colour") == "blue"
    assert {"Application", "AppProject"} <= set(controllers.served_kinds())
    assert [note for note in controllers.notes() if "Argo CD" in note] == [REDIS.substitute_note]
    assert not controllers.problems()


@pytest.mark.usefixtures("controllers")
def test_an_object_removed_from_the_repository_is_pruned(
    plane: ControlPlane, repository: Repository, application: Callable[..., Object], namespace: str
) -> None:
    files = {f"{name}.yaml": render_config_map(name, "red") for name in ("stays", "goes")}
    first = repository.commit(files)
    application()
    eventually(lambda: is_synced(plane, namespace, first))

    second = repository.commit({"goes.yaml": None})

    eventually(lambda: is_synced(plane, namespace, second))
    assert read_value(plane, namespace, "goes") is None
    assert read_value(plane, namespace, "stays") == "red"


@pytest.mark.usefixtures("controllers")
def test_a_manual_change_is_reverted(
    plane: ControlPlane, repository: Repository, application: Callable[..., Object], namespace: str
) -> None:
    commit = repository.commit({"colour.yaml": render_config_map("colour", "red")})
    application()
    eventually(lambda: is_synced(plane, namespace, commit))
    found = plane.api.get("v1", "ConfigMap", "colour", namespace)
    assert found is not None

    plane.api.patch(found, {"data": {"value": "green"}})

    eventually(lambda: read_value(plane, namespace, "colour") == "red")


@pytest.mark.usefixtures("controllers")
def test_an_error_of_the_api_server_is_in_the_status(
    plane: ControlPlane, repository: Repository, application: Callable[..., Object], namespace: str
) -> None:
    good = repository.commit({"colour.yaml": render_config_map("colour", "red")})
    application()
    eventually(lambda: is_synced(plane, namespace, good))

    bad = repository.commit({"web.yaml": render_mislabelled_deployment()})

    operation = eventually(lambda: failed_operation(plane, namespace, bad))
    assert "`selector` does not match template `labels`" in operation["message"]
    assert get_status(plane, namespace)["sync"]["status"] == "OutOfSync"

    fixed = repository.commit({"web.yaml": None})
    eventually(lambda: is_synced(plane, namespace, fixed))


@pytest.mark.usefixtures("controllers")
def test_a_new_commit_replaces_a_failing_one_between_retries_with_refresh(
    plane: ControlPlane, repository: Repository, application: Callable[..., Object], namespace: str
) -> None:
    repository.commit({"web.yaml": render_mislabelled_deployment()})
    application(retry={"limit": 50, "backoff": {"duration": "5s", "factor": 1}, "refresh": True})
    eventually(lambda: "Retrying attempt" in get_status(plane, namespace).get("operationState", {}).get("message", ""))

    fixed = repository.commit({"web.yaml": None, "colour.yaml": render_config_map("colour", "red")})

    eventually(lambda: is_synced(plane, namespace, fixed))


@pytest.mark.usefixtures("controllers")
def test_a_kind_that_the_project_does_not_permit_is_rejected(
    plane: ControlPlane, repository: Repository, application: Callable[..., Object], namespace: str
) -> None:
    commit = repository.commit(
        {"secret.yaml": render_manifest("v1", "Secret", "key", {"stringData": {"key": "value"}})}
    )

    application()

    operation = eventually(lambda: failed_operation(plane, namespace, commit))
    assert "resource :Secret is not permitted in project tests" in json.dumps(operation)
    assert plane.api.get("v1", "Secret", "key", namespace) is None


@pytest.mark.usefixtures("controllers")
def test_its_settings_come_from_its_config_maps(plane: ControlPlane) -> None:
    log = plane.folder / "logs" / f"{APPLICATION_CONTROLLER.name}.log"

    lines = eventually(lambda: [line for line in log.read_text().splitlines() if "appResyncPeriod" in line])

    # The chart's values set the text format; the default is JSON.
    assert lines[0].startswith("time=")


@pytest.mark.usefixtures("controllers")
def test_a_kustomization_in_a_repository_with_a_file_url(
    plane: ControlPlane, repository: Repository, application: Callable[..., Object], namespace: str
) -> None:
    kustomization = {"resources": ["colour.yaml"], "namePrefix": "dark-"}
    files = {"colour.yaml": render_config_map("colour", "red"), "kustomization.yaml": json.dumps(kustomization)}
    commit = repository.commit({f"deep/{name}": text for name, text in files.items()})

    application(repoURL=f"file://{repository.folder}", path="deep")

    eventually(lambda: is_synced(plane, namespace, commit))
    assert read_value(plane, namespace, "dark-colour") == "red"


@pytest.mark.usefixtures("controllers", "repository")
@pytest.mark.parametrize(
    ("repository_url", "answer"),
    [
        ("https://elsewhere.invalid/models.git", "the rehearsal serves no git repository of elsewhere.invalid"),
        ("https://git.example.com/absent/models.git", "repository not found"),
    ],
    ids=["no host", "no repository"],
)
def test_an_unreachable_repository_stops_no_deployment_and_its_application_reports_why(
    plane: ControlPlane, repository_url: str, answer: str
) -> None:
    settings = stack_context("azure", gitops={"repository": repository_url}).settings
    declared = (*build_projects(settings), build_root_application(settings, "azure-dev"))
    resources = [Engine.create(plane).resource(manifest) for manifest in declared]
    with contextlib.ExitStack() as stack:
        for resource in resources:
            resource.create(timeout=5)  # an error, because the deployment would wait longer
            stack.callback(resource.delete)

        conditions: Any = eventually(lambda: get_status(plane, "applications").get("conditions"))
        assert conditions[0]["type"] == "ComparisonError"
        assert answer in conditions[0]["message"]
        (problem,) = find_problems(plane.api, NAMESPACE, served_kinds=["Application"])
        about = f"Application {NAMESPACE}/applications: source {repository_url} (main, applications): "
        assert re.fullmatch(rf"{re.escape(about)}.*{answer}.*", problem.message)
        assert f"does not reach groundwork:gitops.repository = '{repository_url}': " in problem.remedy
        assert find_problems(plane.api, NAMESPACE, release="argo-cd", served_kinds=["Application"]) == []


@pytest.mark.usefixtures("controllers")
def test_manifests_of_other_hosts_are_a_note_not_a_problem(
    plane: ControlPlane, repository: Repository, application: Callable[..., Object], namespace: str
) -> None:
    remote = "https://elsewhere.example.com/acme/base//manifests?ref=v1"
    repository.commit({"kustomization.yaml": json.dumps({"resources": [remote]})})
    application()

    (note,) = eventually(lambda: list_unreachable(Snapshot(plane.api)))

    assert note.startswith(f"Application {NAMESPACE}/{namespace}: not rehearsed")
    assert note.endswith("repositories of elsewhere.example.com")
    assert find_problems(plane.api, NAMESPACE, served_kinds=["Application"]) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_stacks_applications_are_synced_in_any_order_of_their_prerequisites(
    plane: ControlPlane, controllers: ControllerManager, tmp_path: Path, seed: int
) -> None:
    url = f"https://git.example.com/order-{seed}/models.git"
    settings = stack_context("azure", gitops={"repository": url}).settings
    root = build_root_application(settings, "azure-dev")
    repository = GitOpsRepository.create(tmp_path / "models.git", _GITOPS)
    _scale(plane, 0)
    eventually(lambda: "Application" not in controllers.served_kinds())
    steps: list[Callable[[], object]] = [
        partial(_scale, plane, 1),
        partial(controllers.git_server.add_repository, url, repository.folder),
        partial(plane.api.create, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "serving"}}),
        partial(apply_definitions, plane, "kube-prometheus-stack-88.5.3", _MONITOR, only_kind=True),
        *(partial(plane.api.apply, manifest, "test") for manifest in (*build_projects(settings), root)),
    ]
    random.Random(seed).shuffle(steps)  # noqa: S311 no secret

    for step in steps:
        step()

    for name in ("applications", "models"):
        eventually(partial(is_synced, plane, name, repository.head_commit()))
        eventually(partial(is_healthy, plane, name))
    assert plane.api.get(*_MONITOR, "models", "serving")
    assert find_problems(plane.api, NAMESPACE, served_kinds=["Application"]) == []

    plane.api.delete(API_VERSION, "Application", "applications", NAMESPACE)
    eventually(lambda: not get_status(plane, "applications"))
    assert not get_status(plane, "models")  # its finalizer deletes the others, and theirs the applied objects
    assert plane.api.get(*_MONITOR, "models", "serving") is None
    for left in (("v1", "Namespace", "serving"), (*_DEFINITION, "servicemonitors.monitoring.coreos.com")):
        plane.api.delete(*left)
        eventually(partial(_is_gone, plane, left))


@pytest.mark.usefixtures("controllers")
def test_it_has_only_the_permissions_of_its_service_account(
    plane: ControlPlane, repository: Repository, application: Callable[..., Object], namespace: str
) -> None:
    first = repository.commit({"colour.yaml": render_config_map("colour", "red")})
    application()
    eventually(lambda: is_synced(plane, namespace, first))
    role = plane.api.get(_RBAC, "ClusterRole", _ROLE)
    assert role is not None
    reading = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    plane.api.patch(role, {"rules": reading})
    try:
        user = f"system:serviceaccount:{NAMESPACE}:{APPLICATION_CONTROLLER.name}"
        eventually(lambda: not may_patch_config_maps(plane, user))
        second = repository.commit({"colour.yaml": render_config_map("colour", "blue")})
        operation = eventually(lambda: failed_operation(plane, namespace, second))
        assert re.search(rf"User \W*{user}\W* cannot patch resource \W*configmaps\W* ", operation["message"])
    finally:
        plane.api.patch(role, {"rules": role["rules"]})

    third = repository.commit({"colour.yaml": render_config_map("colour", "white")})
    eventually(lambda: is_synced(plane, namespace, third))


@pytest.mark.parametrize("name", [REDIS.name, REPOSITORY_SERVER.name, APPLICATION_CONTROLLER.name])
def test_a_killed_process_is_reported_and_restarted(
    plane: ControlPlane,
    controllers: ControllerManager,
    repository: Repository,
    application: Callable[..., Object],
    namespace: str,
    name: str,
) -> None:
    first = repository.commit({"colour.yaml": render_config_map("colour", "red")})
    application()
    eventually(lambda: is_synced(plane, namespace, first))
    before = find_processes(plane)[name]

    os.kill(before, signal.SIGKILL)

    message = f"{name} exited unexpectedly once, last with signal 9; see its log "
    eventually(lambda: [note for note in controllers.problems() if note.startswith(message)])
    eventually(lambda: find_processes(plane).get(name, before) != before)
    second = repository.commit({"colour.yaml": render_config_map("colour", "blue")})
    eventually(lambda: is_synced(plane, namespace, second))


def test_it_runs_only_while_its_stateful_set_has_pods(plane: ControlPlane, controllers: ControllerManager) -> None:
    _scale(plane, 0)

    eventually(lambda: "Application" not in controllers.served_kinds())
    assert set(find_processes(plane)) == {REDIS.name, REPOSITORY_SERVER.name}

    _scale(plane, 1)
    eventually(lambda: "Application" in controllers.served_kinds())


def test_a_controller_of_another_version_is_simulated(plane: ControlPlane, controllers: ControllerManager) -> None:
    deployment = _workload(plane, "Deployment", REPOSITORY_SERVER.label_selector)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    image, _, tag = container["image"].rpartition(":")
    change = partial(_use_image, plane, deployment, container)

    change(f"{image}:v0.0.1")

    note = f"Argo CD's controllers: its image has version 0.0.1, the available program {tag[1:]}"
    eventually(lambda: note in controllers.notes())
    eventually(lambda: REPOSITORY_SERVER.name not in find_processes(plane))
    change(container["image"])
    eventually(lambda: REPOSITORY_SERVER.name in find_processes(plane))


def _workload(plane: ControlPlane, kind: str, label: str) -> Object:
    (found,) = plane.api.list("apps/v1", kind, NAMESPACE, label_selector=label)
    return found


def _is_gone(plane: ControlPlane, identity: tuple[str, str, str]) -> bool:
    return plane.api.get(*identity) is None


def _scale(plane: ControlPlane, replicas: int) -> None:
    workload = _workload(plane, APPLICATION_CONTROLLER.workload_kind, APPLICATION_CONTROLLER.label_selector)
    plane.api.patch(workload, {"spec": {"replicas": replicas}})


def _use_image(plane: ControlPlane, workload: Object, container: Object, image: str) -> None:
    plane.api.patch(workload, {"spec": {"template": {"spec": {"containers": [{**container, "image": image}]}}}})
