"""A copy of the project that a test may break, with the engine that the real one uses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal import session
from rehearsal.summary import read_events
from rehearsal.tools import ROOT

# Long enough for a rehearsal on two busy cores; a hang is a failure.
TIMEOUT = 300

_PARTS = ("Pulumi.yaml", "__main__.py", "infra", "policies", "rehearsal", "stacks")


@dataclass(frozen=True)
class Run:
    """How a command ended, and all that it printed."""

    code: int
    text: str

    @property
    def complaint(self) -> str:
        """What a failed command said; fails where it succeeded or showed a traceback."""
        assert self.code != 0, f"succeeded, but should not have:\n{self.text}"
        assert "Traceback" not in self.text, self.text
        return self.text


class Project:
    """The copy in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in _PARTS:
            source, target = ROOT / part, folder / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / ".groundwork").mkdir()
        session.ready()
        for built in (ROOT / ".groundwork").glob("*-[0-9]*"):  # a tool's folder is called by its name and version
            (folder / ".groundwork" / built.name).symlink_to(built)

    def rehearse(self, command: str, stack: str, *options: str) -> Run:
        """Run one of the rehearsal's commands to its end."""
        return self._finished(self.start(command, stack, *options))

    def start(self, command: str, stack: str, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "rehearsal", command, stack, *options],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # so that Ctrl-C can be sent to all of it
        )

    @contextmanager
    def shell(self, stack: str) -> Iterator[Callable[..., Run]]:
        """What `make env` gives: a function that runs plain `pulumi` in the project's folder."""
        exports = subprocess.run(
            [sys.executable, "-m", "rehearsal", "env", stack],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT,
        ).stdout

        def pulumi(*arguments: str) -> Run:
            script = f'{exports}\nexec pulumi "$@"'
            reply = subprocess.run(
                ["sh", "-c", script, "sh", *arguments, "--non-interactive"],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT,
            )
            return Run(reply.returncode, reply.stdout + reply.stderr)

        try:
            yield pulumi
        finally:
            stopped = self.rehearse("stop", stack)
            assert stopped.code == 0, stopped.text

    def rehearsal(self, stack: str) -> Path:
        return self.folder / ".groundwork" / "rehearsals" / stack

    def processes(self, stack: str) -> dict[str, int]:
        """The processes of the rehearsal's cluster, by the names of their programs."""
        folder, found = str(self.rehearsal(stack)), {}
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended meanwhile
                command = path.read_text().split("\0")
                if any(folder in argument for argument in command[1:]):
                    found[Path(command[0]).name] = int(path.parent.name)
        return found

    def set(self, stack: str, **settings: Any) -> None:
        """Edit settings in the stack's file, by their names without the namespace."""
        path = self.folder / "stacks" / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(path.read_text())
        content["config"].update({f"groundwork:{name}": value for name, value in settings.items()})
        path.write_text(yaml.safe_dump(content))

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a source file of the copy; fails when it is not there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} does not hold {old!r}"
        path.write_text(text.replace(old, new))

    @contextmanager
    def edited(self, file: str, old: str, new: str) -> Iterator[None]:
        """The same for as long as the context lasts."""
        before = (self.folder / file).read_text()
        self.edit(file, old, new)
        try:
            yield
        finally:
            (self.folder / file).write_text(before)

    def journal(self, stack: str) -> list[tuple[str, str, str]]:
        """Operation, type and outcome of everything that reached the simulated clouds, in order."""
        script = (
            "import sys; from rehearsal.cloud.world import FileWorld; "
            "[print(e.operation, e.type, e.outcome) for e in FileWorld(sys.argv[1]).journal()]"
        )
        path = self.rehearsal(stack) / "world.db"
        if not path.exists():
            return []
        command = [sys.executable, "-c", script, str(path)]
        reply = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)
        lines = (line.split(" ", 2) for line in reply.stdout.splitlines())
        return [(operation, type_, outcome) for operation, type_, outcome in lines]

    def _finished(self, process: subprocess.Popen[str]) -> Run:
        try:
            text, _ = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Run(process.returncode, text)

    def interrupt_after(self, creations: int, stack: str) -> Run:
        """Bring the stack up, press Ctrl-C once so many resources have been created, and wait for the end."""
        process = self.start("up", stack)
        deadline = time.monotonic() + TIMEOUT
        while sum(operation == "create" for operation, _, _ in self.journal(stack)) < creations:
            assert time.monotonic() < deadline, "nothing was created"
            assert process.poll() is None, "it ended before it could be interrupted"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        return self._finished(process)


def changes(events: Path) -> dict[str, str]:
    """Resource name -> operation, for all that the run in an event log changes or would change."""
    found = {}
    for event in read_events(events):
        metadata = event.get("resourcePreEvent", {}).get("metadata", {})
        if metadata and metadata["op"] != "same":
            found[metadata["urn"].rsplit("::", 1)[-1]] = metadata["op"]
    return found


def planned(text: str) -> dict[str, str]:
    """Resource name -> operation from `pulumi preview --json`."""
    steps: Sequence[Any] = json.loads(text)["steps"]
    return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] != "same"}
