"""`pulumi` in a rehearsal's shell, with a stand-in for the engine that records how it was called.

Proves for which project, with which arguments and in which environment the engine runs, and how changes are printed.
The real engine's behaviour is proven in tests/engine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.rehearsals import REHEARSED_STACK
from rehearsal.console import UserError
from rehearsal.engine import launcher, program_runner
from rehearsal.engine.environment import RehearsalEnvironment
from rehearsal.folder import RehearsalFolder

pytestmark = pytest.mark.process

ENGINE = f"""#!{sys.executable}
import json, os, pathlib, sys
call = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ)}}
pathlib.Path(os.environ["CALL"]).write_text(json.dumps(call))
if "SETTINGS" in os.environ:
    pathlib.Path("Pulumi.dev.yaml").write_text(os.environ["SETTINGS"])
sys.exit(int(os.environ.get("CODE", 0)))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "shop"
    (root / "policies").mkdir(parents=True)
    (root / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (root / "rehearsal.yaml").write_text("policy_pack: policies\n")
    (root / "Pulumi.dev.yaml").write_text("config:\n  shop:size: 3\n")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RehearsalFolder]:
    """The folder of a rehearsal whose clouds run."""
    rehearsal = RehearsalFolder(tmp_path / "dev")
    rehearsal.programs.mkdir(parents=True)
    environment = RehearsalEnvironment(
        "dev", {REHEARSED_STACK: "dev", "KUBECONFIG": "/rehearsal"}, [str(rehearsal.programs)]
    )
    environment.write(rehearsal.environment)
    for key, value in environment.variables.items():
        monkeypatch.setenv(key, value)
    for key in environment.find_lost(os.environ):  # variables of the machine that runs the tests
        monkeypatch.delenv(key)
    with rehearsal.locked():
        yield rehearsal


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "engine"
    path.write_text(ENGINE)
    path.chmod(0o755)
    monkeypatch.setenv("CALL", str(tmp_path / "call.json"))
    return path


def run(project: Path, folder: RehearsalFolder, engine: Path, *arguments: str) -> dict[str, Any]:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    try:
        code = launcher.run(project, folder, str(engine), arguments)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), before, strict=True):
            signal.signal(number, handler)
    return {"code": code, **json.loads(Path(os.environ["CALL"]).read_text())}


def test_the_engine_works_on_the_copy_and_checks_the_policies(
    project: Path, folder: RehearsalFolder, engine: Path
) -> None:
    call = run(project, folder, engine, "preview", "--save-plan", "plan.json")
    assert call["cwd"] == str(folder.workspace)
    plan = ["--save-plan", str(project / "plan.json")]
    assert call["arguments"] == ["preview", *plan, "--policy-pack", str(project / "policies")]


@pytest.mark.parametrize(
    ("arguments", "expected"), [(["--debug"], True), (["-d"], True), (["--debug=false"], False), ([], False)]
)
def test_programs_send_debug_messages_if_requested(
    project: Path, folder: RehearsalFolder, engine: Path, arguments: list[str], expected: bool
) -> None:
    assert program_runner.DEBUG == launcher.DEBUG
    call = run(project, folder, engine, "preview", *arguments)
    assert (launcher.DEBUG in call["environment"]) is expected


@pytest.mark.parametrize("arguments", [["logs"], ["config", "set", "a", "b"], ["stack", "rm"], ["unheard-of"]])
def test_every_other_command_works_on_the_copy_too(
    project: Path, folder: RehearsalFolder, engine: Path, arguments: list[str]
) -> None:
    call = run(project, folder, engine, "--color", "never", *arguments)
    assert (call["cwd"], call["arguments"]) == (str(folder.workspace), ["--color", "never", *arguments])


@pytest.mark.parametrize("folder_option", ["policies", "policies/..", "policies/../policies/"])
def test_a_folder_option_can_be_any_path_inside_the_project(
    project: Path, folder: RehearsalFolder, engine: Path, folder_option: str
) -> None:
    assert run(project, folder, engine, "-C", folder_option, "up")["cwd"] == str(folder.workspace)


def test_a_stack_file_that_cannot_be_read_stops_commands_for_its_stack_only(
    project: Path, folder: RehearsalFolder, engine: Path
) -> None:
    (project / "Pulumi.bad.yaml").write_text("- a list")
    assert run(project, folder, engine, "up")["code"] == 0
    for arguments in (["up", "-s", "bad"], ["--stack", "bad", "up"], ["up", "--stack=bad"]):
        with pytest.raises(UserError, match=r"^Pulumi\.bad\.yaml, line 1"):
            run(project, folder, engine, *arguments)
    (project / "Pulumi.dev.yaml").write_text("- a list")
    with pytest.raises(UserError, match=r"^Pulumi\.dev\.yaml, line 1"):
        run(project, folder, engine, "up")


def test_another_project_has_its_own_settings_and_state(
    project: Path, folder: RehearsalFolder, engine: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "Pulumi.yaml").write_text("name: other\nruntime: python\n")
    call = run(project, folder, engine, "--cwd", str(other), "up")
    assert call["arguments"] == ["up"]
    assert Path(call["cwd"]).is_relative_to(folder.path / "projects")
    assert (Path(call["cwd"]) / "Pulumi.yaml").read_text().startswith("name: other\n")
    assert call["environment"]["PULUMI_BACKEND_URL"] == (folder.other_project(other) / "backend").as_uri()


def test_without_a_project_the_engine_runs_in_the_current_folder(
    project: Path, folder: RehearsalFolder, engine: Path, tmp_path: Path
) -> None:
    assert run(project, folder, engine, "-C", str(tmp_path), "stack", "ls")["cwd"] == str(project)
    assert run(project, folder, engine, "new", "--dir", "x")["arguments"] == ["new", "--dir", "x"]


def test_an_environment_that_the_shell_has_lost_is_restored_and_reported(
    project: Path,
    folder: RehearsalFolder,
    engine: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/real")
    monkeypatch.setenv("AWS_PROFILE", "real")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "real")
    monkeypatch.setenv("PULUMI_PARALLEL", "4")
    environment = run(project, folder, engine, "preview")["environment"]
    assert environment["KUBECONFIG"] == "/rehearsal"
    assert not {"AWS_PROFILE", "PULUMI_CONFIG_PASSPHRASE"} & set(environment)
    assert environment["PULUMI_PARALLEL"] == "4", "an option that the user set"
    assert "no longer in the rehearsal of dev: AWS_PROFILE, KUBECONFIG, PULUMI_CONFIG" in capsys.readouterr().err


def test_changed_settings_are_printed_as_a_patch(
    project: Path,
    folder: RehearsalFolder,
    engine: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(project, folder, engine, "config", "get", "size")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("SETTINGS", "encryptionsalt: v1:x\nconfig:\n  shop:size: '4'\n  shop:key: {secure: v1:y}\n")
    run(project, folder, engine, "config", "set", "size", "4")
    printed = capsys.readouterr().err
    command = printed.split("`")[1]
    assert '-  shop:size: 3\n+  shop:size: "4"\n' in printed
    assert "v1:" not in printed
    assert "shop:key is encrypted with this rehearsal's own passphrase" in printed
    run(project, folder, engine, "config", "get", "size")
    assert capsys.readouterr().err == "", "it is printed once"
    subprocess.run(command, shell=True, check=True)  # noqa: S602 as a person would
    assert (project / "Pulumi.dev.yaml").read_text() == 'config:\n  shop:size: "4"\n'


def test_the_exit_code_is_the_engines(
    project: Path, folder: RehearsalFolder, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE", "7")
    assert run(project, folder, engine, "preview")["code"] == 7


def test_commands_that_change_something_real_are_refused(project: Path, folder: RehearsalFolder, engine: Path) -> None:
    with pytest.raises(UserError, match=r"`pulumi login` changes a real backend.*rehearsal of dev\. Run it in another"):
        run(project, folder, engine, "login", "s3://real")


@pytest.mark.parametrize("ended", ["stopped", "killed"])
def test_after_the_clouds_have_ended_the_message_names_the_next_step(
    project: Path, tmp_path: Path, engine: Path, ended: str
) -> None:
    folder = RehearsalFolder(tmp_path / "dev")
    if ended == "killed":
        folder.path.mkdir()
        RehearsalEnvironment("dev", {}, []).write(folder.environment)
    with pytest.raises(UserError, match=r"clouds of dev no longer run.*make -s env STACK=dev.*new shell"):
        run(project, folder, engine, "up")
