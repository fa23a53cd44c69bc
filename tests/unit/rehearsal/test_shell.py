"""A user's shell in a rehearsal, with typical startup files.

Proves, with each real shell that is installed and a separate home directory, that the rehearsal's environment overrides
variables that startup files export, that the prompt shows the rehearsal, and that a shell which loses the environment
reports it in red. That `pulumi` works in the shell is proven in tests/engine.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.rehearsals import REHEARSED_STACK
from rehearsal.engine.environment import RehearsalEnvironment
from rehearsal.shell import prepare_shell
from rehearsal.toolchain import REHEARSAL_MARK, ROOT

pytestmark = pytest.mark.process

# The file that each shell reads, and its typical content.
STARTUP = {
    "bash": ".bashrc",
    "zsh": ".zshrc",
    "fish": ".config/fish/config.fish",
    "sh": ".shrc",
    "dash": ".shrc",
}
EXPORTS = {
    "KUBECONFIG": "/home/real/.kube/config",
    "PULUMI_BACKEND_URL": "s3://real-state",
    "PULUMI_STACK": "real",
    "AWS_PROFILE": "production",
    "ARM_CLIENT_SECRET": "real",
    "OWN": "kept",
}


@pytest.fixture(params=sorted(STARTUP))
def shell(request: pytest.FixtureRequest) -> str:
    program = shutil.which(str(request.param))
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    return program


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / "bin").mkdir(parents=True)
    for name in ("pulumi", "kubectl"):
        write_program(folder / "bin" / name, "echo REAL")
    for name, file in STARTUP.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(startup_text(name, folder))
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> RehearsalEnvironment:
    programs = tmp_path / "rehearsal" / "bin"
    programs.mkdir(parents=True)
    (programs / REHEARSAL_MARK).touch()
    write_program(programs / "pulumi", "echo REHEARSED")
    variables = {
        REHEARSED_STACK: "aws-dev",
        "AWS_EC2_METADATA_DISABLED": "true",
        "KUBECONFIG": str(tmp_path / "it's the rehearsal's"),
        "PULUMI_BACKEND_URL": "file:///rehearsal",
    }
    return RehearsalEnvironment("aws-dev", variables, [str(programs)])


@pytest.fixture
def session(shell: str, home: Path, environment: RehearsalEnvironment, tmp_path: Path) -> Iterator[Session]:
    """The shell at its first prompt."""
    script = tmp_path / "rehearsal" / "environment.sh"
    script.write_text(environment.sh_script() + "\n")
    inherited = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "TERM": "dumb",
        "ENV": "$HOME/.shrc",
        "AWS_SECRET_ACCESS_KEY": "real",
        "PULUMI_ACCESS_TOKEN": "real",
        **{key: os.environ[key] for key in ("FPATH", "LD_LIBRARY_PATH") if key in os.environ},
    }
    start = prepare_shell(shell, environment, script, tmp_path / "rehearsal" / "shell", ROOT, inherited)
    assert start.is_protected
    opened = Session(start.command, start.variables)
    try:
        yield opened
    finally:
        opened.close()


class Session:
    """An interactive shell on its own terminal."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        self._count = 0
        self.command = command
        self._pid, self.terminal = pty.fork()
        if self._pid == 0:
            os.execve(command[0], command, variables)  # noqa: S606 it is a shell

    def run(self, command: str) -> str:
        """The shell's output from the prompt before a command to the command's end."""
        self._count += 1
        os.write(self.terminal, f"{command}; echo e''nd{self._count}\r".encode())
        output = ""
        while f"end{self._count}" not in output:
            output += os.read(self.terminal, 65536).decode(errors="replace")
        return output

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.close(self.terminal)
        os.waitpid(self._pid, 0)


ALIAS = "alias pulumi='echo the wrong one'"
ELSEWHERE = "cd /"


def startup_text(shell: str, home: Path) -> str:
    if shell == "fish":
        exports = [f"set -gx {key} {value}" for key, value in EXPORTS.items()]
        return (
            "\n".join(
                [
                    *exports,
                    f"set -gx PATH {home}/bin $PATH",
                    "function fish_prompt; echo 'mine> '; end",
                    ALIAS,
                    ELSEWHERE,
                ]
            )
            + "\n"
        )
    prompt = "PROMPT='mine> '" if shell == "zsh" else "PS1='mine> '"
    exports = [f"export {key}={value}" for key, value in EXPORTS.items()]
    bash_prompt = ["PROMPT_COMMAND='PS1=\"mine> \";'"] if shell == "bash" else []
    return "\n".join([*exports, f'export PATH="{home}/bin:$PATH"', prompt, *bash_prompt, ALIAS, ELSEWHERE]) + "\n"


def write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def read_variables(session: Session) -> dict[str, str]:
    output = session.run("command env | command sed 's/^/-- /'")
    return dict(re.findall(r"-- (\w+)=(.*?)\r?$", output, re.MULTILINE))


def test_the_rehearsals_environment_overrides_startup_files(
    session: Session, environment: RehearsalEnvironment
) -> None:
    variables = read_variables(session)
    assert {key: variables.get(key) for key in environment.variables} == environment.variables
    assert variables["OWN"] == "kept", "the startup file was not read"
    real = ("AWS_PROFILE", "ARM_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "PULUMI_ACCESS_TOKEN", "PULUMI_STACK")
    assert [key for key in real if key in variables] == []
    assert "REHEARSED" in session.run("pulumi")
    assert variables["PATH"].split(":").count(environment.path[0]) == 1
    assert "REAL" in session.run("kubectl"), "PATH of the startup file is still there, behind the rehearsal's"


def test_the_prompt_shows_the_rehearsal(session: Session) -> None:
    output = session.run("true") + session.run("true")
    assert "(rehearsal aws-dev)" in output
    assert "mine> " in output
    assert "NOT rehearsal" not in output
    assert not re.search(r"\(rehearsal aws-dev\)\S* \S*\(rehearsal aws-dev\)", output), "it is shown twice"


@pytest.mark.parametrize("lost", ["KUBECONFIG", "AWS_PROFILE", "PATH"])
def test_a_shell_that_loses_the_environment_reports_it_in_red(session: Session, home: Path, lost: str) -> None:
    is_fish = "fish" in session.command[0]
    value = f"{home}/bin:$PATH" if lost == "PATH" else "real"
    session.run(f"set -gx {lost} {home}/bin $PATH" if is_fish and lost == "PATH" else f'export {lost}="{value}"')
    output = session.run("true") + session.run("true")
    assert f"no longer in the rehearsal of aws-dev: {lost} changed" in output
    if Path(session.command[0]).name in ("bash", "zsh", "fish"):
        assert "no longer in" not in session.run("true"), "it is reported repeatedly"
        assert "NOT rehearsal aws-dev" in session.run("true")
    assert "NOT rehearsal aws-dev" in output
    assert re.search(r"\x1b\[(31m|.*31.*m)", output)
    remedy = re.search(r"Return to it with `(.+?)`", output.replace("\r\n", ""))
    assert remedy
    session.run(remedy[1])
    session.run("true")
    assert "NOT rehearsal" not in session.run("true")


def test_a_shell_starts_in_the_project_even_if_startup_files_change_the_folder(session: Session) -> None:
    assert str(ROOT) in session.run("pwd")


def test_an_unknown_shell_is_reported(environment: RehearsalEnvironment, tmp_path: Path) -> None:
    start = prepare_shell("/usr/bin/tcsh", environment, tmp_path / "environment.sh", tmp_path / "shell", ROOT, {})
    assert start.command == ["/usr/bin/tcsh"]
    assert not start.is_protected
    assert start.variables["KUBECONFIG"] == environment.variables["KUBECONFIG"]
