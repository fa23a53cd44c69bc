"""The entry point `make`: misspelt variables are refused, and Python environments are created or repaired.

Proves the Makefile's own checks and scripts/create-environment, with a stand-in for uv. Every run of the tests on a new
machine proves that the real one installs the locked packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = ROOT / "scripts" / "create-environment"
UV = 'case "$1" in --version) echo "uv 1.2.3 (stand-in)" ;; *) {ending} ;; esac'


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--dry-run", *arguments]
    # Without the options and variables of a `make` that runs the tests.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("variable", ["stack", "STAK", "Stack"])
def test_a_variable_that_nothing_reads_is_refused(variable: str) -> None:
    reply = make("rehearse", f"{variable}=aws-dev")
    assert reply.returncode != 0
    assert f"reads no variable '{variable}'" in reply.stderr
    assert "STACK=aws-dev" in reply.stderr


def test_variables_that_a_target_reads_are_accepted() -> None:
    reply = make("rehearse", "STACK=aws-dev", "PORT=4711", "STRICT=1")
    assert reply.returncode == 0, reply.stderr
    assert "rehearsal up 'aws-dev' --port 4711 --strict" in reply.stdout


@pytest.mark.parametrize("target", ["rehearse", "rehearse-destroy", "lifecycle", "shell", "env", "preview", "up"])
def test_a_signal_reaches_python(target: str) -> None:
    """A shell between `make` and Python would end on a signal, and leave its child processes running."""
    command = make(target).stdout.strip().splitlines()[-1]
    assert command.startswith("exec ")


@pytest.mark.parametrize("target", ["rehearse", "rehearse-destroy", "rehearse-reset", "shell", "stop", "up"])
def test_the_name_of_a_stack_is_one_argument(target: str) -> None:
    assert r"'my stack;it'\''s'" in make(target, "STACK=my stack;it's").stdout


def test_arguments_of_a_new_stack_arrive_as_they_were_written() -> None:
    reply = make("new-stack", "STACK=research", "OWNER=a$b 'c'")
    assert r"OWNER='a$b '\''c'\'''" in reply.stdout


@pytest.mark.parametrize("folder", ["tests", "platform"])
def test_a_folder_is_not_a_target(folder: str) -> None:
    reply = subprocess.run(["make", folder], cwd=ROOT, capture_output=True, text=True, check=False)
    assert reply.returncode != 0
    assert "is a folder, not a target" in reply.stderr


def test_a_reference_of_a_report_is_not_part_of_the_command() -> None:
    reply = make("report", "STACK=aws-dev", "BASE=$(id) `id`", "OUT=a b.md")
    assert reply.returncode == 0, reply.stderr
    assert 'reporting "aws-dev" --base "$BASE" --out "$OUT"' in " ".join(reply.stdout.split())


def test_pythons_compiled_files_are_kept() -> None:
    """Container images often set the variable; then each process compiles its libraries again, for 15 seconds."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["make", "--silent", "--eval", "show: ; @env", "show"]
    reply = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "PATH=" in reply.stdout
    assert "PYTHONDONTWRITEBYTECODE" not in reply.stdout


class Machine:
    """A folder for an environment, and a folder that is first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.environment = folder / "environment"
        self._path = folder / "bin"
        self._path.mkdir()
        self.install("uv", UV.format(ending="exit 0"))

    def install(self, name: str, script: str) -> None:
        command = self._path / name
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)

    def create_environment(self) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PATH": f"{self._path}:{os.environ['PATH']}", "PIP_USER": "1"}
        command: list[str | Path] = [SCRIPT, self.environment, "requirements.txt", "1", "uv==1.2.3", self._path / "uv"]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.process
def test_an_environment_without_pip_is_created_again(machine: Machine) -> None:
    """An interrupted `python3 -m venv` leaves such an environment behind."""
    python = machine.environment / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(shutil.which("python3") or sys.executable)
    (machine.environment / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    reply = machine.create_environment()
    assert reply.returncode == 0, reply.stderr
    subprocess.run([python, "-m", "pip", "--version"], check=True, capture_output=True)


@pytest.mark.process
def test_packages_that_cannot_be_installed_are_reported_with_the_remedy(machine: Machine) -> None:
    machine.install("uv", UV.format(ending="exit 2"))
    reply = machine.create_environment()
    assert reply.returncode != 0
    assert "the packages of requirements.txt could not be installed: check the network" in reply.stderr


def test_a_disk_that_is_too_small_is_reported_before_anything_is_written(machine: Machine) -> None:
    machine.install("df", "printf 'Filesystem 1024-blocks Used Available Capacity Mounted\\n/dev/sda 9 9 9 99%% /\\n'")
    reply = machine.create_environment()
    assert reply.returncode != 0
    assert "takes about 1 GB, and 0 GB are free in" in reply.stderr
    assert not machine.environment.exists()


def test_an_old_python_is_reported(machine: Machine) -> None:
    machine.install("python3", 'if [ "$1" = -V ]; then echo "Python 3.9.2"; else exit 1; fi')
    reply = machine.create_environment()
    assert reply.returncode != 0
    assert "Python 3.11 or later is required; python3 is Python 3.9.2" in reply.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_reported(machine: Machine) -> None:
    machine.environment.parent.chmod(0o555)
    assert "cannot be written to by" in machine.create_environment().stderr
