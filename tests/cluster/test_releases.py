"""Helm releases on the real API server, by the real Helm, with charts made for the test.

Proves what a release becomes when it is installed, upgraded, rolled back and removed, what is said of one that fails,
and how one that was interrupted is locked. What the chart's containers would do is simulated; that the platform's own
charts come up is proven by a rehearsal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.helm import cli
from rehearsal.helm.releases import resources as under_test
from rehearsal.helm.releases.resources import PartialReleaseError, Releases
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.simulator.core.errors import CloudError
from tests.support.release_charts import HELD, HOOK, POD, SETTINGS, TOO_LARGE, WEB, changed, level

_ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.fixture(autouse=True)
def _helm() -> None:
    if not cli.is_available():
        pytest.skip("no Helm on this machine, and none could be built")


def test_a_release_is_installed_and_says_of_itself_what_helm_says(
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


def test_an_upgrade_changes_what_is_there_and_counts_revisions(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS)
    releases.install(inputs, None)
    assert releases.upgrade(changed(inputs, level="2"), inputs, None)["status"]["revision"] == 2
    assert level(plane, namespace) == "2"


def test_what_is_removed_is_gone_and_may_be_gone_already(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, WEB)
    releases.install(inputs, None)
    releases.uninstall(inputs, None)
    assert plane.api.get("apps/v1", "Deployment", "web", namespace) is None
    assert releases.read(inputs) is None
    releases.uninstall(inputs, None)
    releases.uninstall({**inputs, "namespace": "nowhere"}, None)


def test_what_a_finalizer_holds_is_named_when_it_cannot_be_removed(
    plane: ControlPlane, releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(HELD, timeout=2)
    releases.install(inputs, None)
    with pytest.raises(CloudError, match=r"Still there: ConfigMap \S+/held \(finalizers example.org/nobody-here\)"):
        releases.uninstall(inputs, None)
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "namespace": inputs["namespace"]}}
    plane.api.patch(held, {"metadata": {"finalizers": None}})


def test_a_pod_that_fits_nowhere_fails_an_atomic_install_with_the_schedulers_reason(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(CloudError) as refused:
        releases.install(changed(chart(WEB, atomic=True, timeout=10), cpu=TOO_LARGE), None)
    assert not isinstance(refused.value, PartialReleaseError)
    said = str(refused.value)
    assert "has been uninstalled due to atomic being set" in said
    assert f"Deployment {namespace}/web: 0/1 pods ready" in said
    assert "Insufficient cpu" in said
    assert plane.api.get("apps/v1", "Deployment", "web", namespace) is None


def test_an_atomic_upgrade_that_fails_is_rolled_back_and_says_to_which_revision(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, WEB, atomic=True)
    releases.install(inputs, None)
    with pytest.raises(
        PartialReleaseError, match=r"has been rolled back .*It was rolled back to revision 1"
    ) as refused:
        releases.upgrade({**changed(inputs, level="2", cpu=TOO_LARGE), "timeout": 10}, inputs, None)
    assert f"Deployment {namespace}/web" in str(refused.value)
    assert refused.value.outputs["status"]["revision"] == 3
    assert refused.value.outputs["status"]["status"] == "deployed"
    assert level(plane, namespace) == "1"


def test_without_atomic_a_failed_release_stays_and_the_next_upgrade_mends_it(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(WEB)
    broken = {**changed(inputs, cpu=TOO_LARGE), "timeout": 2}
    with pytest.raises(PartialReleaseError) as refused:
        releases.install(broken, None)
    assert refused.value.outputs["status"]["status"] == "failed"
    seen = releases.read(broken)
    assert seen is not None
    assert seen["status"]["status"] == "failed"
    assert releases.upgrade(inputs, broken, None)["status"]["status"] == "deployed"


def test_a_release_that_is_not_awaited_is_deployed_whatever_becomes_of_it(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = changed(chart(WEB, skipAwait=True), cpu=TOO_LARGE)
    assert releases.install(inputs, None)["status"]["status"] == "deployed"


def test_a_rehearsal_waits_no_longer_than_its_own_patience_and_says_so(
    releases: Releases, chart: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "MAX_WAIT", 2)
    began = time.monotonic()
    with pytest.raises(CloudError, match="Helm waited 2 s: the release allows 600 s"):
        releases.install(changed(chart(WEB, timeout=600), cpu=TOO_LARGE), None)
    assert time.monotonic() - began < 60


def test_a_hook_is_run_as_a_job(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    releases.install(chart(HOOK), None)
    job = plane.api.get("batch/v1", "Job", "migrate", namespace)
    assert job is not None
    assert job["status"]["succeeded"] == 1


def test_a_hook_that_fails_fails_the_release_with_the_jobs_reason(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(CloudError, match=r"failed pre-install: .*job migrate failed: BackoffLimitExceeded"):
        releases.install(changed(chart(HOOK), code="1"), None)


def test_a_namespace_that_is_missing_refuses_the_release_unless_it_is_to_be_made(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, namespace=f"{namespace}-later")
    with pytest.raises(CloudError, match=f'namespaces "{namespace}-later" not found'):
        releases.install(inputs, None)
    assert releases.install({**inputs, "createNamespace": True}, None)["status"]["status"] == "deployed"
    plane.api.delete("v1", "Namespace", f"{namespace}-later")


def test_values_that_do_not_render_are_refused_before_anything_is_done(
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
def test_what_the_api_server_refuses_is_refused_in_the_preview_and_in_the_install(
    releases: Releases, chart: Callable[..., dict[str, Any]], template: str, reason: str
) -> None:
    inputs = chart(template)
    with pytest.raises(CloudError, match=reason):
        releases.preview(inputs)
    with pytest.raises(CloudError, match=reason):
        releases.install(inputs, None)


def test_a_preview_keeps_nothing_and_passes_over_what_is_not_known(
    plane: ControlPlane, releases: Releases, namespace: str, chart: Callable[..., dict[str, Any]]
) -> None:
    inputs = chart(SETTINGS, WEB)
    outputs = releases.preview(inputs)
    assert outputs["status"] is UNKNOWN
    assert level(plane, namespace) is None
    assert releases.preview(changed(inputs, level=UNKNOWN))["rendered"] is UNKNOWN
    assert releases.preview({**inputs, "namespace": "not-there-yet"})["status"] is UNKNOWN


def test_a_preview_does_not_hold_against_a_pod_that_its_service_account_comes_with_it(
    releases: Releases, chart: Callable[..., dict[str, Any]]
) -> None:
    assert releases.preview(chart(POD))["status"] is UNKNOWN


def test_only_name_and_namespace_replace_a_release(releases: Releases, chart: Callable[..., dict[str, Any]]) -> None:
    inputs = chart(SETTINGS)
    assert releases.diff(inputs, changed(inputs, level="2")).changed == ["values.level"]
    assert releases.diff(inputs, changed(inputs, level=UNKNOWN)).changed == ["values.level"]
    assert releases.diff(inputs, changed(inputs, level="2")).replaces == []
    assert releases.diff(inputs, {**inputs, "name": "other"}).replaces == ["name"]
    assert releases.diff(inputs, {**inputs, "namespace": "other"}).replaces == ["namespace"]


def test_a_chart_that_cannot_be_had_is_not_installed_until_it_can(
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


def test_what_is_not_simulated_is_refused_by_name(releases: Releases, chart: Callable[..., dict[str, Any]]) -> None:
    inputs = chart(SETTINGS, atomic=True, maxHistory=3, lint=False)
    assert releases.check(inputs) == []
    (reason,) = releases.check({**inputs, "postrender": "./mine"})
    assert reason == "'postrender' of a Helm release is not simulated: leave it out"
    (reason,) = releases.check({**inputs, "repositoryOpts": {"repo": "https://charts.example", "password": "made-up"}})
    assert "repositoryOpts.password" in reason
    assert "made-up" not in reason


def test_no_value_stands_on_a_command_line_or_stays_in_a_file(
    plane: ControlPlane, releases: Releases, chart: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    command = cli.build_command

    def noted(arguments: Sequence[str]) -> list[str]:
        asked.extend(arguments)
        return command(arguments)

    monkeypatch.setattr(cli, "build_command", noted)
    releases.install(changed(chart(SETTINGS), level="pin-1234"), None)
    assert "pin-1234" not in " ".join(asked)
    assert not Path(asked[asked.index("--values") + 1]).exists()
    assert list((plane.folder / "logs").glob("helm-*")) == []
