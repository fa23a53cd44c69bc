"""Where chart packages come from, and how Helm is run.

Proves both with a stand-in for `helm` on PATH. That the real Helm renders real charts is proven in tests/engine.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal import charts, helm, rendering, tools
from rehearsal.charts import Chart, NotObtainable, obtain
from tests import toy_charts

TOY = Chart("toy", toy_charts.VERSION, "https://charts.example")

# How Helm names what it pulls; `$8` is the folder after --destination.
PULLS = 'echo pulled > "$8/toy-1.0.0.tgz"'
FAILS = 'echo "WARNING: old" >&2; echo "Error: lookup charts.example: no such host" >&2; exit 1'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with an empty cache and a Helm that notes what it is asked; gives its folder."""
    monkeypatch.setattr(tools, "CACHE", tmp_path / "cache")
    monkeypatch.delenv(charts.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}")
    remembered = (charts._pull, helm._found)
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
    pulled = obtain(TOY)
    assert pulled.is_relative_to(tools.CACHE)
    named = toy_charts.package(machine, "toy", {})
    monkeypatch.setenv(charts.VARIABLE, str(machine))
    assert obtain(TOY) == named
    assert len(asked(machine)) == 1


def test_a_chart_is_pulled_from_its_repository_at_its_version_once(machine: Path) -> None:
    install(machine, PULLS)
    assert obtain(TOY).read_text() == "pulled\n"
    assert obtain(TOY) == tools.CACHE / "charts" / "toy-1.0.0.tgz"
    (said,) = asked(machine)
    assert said.startswith("pull toy --repo https://charts.example --version 1.0.0 --destination ")


def test_a_chart_in_a_registry_is_named_by_its_address_alone(machine: Path) -> None:
    install(machine, 'echo pulled > "$6/toy-1.0.0.tgz"')
    assert obtain(Chart("oci://charts.example/toy", "1.0.0")).name == "toy-1.0.0.tgz"


def test_what_cannot_be_had_is_said_in_helms_words_and_not_tried_again(machine: Path) -> None:
    install(machine, FAILS)
    for _ in range(2):
        with pytest.raises(NotObtainable, match=r"^lookup charts.example: no such host$"):
            obtain(TOY)
    assert len(asked(machine)) == 1
    assert list((tools.CACHE / "charts").iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "chart", "reason"),
    [
        ("exec sleep 9", TOY, "did not answer within 0.2 s"),
        ("true", TOY, "not the version asked for"),
        (PULLS, Chart("toy", "1.0.0"), "names no repository"),
    ],
)
def test_every_other_failure_has_its_reason(
    machine: Path, monkeypatch: pytest.MonkeyPatch, answer: str, chart: Chart, reason: str
) -> None:
    install(machine, answer)
    monkeypatch.setattr(charts, "_PATIENCE", 0.2)
    with pytest.raises(NotObtainable, match=reason):
        obtain(chart)


def test_without_helm_a_chart_is_not_obtainable(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = machine / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho 'no route to the proxy' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}")
    with pytest.raises(NotObtainable, match="there is no Helm"):
        obtain(TOY)


def test_helm_knows_nothing_of_a_persons_own(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HELM_KUBETOKEN", "HELM_REPOSITORY_CONFIG", "KUBECONFIG"):
        monkeypatch.setenv(name, "mine")
    install(machine, "true")
    helm.run(["list"], 5)
    environment = (machine / "environment").read_text()
    assert "=mine" not in environment
    assert f"HELM_CACHE_HOME={tools.CACHE}" in environment


def test_values_are_in_a_file_for_nobody_else_that_is_gone_afterwards() -> None:
    with rendering._values_file({"pin": "1234"}) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert "1234" in path.read_text()
    assert not path.exists()

    def fail() -> None:
        with rendering._values_file({}) as opened:
            kept.append(opened)
            raise subprocess.TimeoutExpired("helm", 1)

    kept: list[Path] = []
    with pytest.raises(subprocess.TimeoutExpired):
        fail()
    assert not kept[0].exists()
