"""A rehearsal's folder, environment and copy of the settings.

Proves what the engine receives. That it runs with it is proven in tests/engine.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rehearsal import session
from rehearsal.console import UserError
from rehearsal.project import Project
from rehearsal.session import Rehearsal, engine_arguments


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    (tmp_path / "Pulumi.azure-dev.yaml").write_text("config:\n  groundwork:cloud: azure\n")
    created = Rehearsal("azure-dev", project=Project(tmp_path, "groundwork", tmp_path))
    created.folder.mkdir(parents=True)
    return created


def test_an_unknown_stack_is_an_error_that_lists_the_stacks(rehearsal: Rehearsal) -> None:
    with pytest.raises(UserError, match=r"no stack 'azure-prod'.*Stacks are azure-dev;"):
        Rehearsal(rehearsal.stack.replace("dev", "prod"), project=rehearsal.project)


def test_the_copy_of_the_settings_is_refreshed_and_retains_the_engines_salt(rehearsal: Rehearsal) -> None:
    rehearsal.settings_file.write_text("encryptionsalt: grain\nconfig:\n  groundwork:cloud: old\n")
    rehearsal.refresh_settings()
    copy = yaml.safe_load(rehearsal.settings_file.read_text())
    assert copy == {"encryptionsalt": "grain", "config": {"groundwork:cloud": "azure"}}
    original = rehearsal.project.stack_file("azure-dev").read_text()
    assert "encryptionsalt" not in original


@pytest.mark.parametrize("content", ["config: [unclosed", "- a list", "just text"])
def test_a_stack_file_without_settings_is_named(rehearsal: Rehearsal, content: str) -> None:
    rehearsal.project.stack_file("azure-dev").write_text(content)
    with pytest.raises(UserError, match=r"^Pulumi\.azure-dev\.yaml"):
        rehearsal.refresh_settings()


@pytest.mark.parametrize(
    ("arguments", "gets_copy"),
    [
        (["up", "--yes"], True),
        (["--non-interactive", "preview"], True),
        (["destroy"], True),
        (["stack", "graph", "x.dot"], False),
        (["config", "get", "groundwork:cloud"], False),
        (["up", "--config-file=mine.yaml"], False),
    ],
)
def test_commands_that_read_settings_use_the_copy(rehearsal: Rehearsal, arguments: list[str], gets_copy: bool) -> None:
    result = engine_arguments(rehearsal, arguments)
    assert result[: len(arguments)] == arguments
    assert (result[len(arguments) :] == ["--config-file", str(rehearsal.settings_file)]) is gets_copy


def test_credentials_are_not_passed_to_a_rehearsal(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "ARM_CLIENT_SECRET", "AZURE_CONFIG_DIR", "PULUMI_ACCESS_TOKEN", "KUBECONFIG"):
        monkeypatch.setenv(name, "real")
    environment = rehearsal._environment(Path("/usr/bin/pulumi"), "aws:1")
    assert "real" not in environment.values()
    assert environment["PULUMI_BACKEND_URL"].startswith("file://")


def test_only_one_rehearsal_of_a_stack_runs_at_a_time(rehearsal: Rehearsal) -> None:
    with rehearsal._locked():
        assert rehearsal.is_running()
        with pytest.raises(UserError, match=r"already running \(process \d+\)"):
            rehearsal.remove()
    assert not rehearsal.is_running()
    rehearsal.remove()
    assert not rehearsal.folder.exists()


def test_a_script_is_replaced_atomically_and_only_when_it_changes(tmp_path: Path) -> None:
    script = tmp_path / "pulumi"
    session._script(script, "exec one")
    first = script.stat().st_ino
    session._script(script, "exec one")
    assert script.stat().st_ino == first
    session._script(script, "exec another")
    assert script.stat().st_ino != first, "a process that still reads the first script must get all of it"
    assert script.read_text() == "#!/bin/sh\nexec another\n"
    assert script.stat().st_mode & 0o777 == 0o755
    assert list(tmp_path.iterdir()) == [script]
