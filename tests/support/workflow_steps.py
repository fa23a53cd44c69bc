"""Runs the `run:` steps of workflows on this machine, with the programs of a folder at the beginning of PATH.

Bash runs a step's command with GitHub's options, in the step's working directory, with the variables of workflow, job
and step, and with files for its outputs and its summary. The test passes the values of expressions in variables. A step
whose command itself contains an expression cannot be run, because the expression's text would become part of the
command (https://docs.github.com/actions/concepts/security/script-injections). Proves nothing by itself.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rehearsal.toolchain import ROOT
from tests.support.cloud_programs import write_program

WORKFLOWS = ROOT / ".github" / "workflows"
ACTIONS = ROOT / ".github" / "actions"
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_SECONDS = 900
COMMIT = "c" * 40
# Records its name and arguments, each followed by a NUL, and a separator after the last, then runs the test's script
# for it. It uses only the shell: an interpreter for each call would take most of a step's time.
_SEPARATOR = "\x1e"
_RECORDER = f"""\
printf '%s\\0' "${{0##*/}}" "$@" '{_SEPARATOR}' >> "${{0%/*}}/calls"
"""


@dataclass(frozen=True)
class Step:
    """A step with the variables that it runs with, from the outermost to the innermost."""

    workflow: str
    job: str
    index: int
    content: Mapping[str, Any]
    variables: Mapping[str, str]

    @property
    def label(self) -> str:
        return f"{self.workflow}:{self.job}:{self.index}"

    @property
    def command(self) -> str:
        return str(self.content.get("run", ""))


@dataclass(frozen=True)
class Result:
    code: int
    printed: str
    outputs: Mapping[str, str]
    summary: str
    calls: list[list[str]] = field(default_factory=list)

    def called(self, name: str) -> list[list[str]]:
        """The arguments of each call of a program."""
        return [call[1:] for call in self.calls if call[0] == name]


def list_workflows() -> list[Path]:
    return sorted(path for path in WORKFLOWS.iterdir() if path.suffix in (".yaml", ".yml"))


def read(path: Path) -> dict[str, Any]:
    """A workflow; `on`, which YAML 1.1 reads as true, has its own name as the key."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {("on" if key is True else key): value for key, value in content.items()}


def list_steps(path: Path) -> Iterator[Step]:
    """All steps of a workflow's jobs, without those of reusable workflows that it calls."""
    content = read(path)
    for name, job in content.get("jobs", {}).items():
        for index, step in enumerate(job.get("steps", ())):
            variables = {**content.get("env", {}), **job.get("env", {}), **step.get("env", {})}
            yield Step(path.name, name, index, step, {key: str(value) for key, value in variables.items()})


def find_step(workflow: str, job: str, part: str) -> Step:
    """The only step of a job whose command contains a text."""
    (found,) = (step for step in list_steps(WORKFLOWS / workflow) if step.job == job and part in step.command)
    return found


class Machine:
    """A GitHub runner: its programs, and the files of a run.

    programs  shell scripts, keyed by name; each call is recorded before the script runs with its arguments
    """

    # https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#defaultsrunshell
    shell: tuple[str, ...] = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c")
    expression = _EXPRESSION

    def __init__(self, folder: Path, programs: Mapping[str, str], workspace: Path = ROOT) -> None:
        self.folder = folder
        self.workspace = workspace
        self.bin = folder / "bin"
        self.temp = folder / "temp"
        for path in (self.bin, self.temp):
            path.mkdir(parents=True)
        for name, script in programs.items():
            write_program(self.bin / name, f"{_RECORDER}{script}\n")

    def run(self, step: Step, expressions: Mapping[str, str], **environment: str) -> Result:
        """Run a step. Raises AssertionError for an expression that is not in `expressions`."""
        assert not self.expression.search(step.command), f"{step.label} has an expression in its command"
        calls = self.bin / "calls"
        for file in (self._output, self._summary, calls):
            file.write_text("")
        variables = {name: self._resolve(value, expressions, step) for name, value in step.variables.items()}
        inherited = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        reply = subprocess.run(
            [*self.shell, step.command],
            cwd=self.workspace / step.content.get("working-directory", ""),
            env={
                **inherited,
                "PATH": os.pathsep.join([str(self.bin), os.environ["PATH"]]),
                **self.list_variables(),
                **variables,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        recorded = [call.split("\0")[:-1] for call in calls.read_text().split(f"{_SEPARATOR}\0")[:-1]]
        outputs, summary = self.read_outputs(reply.stdout), self._summary.read_text()
        return Result(reply.returncode, reply.stdout, outputs, summary, recorded)

    def list_variables(self) -> Mapping[str, str]:
        """The variables that every step has."""
        return {
            "GITHUB_OUTPUT": str(self._output),
            "GITHUB_REPOSITORY": "acme/ml-platform",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": COMMIT,
            "GITHUB_STEP_SUMMARY": str(self._summary),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
        }

    def read_outputs(self, printed: str) -> Mapping[str, str]:  # noqa: ARG002 other runners read them from there
        return dict(line.partition("=")[::2] for line in self._output.read_text().splitlines())

    @property
    def _output(self) -> Path:
        return self.folder / "output"

    @property
    def _summary(self) -> Path:
        return self.folder / "summary"

    def _resolve(self, text: str, expressions: Mapping[str, str], step: Step) -> str:
        def look_up(found: re.Match[str]) -> str:
            assert found[1] in expressions, f"{step.label} reads {found[1]}, which the test does not set"
            return expressions[found[1]]

        return self.expression.sub(look_up, text)
