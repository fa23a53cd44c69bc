"""Plain `pulumi` in the shell of a rehearsal, on a small project whose stack is encrypted by a real backend.

Proves that such a stack is rehearsed without that backend, its keys or the network; that no command changes a file of
the project; that other projects have their own state; and that the shell is still useful when the clouds have ended.
How a shell gets the environment is tested in tests/unit/rehearsal/test_shell.py, what is copied and printed in
tests/unit/rehearsal/engine, and the policies' checks in test_azure.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.engine.command_line import PATH_OPTIONS
from tests.support import loopback_only
from tests.support.project import Run
from tests.support.small_projects import create_project, rehearsal_command, run, run_in_shell, serving

pytestmark = pytest.mark.engine

FILES = {
    "Pulumi.yaml": (
        "name: letters\nruntime: {name: python, options: {virtualenv: .venv}}\nbackend: {url: 's3://real-state'}\n"
        "stackConfigDir: stacks\n"
    ),
    "rehearsal.yaml": "stacks: stacks\n",
    # The entries that a real backend adds to a stack's file; they cannot be decrypted here.
    "stacks/Pulumi.test.yaml": (
        "secretsprovider: awskms://alias/real?region=eu-west-1\n"
        "encryptedkey: AQICAHjreal\n"
        "encryptionsalt: v1:HbVKkZ2xJ9o=:v1:Z1mqXl3l8JJX7d4o:cnTrDN1oB5o0w5vIv1yHCm3fZDGGLg==\n"
        "config:\n"
        "  # what to declare\n"
        "  letters:words: 'alpha,beta'  # two\n"
        "  letters:token:\n"
        "    secure: v1:Z1mqXl3l8JJX7d4o:cnTrDN1oB5o0w5vIv1yHCm3fZDGGLg==\n"
        "  letters:database: {user: admin, password: {secure: AAABAreal}}\n"
        "  aws:region: eu-west-1\n"
    ),
    "letters/empty.py": "",
    "__main__.py": (
        "import pulumi\n"
        "import pulumi_aws as aws\n"
        "\n"
        "config = pulumi.Config()\n"
        "words = config.require('words').split(',')\n"
        "groups = [aws.cloudwatch.LogGroup(word, name=f'/letters/{word}', retention_in_days=30) for word in words]\n"
        "pulumi.export('groups', pulumi.Output.all(*(group.name for group in groups)))\n"
        "pulumi.export('token', config.require_secret('token'))\n"
        "pulumi.export('password', config.require_object('database')['password'])\n"
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("letters"), FILES)


@pytest.fixture(scope="module")
def up(folder: Path) -> Run:
    """Bring the stack up, with only a loopback device if this machine supports that; `attempts` counts the others."""
    command = rehearsal_command("up", "test")
    if not loopback_only.find_obstacle():
        command = loopback_only.guard(command, folder.parent / "attempts")
    return run(folder, command)


@pytest.fixture(scope="module")
def exports(folder: Path, up: Run) -> Iterator[str]:  # noqa: ARG001 has to run first
    """The exports that a shell evaluates to work on the stack, whose clouds are served while the context lasts."""
    with serving(folder, "test") as text:
        yield text


def pulumi(folder: Path, exports: str, *arguments: str) -> Run:
    return run_in_shell(folder, exports, "pulumi", *arguments)


def changed_files(folder: Path) -> list[str]:
    """The files of the project that have changed or are new."""
    stacks = [f"stacks/{path.name}" for path in (folder / "stacks").iterdir()]
    files = {*FILES, *stacks}
    return [
        name for name in sorted(files) if not (folder / name).exists() or (folder / name).read_text() != FILES.get(name)
    ]


def test_the_project_is_rehearsed_and_its_files_do_not_change(folder: Path, up: Run) -> None:
    assert up.returncode == 0, up.output
    assert "0 changes" in up.output
    assert "/letters/alpha" in up.output
    assert changed_files(folder) == []


def test_encrypted_settings_are_placeholders_that_the_summary_names(up: Run) -> None:
    for key in ("letters:token", "letters:database.password"):
        assert f"placeholder     {key}: encrypted in the stack's file" in up.output
    assert "token              [secret]" in up.output
    assert "password           Placeholder-1-for-letters-database-password" in up.output


def test_no_request_leaves_this_machine(folder: Path, up: Run) -> None:
    obstacle = loopback_only.find_obstacle()
    if obstacle:
        pytest.skip(f"no separate network: {obstacle}")
    assert up.returncode == 0, up.output
    assert (folder.parent / "attempts").read_text() == "0"


def test_requests_that_would_leave_this_machine_are_counted(tmp_path: Path) -> None:
    """The previous test relies on this."""
    if obstacle := loopback_only.find_obstacle():
        pytest.skip(f"no separate network: {obstacle}")
    program = "import socket; socket.socket().connect_ex(('{}', 80))"
    for address, attempts in (("169.254.169.254", "1"), ("127.0.0.1", "0")):
        run(tmp_path, loopback_only.guard([sys.executable, "-c", program.format(address)], tmp_path / "attempts"))
        assert (tmp_path / "attempts").read_text() == attempts


@pytest.mark.parametrize(
    "command",
    [
        "preview",
        "--color never preview",
        "-C letters preview --diff",
        "logs",
        "config set words alpha,beta,gamma",
        "config set --secret token other",
        "config set --path database.user root",
        "config set words other --config-file stacks/Pulumi.test.yaml",
        "config rm aws:region",
        "config refresh --force",
        "stack init extra",
        "stack rm --yes extra",
        "stack select test",  # Pulumi selects no stack after that
        "stack rename other",
        "stack rename test",
        "stack export --file state.json",
        "stack change-secrets-provider passphrase",
        "refresh --yes",
    ],
)
def test_no_command_changes_a_file_of_the_project(folder: Path, exports: str, command: str) -> None:
    reply = pulumi(folder, exports, *command.split())
    assert "incorrect passphrase" not in reply.output
    assert changed_files(folder) == [], reply.output
    if "config refresh" not in command and "change-secrets-provider" not in command:
        assert reply.returncode == 0, reply.output


def test_changes_of_settings_can_be_applied_to_the_project(folder: Path, exports: str) -> None:
    reply = pulumi(folder, exports, "config", "set", "words", "alpha,beta,delta")
    assert "-  letters:words: 'alpha,beta'  # two\n+  letters:words: alpha,beta,delta  # two\n" in reply.output
    assert "Keep it with `git apply " in reply.output
    preview = pulumi(folder, exports, "preview", "--diff")
    assert "/letters/delta" in preview.output


def test_another_project_in_the_same_shell_has_its_own_state_and_settings(
    folder: Path, exports: str, tmp_path: Path
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: other\nruntime: python\n")
    (tmp_path / "__main__.py").write_text("import pulumi\npulumi.export('stack', pulumi.get_stack())\n")
    assert "test" not in pulumi(tmp_path, exports, "stack", "ls").output
    pulumi(tmp_path, exports, "stack", "init", "dev")
    reply = pulumi(tmp_path, exports, "up", "--yes", "--skip-preview")
    assert 'stack: "dev"' in reply.output
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["Pulumi.yaml", "__main__.py"]
    assert "dev" not in pulumi(folder, exports, "stack", "ls").output


def test_kubectl_and_helm_work_on_the_rehearsed_cluster(folder: Path, exports: str) -> None:
    reply = run(folder, ["sh", "-c", f"{exports}\nkubectl get namespace kube-system && helm list --all-namespaces"])
    assert reply.returncode == 0, reply.output
    assert "kube-system" in reply.output
    assert "NAMESPACE" in reply.output


def test_options_that_take_a_path_are_known_for_every_command(folder: Path, exports: str) -> None:
    """The engine works in a different folder than the user, and its help states what an option's argument is."""
    commands = [
        *("preview", "up", "refresh", "destroy", "import", "logs", "cancel", "config", "config set", "config refresh"),
        *("stack", "stack export", "stack import", "stack init", "stack graph", "stack rm", "state delete"),
    ]
    for command in commands:
        text = pulumi(folder, exports, *command.split(), "--help").output
        options = dict(re.findall(r"^ +(?:-\w, )?(--[a-z-]+) strings?(?:Array)? +(.*)$", text, re.MULTILINE))
        paths = {option for option, meaning in options.items() if re.search(r"\bfile(name)?\b|\bpath\b", meaning, re.I)}
        # `--cwd` is handled separately, traces are sent to an address, and `--config` is a setting of the stack's file.
        assert paths - {"--config", "--cwd", "--otel-traces", "--tracing"} <= PATH_OPTIONS, command


def test_stopped_clouds_are_reported_and_the_shell_can_still_destroy(folder: Path, exports: str) -> None:
    stopped = run_in_shell(folder, exports, *rehearsal_command("stop", "test"))
    assert "This shell still has the environment of the rehearsal" in stopped.output
    reply = pulumi(folder, exports, "preview")
    assert reply.returncode == 1
    assert "The simulated clouds of test no longer run" in reply.output
    destroyed = run_in_shell(folder, exports, *rehearsal_command("destroy", "test"))
    assert destroyed.returncode == 0, destroyed.output
    assert changed_files(folder) == []
