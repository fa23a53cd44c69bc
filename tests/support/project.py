"""Copies of the project that tests may edit and break; they use the real project's built tools."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from kernel.engine_events import read_events
from rehearsal.engine import pulumi_cli
from rehearsal.folder import RehearsalFolder
from rehearsal.preparation import preparing
from rehearsal.toolchain import ROOT
from tests.support.waiting import eventually

# A rehearsal takes minutes on two idle cores; this leaves room for a busy machine, and a hang is a failure.
TIMEOUT = 1800.0  # seconds

_PARTS = (
    "Makefile",
    "Pulumi.yaml",
    "__main__.py",
    "delivery",
    "deploy",
    "estimates",
    "infra",
    "kernel",
    "operations",
    "plan_guard",
    "policies",
    "rehearsal",
    "rehearsal.yaml",
    "reporting",
    "stacks",
    "third_party",
)


@dataclass(frozen=True)
class Run:
    """The exit code of a command, and its complete output."""

    returncode: int
    output: str

    def failure(self) -> str:
        """The output of a failed command; raises AssertionError if it succeeded or printed a traceback."""
        assert self.returncode != 0, f"succeeded, but should not have:\n{self.output}"
        assert "Traceback" not in self.output, self.output
        return self.output


# Variables of a developer's own environment that must not affect tests.
_FOREIGN = (
    *("AAD_", "ACTIONS_", "ARM_", "AWS_", "AZURE_", "CLOUDSDK_"),
    *("KUBECONFIG", "PULUMI_", "PYTHONDONTWRITEBYTECODE"),
)


def list_own_variables() -> dict[str, str]:
    """This process's variables, except those of clouds, clusters and pipelines."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def run_command(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Run:
    """Run a command to its end, without a terminal, with standard output and standard error combined."""
    reply = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    return Run(reply.returncode, reply.stdout)


def serve_clouds(stack: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Serve a stack's clouds in the background, as `make env` does; returns the exports it prints for a shell.

    Its messages, on the other stream, are not part of them.
    """
    return subprocess.run(
        [sys.executable, "-m", "rehearsal", "env", stack],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT,
    ).stdout


def make_command(target: str, stack: str, *variables: str) -> list[str]:
    """A target of the Makefile, without synchronizing the Python environment, which the test already has."""
    return ["make", "--no-print-directory", "--old-file=.venv/.ready", target, f"STACK={stack}", *variables]


class Project:
    """The copy in `folder` of the project in `source`."""

    def __init__(self, folder: Path, source: Path = ROOT) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # Compiled modules are copied only from another copy, which nobody else uses.
        ignored = shutil.ignore_patterns() if source != ROOT else shutil.ignore_patterns("__pycache__")
        for part in _PARTS:
            if (source / part).is_dir():
                shutil.copytree(source / part, folder / part, ignore=ignored)
            else:
                shutil.copy(source / part, folder / part)
        (folder / ".venv").symlink_to(sys.prefix)
        # No test edits the lifecycle, and its environment is large.
        shutil.copytree(source / "platform", folder / "platform", ignore=shutil.ignore_patterns("lifecycle"))
        (folder / "platform" / "lifecycle").symlink_to(ROOT / "platform" / "lifecycle")
        (folder / ".groundwork").mkdir()
        with preparing() as preparation:
            preparation.controllers()

    def rehearse(self, command: str, stack: str, *options: str) -> Run:
        """Run one of the rehearsal's commands to its end."""
        return self.wait(self.start(command, stack, *options))

    def start(self, command: str, stack: str, *options: str, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start one of the rehearsal's commands; `prefix` is a program that runs it, with arguments."""
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "rehearsal", command, stack, *options],
            cwd=self.folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # so that Ctrl-C can be sent to the whole process group
        )

    def serve(self, stack: str) -> str:
        """Serve the stack's clouds in the background; returns the exports that a shell evaluates to work on it."""
        return serve_clouds(stack, self.folder, _environment())

    def pulumi(self, exports: str, *arguments: str) -> Run:
        """Run plain `pulumi` in the project's folder, in a shell with the exports of `serve`."""
        script = f'{exports}\nexec pulumi "$@"'
        reply = subprocess.run(
            ["sh", "-c", script, "sh", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        return Run(reply.returncode, reply.stdout + reply.stderr)

    @contextmanager
    def shell(self, stack: str) -> Iterator[Callable[..., Run]]:
        """Serve the stack's clouds while the context lasts; yields a function that runs plain `pulumi` on them."""
        exports = self.serve(stack)
        try:
            yield partial(self.pulumi, exports)
        finally:
            stopped = self.rehearse("stop", stack)
            assert stopped.returncode == 0, stopped.output

    def rehearsal(self, stack: str) -> Path:
        return self.folder / ".groundwork" / "rehearsals" / stack

    def processes(self, stack: str) -> dict[str, int]:
        """The process IDs of the rehearsal's cluster, keyed by program."""
        folder, processes = str(self.rehearsal(stack)), {}
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has exited in the meantime
                command = path.read_text().split("\0")
                if any(folder in argument for argument in command[1:]):
                    processes[Path(command[0]).name] = int(path.parent.name)
        return processes

    def set(self, stack: str, **settings: Any) -> None:
        """Edit settings in the stack's file, keyed by name without the namespace."""
        path = self.folder / "stacks" / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(path.read_text())
        content["config"].update({f"groundwork:{name}": value for name, value in settings.items()})
        path.write_text(yaml.safe_dump(content))

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a source file of the copy; fails if the text is not there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} does not contain {old!r}"
        path.write_text(text.replace(old, new))

    @contextmanager
    def edited(self, file: str, old: str, new: str) -> Iterator[None]:
        """Replace text while the context lasts."""
        before = (self.folder / file).read_text()
        self.edit(file, old, new)
        try:
            yield
        finally:
            (self.folder / file).write_text(before)

    def journal(self, stack: str) -> list[tuple[str, str, str]]:
        """Operation, type and outcome of each request to the simulated clouds, in order."""
        path = self.rehearsal(stack) / "state.db"
        if not path.exists():
            return []
        # Read as a file: StateStore would create its tables, and the rehearsal may be doing so right now.
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database, suppress(sqlite3.OperationalError):
            return list(database.execute("SELECT operation, type, outcome FROM journal ORDER BY seq"))
        return []

    def start_up_until(self, stack: str, condition: Callable[[], bool]) -> subprocess.Popen[str]:
        """Start to bring the stack up; returns the process, still running, as soon as `condition` holds."""
        process = self.start("up", stack)

        def check() -> bool:
            if condition():
                return True
            if process.poll() is not None:
                raise RuntimeError(f"`up` ended before that:\n{process.communicate()[0]}")
            return False

        eventually(check, TIMEOUT)
        return process

    def wait(self, process: subprocess.Popen[str], timeout: float = TIMEOUT) -> Run:
        """Wait for a command to end; after `timeout` seconds kill it and raise TimeoutExpired."""
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):  # its child processes outlive it
                os.killpg(process.pid, signal.SIGKILL)
            raise
        return Run(process.returncode, output)


class Stack:
    """A stack that has been brought up in a copy of the project.

    Its clouds are served in the background from the first `pulumi` command until the next command of the rehearsal:
    starting a control plane for each command would take longer than the command itself.

    output    of the rehearsal's last command
    attempts  how often the deployment tried to reach something beyond this machine; None if that was not counted
    """

    def __init__(self, project: Project, name: str, output: str = "", attempts: int | None = None) -> None:
        self.project = project
        self.name = name
        self.output = output
        self.attempts = attempts
        self._exports = ""

    def rehearse(self, command: str, *options: str) -> Run:
        """Run one of the rehearsal's commands to its end, and record its output in `output`."""
        self.stop_serving()
        run = self.project.rehearse(command, self.name, *options)
        self.output = run.output
        return run

    def pulumi(self, *arguments: str) -> Run:
        """Run plain `pulumi`, as in the shell of `make env`."""
        self._exports = self._exports or self.project.serve(self.name)
        return self.project.pulumi(self._exports, *arguments)

    def read_state_with_secrets(self) -> Any:
        """The engine's state of the stack with its secrets in plain text; needs no clouds."""
        folder = RehearsalFolder(self.project.rehearsal(self.name))
        variables = {
            "PULUMI_BACKEND_URL": folder.backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": folder.passphrase.read_text(),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        command = [str(pulumi_cli.engine()), "stack", "export", "--show-secrets", "--stack", self.name]
        environment = {**_environment(), **variables}
        reply = subprocess.run(command, cwd=folder.workspace, env=environment, capture_output=True, check=True)
        return json.loads(reply.stdout)

    def stop_serving(self) -> None:
        """Stop the clouds that are served in the background, if there are any."""
        if self._exports:
            self._exports = ""
            stopped = self.project.rehearse("stop", self.name)
            assert stopped.returncode == 0, stopped.output

    def events(self, step: str) -> Path:
        return self.project.rehearsal(self.name) / f"{step}-events.jsonl"

    def journal(self) -> list[tuple[str, str, str]]:
        return self.project.journal(self.name)


def changes(events: Path) -> dict[str, str]:
    """Resource name -> operation, for each resource that the run in an event log changed or would change."""
    operations = {}
    for event in read_events(events):
        metadata = event.get("resourcePreEvent", {}).get("metadata", {})
        if metadata and metadata["op"] != "same":
            operations[metadata["urn"].rsplit("::", 1)[-1]] = metadata["op"]
    return operations


def planned(text: str) -> dict[str, str]:
    """Resource name -> operation from `pulumi preview --json`."""
    steps: Sequence[Any] = json.loads(text)["steps"]
    return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] != "same"}


# Nothing serves it: connections through it fail on this machine.
_DEAD_PROXY = dict.fromkeys(("http_proxy", "HTTP_PROXY", "grpc_proxy"), "http://127.0.0.1:9")


def _environment() -> dict[str, str]:
    """This process's environment, with a proxy, as on many machines.

    Python caches compiled modules, once for each copy instead of in each command.
    """
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **_DEAD_PROXY}
