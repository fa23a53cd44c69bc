"""Where chart packages come from, that they are the ones pinned, and how Helm is run.

Proves both with a stand-in for `helm` on PATH. That the real Helm renders real charts is proven in tests/engine.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.cluster import versions
from rehearsal import project, toolchain
from rehearsal.console import UserError
from rehearsal.helm import charts, cli, rendering
from rehearsal.helm.charts import Chart, ChartUnavailable, DigestMismatch, fetch_package
from rehearsal.project import Project
from rehearsal.simulator.core.errors import CloudError
from tests.support import chart_packages

TOY = Chart("toy", chart_packages.VERSION, "https://charts.example")

# How Helm names what it pulls; `$8` is the folder after --destination.
PULLS = 'echo pulled > "$8/toy-1.0.0.tgz"'
FAILS = 'echo "WARNING: old" >&2; echo "Error: lookup charts.example: no such host" >&2; exit 1'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with an empty cache and a Helm that notes what it is asked; gives its folder."""
    monkeypatch.setattr(toolchain, "CACHE", tmp_path / "cache")
    monkeypatch.delenv(charts.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}")
    remembered = (charts._pull, cli._locate)
    for answers in remembered:
        answers.cache_clear()
    yield tmp_path
    for answers in remembered:
        answers.cache_clear()


def install(machine: Path, answer: str) -> None:
    (machine / "bin").mkdir(exist_ok=True)
    script = machine / "bin" / "helm"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && echo v3.20.2 && exit\necho "$@" >> {machine}/asked\n'
        f"env > {machine}/environment\n{answer}\n"
    )
    script.chmod(0o755)


def asked(machine: Path) -> list[str]:
    file = machine / "asked"
    return file.read_text().splitlines() if file.exists() else []


def test_the_named_folder_comes_before_the_cache(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(machine, PULLS)
    pulled = fetch_package(TOY)
    assert pulled.is_relative_to(toolchain.CACHE)
    named = chart_packages.package(machine, "toy", {})
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(machine))
    assert fetch_package(TOY) == named
    assert len(asked(machine)) == 1


def test_a_chart_is_pulled_from_its_repository_at_its_version_once(machine: Path) -> None:
    install(machine, PULLS)
    assert fetch_package(TOY).read_text() == "pulled\n"
    assert fetch_package(TOY) == toolchain.CACHE / "charts" / "toy-1.0.0.tgz"
    (said,) = asked(machine)
    assert said.startswith("pull toy --repo https://charts.example --version 1.0.0 --destination ")


def test_a_chart_in_a_registry_is_named_by_its_address_alone(machine: Path) -> None:
    install(machine, 'echo pulled > "$6/toy-1.0.0.tgz"')
    assert fetch_package(Chart("oci://charts.example/toy", "1.0.0")).name == "toy-1.0.0.tgz"


def test_what_cannot_be_had_is_said_in_helms_words_and_not_tried_again(machine: Path) -> None:
    install(machine, FAILS)
    for _ in range(2):
        with pytest.raises(ChartUnavailable, match=r"^lookup charts.example: no such host$"):
            fetch_package(TOY)
    assert len(asked(machine)) == 1
    assert list((toolchain.CACHE / "charts").iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "chart", "reason"),
    [
        ("exec sleep 9", TOY, "did not answer within 0.2 s"),
        ("true", TOY, "did not serve version 1.0.0"),
        (PULLS, Chart("toy", "1.0.0"), "names no repository"),
    ],
)
def test_every_other_failure_has_its_reason(
    machine: Path, monkeypatch: pytest.MonkeyPatch, answer: str, chart: Chart, reason: str
) -> None:
    install(machine, answer)
    monkeypatch.setattr(charts, "_PULL_TIMEOUT", 0.2)
    with pytest.raises(ChartUnavailable, match=reason):
        fetch_package(chart)


def test_without_helm_a_chart_is_not_obtainable(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = machine / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho 'no route to the proxy' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}")
    with pytest.raises(ChartUnavailable, match="Helm is not available"):
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


def test_what_is_pulled_has_to_be_what_is_pinned(machine: Path, pin: Callable[[str], None]) -> None:
    install(machine, PULLS)
    pin("0" * 64)
    with pytest.raises(DigestMismatch) as refused:
        fetch_package(TOY)
    assert PULLED in str(refused.value)
    assert "0" * 64 in str(refused.value)
    assert list((toolchain.CACHE / "charts").iterdir()) == []
    pin(PULLED)
    assert fetch_package(TOY).read_text() == "pulled\n"


def test_a_wrong_package_is_both_a_refusal_and_a_persons_to_mend() -> None:
    assert issubclass(DigestMismatch, CloudError)
    assert issubclass(DigestMismatch, UserError)
    assert not issubclass(DigestMismatch, ChartUnavailable)  # which would let the rehearsal go on without the chart


def test_a_package_pulled_before_is_pulled_again_when_it_is_not_what_is_pinned(
    machine: Path, pin: Callable[[str], None]
) -> None:
    install(machine, PULLS)
    pin(PULLED)
    fetch_package(TOY).write_text("cut sho")
    charts._pull.cache_clear()
    assert fetch_package(TOY).read_text() == "pulled\n"
    assert len(asked(machine)) == 2


def test_packages_in_the_named_folder_are_taken_as_they_are(
    machine: Path, pin: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pin("0" * 64)
    named = chart_packages.package(machine, "toy", {})
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(machine))
    assert fetch_package(TOY) == named


def test_another_version_than_the_pinned_one_has_no_digest_to_be_held_against(
    machine: Path, pin: Callable[[str], None]
) -> None:
    install(machine, 'echo other > "$8/toy-2.0.0.tgz"')
    pin("0" * 64)
    assert fetch_package(Chart("toy", "2.0.0", TOY.repository)).read_text() == "other\n"


def test_every_chart_of_the_platform_is_pinned_with_its_digest() -> None:
    for chart in (versions.KUBE_PROMETHEUS_STACK, versions.MLFLOW):
        assert re.fullmatch("[0-9a-f]{64}", chart.digest)
        assert charts._describe_mismatch(Chart(chart.name, chart.version, chart.repository), Path(__file__))


def test_helm_knows_nothing_of_a_persons_own(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HELM_KUBETOKEN", "HELM_REPOSITORY_CONFIG", "KUBECONFIG"):
        monkeypatch.setenv(name, "mine")
    install(machine, "true")
    cli.run(["list"], 5)
    environment = (machine / "environment").read_text()
    assert "=mine" not in environment
    assert f"HELM_CACHE_HOME={toolchain.CACHE}" in environment


def test_values_are_in_a_file_for_nobody_else_that_is_gone_afterwards() -> None:
    with rendering.values_file({"pin": "1234"}) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert "1234" in path.read_text()
    assert not path.exists()

    def fail() -> None:
        with rendering.values_file({}) as opened:
            kept.append(opened)
            raise subprocess.TimeoutExpired("helm", 1)

    kept: list[Path] = []
    with pytest.raises(subprocess.TimeoutExpired):
        fail()
    assert not kept[0].exists()


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("WARNING: old\nError: INSTALLATION FAILED: no\n  such thing\n", "INSTALLATION FAILED: no such thing"),
        ("Error: one\nError: two", "one Error: two"),
        ("Error: " + "long " * 9, "long long..."),
        ("NAME: toy\nSTATUS: deployed\n", ""),
    ],
)
def test_all_that_helm_says_of_an_error_is_one_line_of_bearable_length(said: str, complaint: str) -> None:
    assert cli.error_message(said, 35 if "long" not in said else 9) == complaint
