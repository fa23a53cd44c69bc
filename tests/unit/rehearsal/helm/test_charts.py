"""The sources of chart packages, their pins, and runs of Helm.

Proves it with a fake `helm` on PATH. That the real Helm renders real charts is proven in tests/engine.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehearsal import project, toolchain
from rehearsal.console import UserError
from rehearsal.helm import charts, cli, rendering
from rehearsal.helm.charts import Chart, ChartUnavailableError, DigestMismatchError, NoSuchVersionError, fetch_package
from rehearsal.project import Project
from rehearsal.simulator.core.errors import CloudError
from tests.support import chart_packages

pytestmark = pytest.mark.process

TOY = Chart("toy", chart_packages.VERSION, "https://charts.example")

# Helm's file name for a pulled package; `$8` is the folder after --destination.
PULLS = 'echo pulled > "$8/toy-1.0.0.tgz"'
FAILS = 'echo "WARNING: old" >&2; echo "Error: lookup charts.example: no such host" >&2; exit 1'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a machine whose cache is empty and whose Helm records its arguments."""
    monkeypatch.setattr(toolchain, "CACHE", tmp_path / "cache")
    monkeypatch.delenv(charts.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}")
    cached_functions = (charts._pull, cli._locate)
    for function in cached_functions:
        function.cache_clear()
    yield tmp_path
    for function in cached_functions:
        function.cache_clear()


def install_helm(machine: Path, command: str) -> None:
    """Put a `helm` on PATH that records its arguments and its environment, and runs `command`."""
    (machine / "bin").mkdir(exist_ok=True)
    script = machine / "bin" / "helm"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && echo v3.20.2 && exit\necho "$@" >> {machine}/arguments\n'
        f"env > {machine}/environment\n{command}\n"
    )
    script.chmod(0o755)


def recorded_arguments(machine: Path) -> list[str]:
    """The arguments of each run of Helm, except `helm version`."""
    file = machine / "arguments"
    return file.read_text().splitlines() if file.exists() else []


def test_the_charts_folder_takes_precedence_over_the_cache(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_helm(machine, PULLS)
    pulled = fetch_package(TOY)
    assert pulled.is_relative_to(toolchain.CACHE)
    named = chart_packages.package(machine, "toy", {})
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(machine))
    assert fetch_package(TOY) == named
    assert len(recorded_arguments(machine)) == 1


def test_a_chart_is_pulled_from_its_repository_at_its_version_once(machine: Path) -> None:
    install_helm(machine, PULLS)
    assert fetch_package(TOY).read_text() == "pulled\n"
    assert fetch_package(TOY) == toolchain.CACHE / "charts" / "toy-1.0.0.tgz"
    (arguments,) = recorded_arguments(machine)
    assert arguments.startswith("pull toy --repo https://charts.example --version 1.0.0 --destination ")


def test_a_chart_in_an_oci_registry_is_pulled_by_its_address_without_a_repository(machine: Path) -> None:
    install_helm(machine, 'echo pulled > "$6/toy-1.0.0.tgz"')
    assert fetch_package(Chart("oci://charts.example/toy", "1.0.0")).name == "toy-1.0.0.tgz"


def test_a_failed_pull_reports_helms_message_and_is_not_repeated(machine: Path) -> None:
    install_helm(machine, FAILS)
    for _ in range(2):
        with pytest.raises(ChartUnavailableError, match=r"^lookup charts.example: no such host$"):
            fetch_package(TOY)
    assert len(recorded_arguments(machine)) == 1
    assert list((toolchain.CACHE / "charts").iterdir()) == []


@pytest.mark.parametrize(
    ("command", "chart", "reason"),
    [
        ("true", TOY, "did not serve version 1.0.0"),
        (PULLS, Chart("toy", "1.0.0"), "names no repository"),
    ],
)
def test_each_failed_pull_has_a_reason(machine: Path, command: str, chart: Chart, reason: str) -> None:
    install_helm(machine, command)
    with pytest.raises(ChartUnavailableError, match=reason):
        fetch_package(chart)


def test_a_pull_without_an_answer_times_out(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_helm(machine, "exec sleep 60")
    monkeypatch.setattr(charts, "_PULL_TIMEOUT", 0.2)
    with pytest.raises(ChartUnavailableError, match=r"did not answer within 0\.2 s"):
        fetch_package(TOY)


@pytest.mark.parametrize(
    "message",
    [
        'chart "toy" version "1.0.0" not found in https://charts.example repository',
        'failed to perform "FetchReference" on source: charts.example/toy:1.0.0: not found',
    ],
    ids=["repository", "registry"],
)
def test_a_version_that_does_not_exist_is_refused(machine: Path, message: str) -> None:
    install_helm(machine, f"echo 'Error: {message}' >&2; exit 1")
    with pytest.raises(NoSuchVersionError) as caught:
        fetch_package(TOY)
    assert str(caught.value) == (
        "The chart toy has no version 1.0.0 in https://charts.example. Remedy: set a version of the release that the "
        "repository has; `helm show chart toy --repo https://charts.example` shows the latest."
    )


def test_without_helm_a_chart_is_unavailable(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = machine / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho 'no route to the proxy' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}")
    with pytest.raises(ChartUnavailableError, match="Helm is not available"):
        fetch_package(TOY)


@pytest.fixture
def pin(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Pins the toy chart's digest."""
    pins = machine / "charts.yaml"
    monkeypatch.setattr(project, "current", lambda: Project(machine, "toy", machine, charts=pins))

    def write(digest: str) -> None:
        pins.write_text(f"toy: {{version: 1.0.0, repository: '{TOY.repository}', digest: '{digest}'}}")

    return write


PULLED = hashlib.sha256(b"pulled\n").hexdigest()


def test_a_pulled_package_must_match_its_pinned_digest(machine: Path, pin: Callable[[str], None]) -> None:
    install_helm(machine, PULLS)
    pin("0" * 64)
    with pytest.raises(DigestMismatchError) as failure:
        fetch_package(TOY)
    assert PULLED in str(failure.value)
    assert "0" * 64 in str(failure.value)
    assert list((toolchain.CACHE / "charts").iterdir()) == []
    pin(PULLED)
    assert fetch_package(TOY).read_text() == "pulled\n"


def test_a_digest_mismatch_fails_the_resource_and_is_reported_to_the_user() -> None:
    assert issubclass(DigestMismatchError, CloudError)
    assert issubclass(DigestMismatchError, UserError)
    # That error would let the rehearsal continue without the chart.
    assert not issubclass(DigestMismatchError, ChartUnavailableError)


def test_a_cached_package_that_does_not_match_its_pin_is_pulled_again(
    machine: Path, pin: Callable[[str], None]
) -> None:
    install_helm(machine, PULLS)
    pin(PULLED)
    fetch_package(TOY).write_text("cut sho")
    charts._pull.cache_clear()
    assert fetch_package(TOY).read_text() == "pulled\n"
    assert len(recorded_arguments(machine)) == 2


def test_packages_in_the_charts_folder_are_not_compared_with_the_pins(
    machine: Path, pin: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pin("0" * 64)
    named = chart_packages.package(machine, "toy", {})
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(machine))
    assert fetch_package(TOY) == named


def test_a_version_other_than_the_pinned_one_is_not_compared_with_the_digest(
    machine: Path, pin: Callable[[str], None]
) -> None:
    install_helm(machine, 'echo other > "$8/toy-2.0.0.tgz"')
    pin("0" * 64)
    assert fetch_package(Chart("toy", "2.0.0", TOY.repository)).read_text() == "other\n"


def test_no_available_chart_is_distinguished_from_one_unavailable_chart(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_helm(machine, FAILS)
    assert sorted(charts.list_unavailable()) == sorted(charts.pinned_charts())
    reason = charts.explain_none_available()
    assert reason.startswith(f"none of the project's {len(charts.pinned_charts())} charts is on this machine")
    assert "lookup charts.example: no such host" in reason
    assert f"Set {charts.FOLDER_VARIABLE} to a folder" in reason

    name, pin = next(iter(charts.pinned_charts().items()))
    (machine / f"{name}-{pin['version']}.tgz").touch()
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(machine))
    assert charts.explain_none_available() == ""
    assert name not in charts.list_unavailable()


def test_a_project_without_pinned_charts_has_no_unavailable_ones(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_helm(machine, FAILS)
    monkeypatch.setattr(charts, "pinned_charts", dict)
    assert charts.explain_none_available() == ""


def test_every_chart_of_a_repository_with_an_index_is_pinned_with_its_digest() -> None:
    pins = charts.pinned_charts().items()
    indexed = {name: pin for name, pin in pins if not pin["repository"].startswith("oci://")}
    assert len(indexed) >= 9
    for name, pin in indexed.items():
        assert re.fullmatch("[0-9a-f]{64}", pin["digest"]), name
        assert charts._describe_mismatch(Chart(name, pin["version"], pin["repository"]), Path(__file__))


def test_helm_does_not_see_the_users_own_configuration(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HELM_KUBETOKEN", "HELM_REPOSITORY_CONFIG", "KUBECONFIG"):
        monkeypatch.setenv(name, "users")
    install_helm(machine, "true")
    cli.run(["list"], 5)
    environment = (machine / "environment").read_text()
    assert "=users" not in environment
    assert f"HELM_CACHE_HOME={toolchain.CACHE}" in environment


def test_the_values_file_is_private_and_always_removed() -> None:
    with rendering.values_file({"pin": "1234"}) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert "1234" in path.read_text()
    assert not path.exists()

    def fail() -> None:
        with rendering.values_file({}) as opened:
            paths.append(opened)
            raise subprocess.TimeoutExpired("helm", 1)

    paths: list[Path] = []
    with pytest.raises(subprocess.TimeoutExpired):
        fail()
    assert not paths[0].exists()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("WARNING: old\nError: INSTALLATION FAILED: no\n  such thing\n", "INSTALLATION FAILED: no such thing"),
        ("Error: one\nError: two", "one Error: two"),
        ("Error: " + "long " * 9, "long long..."),
        ("NAME: toy\nSTATUS: deployed\n", ""),
    ],
)
def test_helms_error_is_one_line_of_limited_length(output: str, message: str) -> None:
    assert cli.error_message(output, 35 if "long" not in output else 9) == message
