"""Helm releases of small charts, with the real Helm on a real API server.

Proves the results of install, upgrade, rollback and uninstall, the messages of failed ones, and previews. The
containers' processes are simulated. A rehearsal proves that the platform's own charts become ready.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.helm import cli
from rehearsal.helm.releases import resources
from rehearsal.helm.releases.resources import PartialReleaseError, Releases
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.naming import NamingHints
from rehearsal.simulator.core.values import Values
from tests.support.release_charts import HELD, HOOK, POD, SETTINGS, TOO_LARGE, WEB, change_values, read_level


@pytest.fixture(autouse=True)
def _require_helm() -> None:
    if not cli.is_available():
        pytest.skip("no Helm on this machine, and none could be built")


def test_an_installed_release_has_the_status_that_helm_reports(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, WEB)
    outputs = releases.install(inputs, None)
    assert outputs["status"]["status"] == "deployed"
    assert outputs["status"]["revision"] == 1
    assert outputs["rendered"] == {"objects": 2, "notChecked": 0, "reason": ""}
    web = plane.api.get("apps/v1", "Deployment", "web", namespace)
    assert web is not None
    assert web["status"]["readyReplicas"] == 1
    assert releases.read(inputs) == outputs


def test_an_upgrade_changes_the_objects_and_increments_the_revision(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS)
    releases.install(inputs, None)
    assert releases.upgrade(change_values(inputs, level="2"), inputs, None)["status"]["revision"] == 2
    assert read_level(plane, namespace) == "2"


def test_uninstall_removes_the_objects_and_is_idempotent(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, WEB)
    releases.install(inputs, None)
    releases.uninstall(inputs, None)
    assert plane.api.get("apps/v1", "Deployment", "web", namespace) is None
    assert releases.read(inputs) is None
    releases.uninstall(inputs, None)
    releases.uninstall({**inputs, "namespace": "nowhere"}, None)


def test_an_uninstall_that_a_finalizer_blocks_names_object_and_finalizer(
    plane: ControlPlane, releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(HELD, timeout=2)
    releases.install(inputs, None)
    with pytest.raises(CloudError, match=r"Still there: ConfigMap \S+/held \(finalizers example.org/nobody-here\)"):
        releases.uninstall(inputs, None)
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "namespace": inputs["namespace"]}}
    plane.api.patch(held, {"metadata": {"finalizers": None}})


def test_an_unschedulable_pod_fails_an_atomic_install_with_the_schedulers_reason(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(CloudError) as failure:
        releases.install(change_values(chart(WEB, atomic=True, timeout=10), cpu=TOO_LARGE), None)
    assert not isinstance(failure.value, PartialReleaseError)
    message = str(failure.value)
    assert "has been uninstalled due to atomic being set" in message
    assert f"Deployment {namespace}/web: 0/1 pods ready" in message
    assert "Insufficient cpu" in message
    assert plane.api.get("apps/v1", "Deployment", "web", namespace) is None


def test_a_failed_atomic_upgrade_is_rolled_back_and_names_the_revision(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, WEB, atomic=True)
    releases.install(inputs, None)
    with pytest.raises(
        PartialReleaseError, match=r"has been rolled back .*It was rolled back to revision 1"
    ) as failure:
        releases.upgrade({**change_values(inputs, level="2", cpu=TOO_LARGE), "timeout": 10}, inputs, None)
    assert f"Deployment {namespace}/web" in str(failure.value)
    assert failure.value.outputs["status"]["revision"] == 3
    assert failure.value.outputs["status"]["status"] == "deployed"
    assert read_level(plane, namespace) == "1"


def test_without_atomic_a_failed_release_remains_and_the_next_upgrade_repairs_it(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(WEB)
    broken = {**change_values(inputs, cpu=TOO_LARGE), "timeout": 2}
    with pytest.raises(PartialReleaseError) as failure:
        releases.install(broken, None)
    assert failure.value.outputs["status"]["status"] == "failed"
    current = releases.read(broken)
    assert current is not None
    assert current["status"]["status"] == "failed"
    assert releases.upgrade(inputs, broken, None)["status"]["status"] == "deployed"


def test_with_skip_await_a_release_is_deployed_although_its_pods_are_not_ready(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = change_values(chart(WEB, skipAwait=True), cpu=TOO_LARGE)
    assert releases.install(inputs, None)["status"]["status"] == "deployed"


def test_the_wait_is_limited_by_the_rehearsals_own_timeout_and_the_message_names_it(
    releases: Releases, chart: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MAX_WAIT", 2)
    started = time.monotonic()
    with pytest.raises(CloudError, match="Helm waited 2 s: the release allows 600 s"):
        releases.install(change_values(chart(WEB, timeout=600), cpu=TOO_LARGE), None)
    assert time.monotonic() - started < 60


def test_a_hook_runs_as_a_job(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    releases.install(chart(HOOK), None)
    job = plane.api.get("batch/v1", "Job", "migrate", namespace)
    assert job is not None
    assert job["status"]["succeeded"] == 1


def test_a_failed_hook_fails_the_release_with_the_jobs_reason(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(CloudError, match=r"failed pre-install: .*job migrate failed: BackoffLimitExceeded"):
        releases.install(change_values(chart(HOOK), code="1"), None)


def test_a_missing_namespace_fails_the_install_unless_create_namespace_is_set(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, namespace=f"{namespace}-later")
    with pytest.raises(CloudError, match=f'namespaces "{namespace}-later" not found'):
        releases.install(inputs, None)
    assert releases.install({**inputs, "createNamespace": True}, None)["status"]["status"] == "deployed"
    plane.api.delete("v1", "Namespace", f"{namespace}-later")


def test_values_that_do_not_render_are_rejected_before_anything_is_installed(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart('# {{ required "say how many" .Values.replicas }}')
    with pytest.raises(CloudError, match=r"could not be rendered: .*say how many"):
        releases.preview(inputs)
    with pytest.raises(CloudError, match=r"could not be rendered: .*say how many"):
        releases.install(inputs, None)
    assert releases.read({**inputs, "values": {"replicas": 1}}) is None


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (WEB.replace("{app: web}}\n  template", "{app: other}}\n  template"), "selector.* does not match"),
        (SETTINGS.replace("\ndata:", "\ndada:"), "unknown field|ConfigMap is invalid"),
        (SETTINGS.replace("settings", "Not_A_Name"), "RFC 1123"),
    ],
)
def test_preview_and_install_report_what_the_api_server_rejects(
    releases: Releases, chart: Callable[..., dict[str, Any]], template: str, reason: str
) -> None:
    inputs = chart(template)
    with pytest.raises(CloudError, match=reason):
        releases.preview(inputs)
    with pytest.raises(CloudError, match=reason):
        releases.install(inputs, None)


def test_a_preview_stores_nothing_and_skips_unknown_values(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, WEB)
    outputs = releases.preview(inputs)
    assert outputs["status"] is UNKNOWN
    assert read_level(plane, namespace) is None
    assert releases.preview(change_values(inputs, level=UNKNOWN))["rendered"] is UNKNOWN
    assert releases.preview({**inputs, "namespace": "not-there-yet"})["status"] is UNKNOWN


def test_a_preview_accepts_a_pod_whose_service_account_is_part_of_the_release(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    assert releases.preview(chart(POD))["status"] is UNKNOWN


def test_only_name_and_namespace_replace_a_release(releases: Releases, chart: Callable[..., dict[str, Any]]) -> None:
    inputs = chart(SETTINGS)
    assert releases.diff(inputs, change_values(inputs, level="2")).changed == ["values.level"]
    assert releases.diff(inputs, change_values(inputs, level=UNKNOWN)).changed == ["values.level"]
    assert releases.diff(inputs, change_values(inputs, level="2")).replaces == []
    assert releases.diff(inputs, {**inputs, "name": "other"}).replaces == ["name"]
    assert releases.diff(inputs, {**inputs, "namespace": "other"}).replaces == ["namespace"]


@pytest.mark.parametrize("input_", ["chart", "name", "namespace", "values", "version", "timeout"])
def test_an_input_that_is_not_known_yet_is_a_change(
    releases: Releases, chart: Callable[..., dict[str, Any]], input_: str
) -> None:
    """The engine sends this for a release that depends on a resource that a preview deletes before replacing it."""
    inputs = chart(SETTINGS)
    assert input_ in releases.diff(inputs, {**inputs, input_: UNKNOWN}).changed


def test_an_unavailable_chart_is_installed_once_it_is_available(
    releases: Releases, chart: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    inputs = chart(SETTINGS)
    package = tmp_path / "toy-1.0.0.tgz"
    package.rename(tmp_path / "elsewhere")
    outputs = releases.install({**inputs, "values": {}}, None)
    assert outputs["rendered"] == {"objects": 0, "notChecked": 0, "reason": "the release names no repository"}
    assert releases.read({**inputs, "values": {}}) == outputs
    assert releases.diff(inputs, inputs).changed == []
    (tmp_path / "elsewhere").rename(package)
    assert releases.diff(inputs, inputs).changed == ["status"]
    assert releases.upgrade(inputs, inputs, None)["status"]["revision"] == 1
    assert releases.diff(inputs, inputs).changed == []


def find_problems(releases: Releases, inputs: dict[str, Any]) -> list[str]:
    return releases.check("urn:pulumi:s::p::t::r", Values(inputs), Values(), NamingHints())[1]


def test_an_option_that_is_not_simulated_is_rejected_by_name(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, atomic=True, maxHistory=3, lint=False)
    assert find_problems(releases, inputs) == []
    (reason,) = find_problems(releases, {**inputs, "postrender": "./mine"})
    assert reason == "'postrender' of a Helm release is not simulated: remove it"
    (reason,) = find_problems(
        releases, {**inputs, "repositoryOpts": {"repo": "https://charts.example", "password": "made-up"}}
    )
    assert "repositoryOpts.password" in reason
    assert "made-up" not in reason


def test_values_are_neither_on_the_command_line_nor_left_in_a_file(
    plane: ControlPlane, releases: Releases, chart: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[str] = []
    build_command = cli.build_command

    def record_arguments(arguments: Sequence[str]) -> list[str]:
        recorded.extend(arguments)
        return build_command(arguments)

    monkeypatch.setattr(cli, "build_command", record_arguments)
    releases.install(change_values(chart(SETTINGS), level="pin-1234"), None)
    assert "pin-1234" not in " ".join(recorded)
    assert not Path(recorded[recorded.index("--values") + 1]).exists()
    assert list((plane.folder / "logs").glob("helm-*")) == []
