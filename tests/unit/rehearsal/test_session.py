"""A rehearsal's lock, its environment and its messages.

Proves the environment that the engine receives. That the engine runs with it is proven in tests/engine; the copy of the
project and the commands in it are proven in tests/unit/rehearsal/engine.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal import atomic_file, toolchain
from rehearsal.console import UserError
from rehearsal.engine import pulumi_cli
from rehearsal.folder import LockedError
from rehearsal.project import Project
from rehearsal.scene import Scene
from rehearsal.session import Rehearsal
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    (tmp_path / "Pulumi.yaml").write_text("name: groundwork\nruntime: python\n")
    (tmp_path / "Pulumi.azure-dev.yaml").write_text("config:\n  groundwork:cloud: azure\n")
    created = Rehearsal("azure-dev", project=Project(tmp_path, "groundwork", tmp_path))
    created.folder.mkdir(parents=True)
    return created


def test_an_unknown_stack_is_an_error_that_lists_the_stacks(rehearsal: Rehearsal) -> None:
    with pytest.raises(UserError, match=r"no stack 'azure-prod'.*Stacks are azure-dev;"):
        Rehearsal(rehearsal.stack.replace("dev", "prod"), project=rehearsal.project)


@pytest.mark.parametrize(("caller", "closed"), [("outside", 1), ("inside", 0)])
def test_services_that_the_caller_cannot_reach_are_listed(rehearsal: Rehearsal, caller: str, closed: int) -> None:
    with contextlib.closing(StateStore(rehearsal.files.state)) as state:
        server = {"network": {"delegatedSubnetResourceId": "/subnets/database"}}
        state.put(ResourceRecord("azure-native:dbforpostgresql:Server", "/servers/pg", "urn", 0, server, {}))
    lines = replace(rehearsal, scene=Scene(caller=caller)).find_inaccessible_services()
    assert len(lines) == closed
    assert all(line.startswith("database        pg: connection timed out") for line in lines)


@pytest.mark.parametrize("content", ["config: [unclosed", "- a list", "just text"])
def test_a_stack_file_without_settings_is_named(rehearsal: Rehearsal, content: str) -> None:
    rehearsal.project.stack_file("azure-dev").write_text(content)
    with pytest.raises(UserError, match=r"^Pulumi\.azure-dev\.yaml"):
        rehearsal.refresh_settings()


def test_the_stack_file_of_another_stack_may_be_broken(rehearsal: Rehearsal) -> None:
    rehearsal.project.stack_file("other").write_text("- a list")
    rehearsal.refresh_settings()
    assert rehearsal.changed_settings() == []


@pytest.mark.process
def test_no_credentials_are_found_in_a_rehearsal(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "ARM_CLIENT_SECRET", "AZURE_CONFIG_DIR", "PULUMI_ACCESS_TOKEN", "KUBECONFIG"):
        monkeypatch.setenv(name, "real")
    environment = rehearsal._describe_environment(Path("/usr/bin/pulumi"), "aws:1", "").extend({"KUBECONFIG": "real"})
    assert "real" not in environment.values()
    assert environment["PULUMI_BACKEND_URL"].startswith("file://")
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
    files = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AZURE_CONFIG_DIR", "CLOUDSDK_CONFIG", "KUBECONFIG")
    assert [name for name in files if Path(environment[name]).exists()] == []


@pytest.mark.process
def test_the_rehearsals_pulumi_is_never_used_as_the_engine(
    rehearsal: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "usr" / "bin"
    real.mkdir(parents=True)
    atomic_file.write_script(real / "pulumi", f"echo v{pulumi_cli.pinned_version()}")
    environment = rehearsal._describe_environment(real / "pulumi", "aws:1", "").extend({"PATH": str(real)})
    monkeypatch.setenv("PATH", environment["PATH"])
    assert environment["PATH"].startswith(str(rehearsal.files.programs))
    assert toolchain.installed(pulumi_cli.TOOL) == real / "pulumi"


def test_only_one_rehearsal_of_a_stack_runs_at_a_time(rehearsal: Rehearsal) -> None:
    with rehearsal.files.locked():
        assert rehearsal.is_running()
        with pytest.raises(UserError, match=r"already running \(process \d+\). Wait for it, or leave its shell"):
            rehearsal.remove()
        rehearsal.files.background.touch()
        with pytest.raises(UserError, match="or end it with `make stop STACK=azure-dev`"):
            rehearsal.remove()
        with pytest.raises(LockedError), rehearsal.files.locked():
            pytest.fail("locked twice")
    assert not rehearsal.is_running()
    rehearsal.remove()
    assert not rehearsal.folder.exists()


@pytest.fixture
def run_engine(
    rehearsal: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script as the engine, after which the session prepares the backend for the next run."""

    def run(command: str, script: str) -> subprocess.CompletedProcess[str]:
        def engine(content: str) -> Path:
            atomic_file.write_script(tmp_path / "engine", content)
            return tmp_path / "engine"

        monkeypatch.setattr(pulumi_cli, "engine", lambda: engine(script))
        completed = rehearsal.pulumi([command, "--yes"], {}, quiet=True)
        monkeypatch.setattr(pulumi_cli, "engine", lambda: engine("exit 0"))
        rehearsal._prepare_backend({})
        return completed

    return run


@pytest.mark.process
@pytest.mark.parametrize("command", ["up", "destroy", "preview"])
def test_a_run_that_changes_something_saves_its_state_at_its_end(
    run_engine: Callable[..., subprocess.CompletedProcess[str]], command: str
) -> None:
    completed = run_engine(command, 'echo "$PULUMI_SKIP_CHECKPOINTS"; exit 1')
    assert completed.stdout.strip() == ("" if command == "preview" else "true")


@pytest.mark.process
def test_a_rehearsal_does_not_continue_after_its_engine_was_killed_before_saving(
    run_engine: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    with pytest.raises(
        UserError, match=r"killed before it saved .* for azure-dev\. .*`make rehearse-reset STACK=azure-"
    ):
        run_engine("up", "kill -9 $$")


@pytest.mark.process
def test_a_rehearsal_continues_after_its_engine_was_killed_after_saving(
    rehearsal: Rehearsal, run_engine: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    state = rehearsal.backend / ".pulumi" / "stacks" / "groundwork" / "azure-dev.json"
    assert run_engine("up", f"sleep 0.05; mkdir -p {state.parent}; touch {state}; kill -9 $$").returncode < 0
    assert rehearsal.files.unsaved.exists()


def test_a_file_is_replaced_atomically_and_only_when_it_changes(tmp_path: Path) -> None:
    script = tmp_path / "pulumi"
    atomic_file.write_script(script, "exec one")
    first = script.stat().st_ino
    atomic_file.write_script(script, "exec one")
    assert script.stat().st_ino == first
    atomic_file.write_script(script, "exec another")
    assert script.stat().st_ino != first, "a process that still reads the first script must get all of it"
    assert script.read_text() == "#!/bin/sh\nexec another\n"
    assert script.stat().st_mode & 0o777 == 0o755
    assert list(tmp_path.iterdir()) == [script]
