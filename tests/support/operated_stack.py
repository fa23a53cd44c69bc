"""The commands of `make` on a rehearsed stack, with the cloud's other services: database and object store.

make, the commands, pulumi, kubectl and PostgreSQL are real. `aws` is a stub that implements `s3` and `s3api` on
folders of this machine.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.cloud_programs import write_program
from tests.support.project import TIMEOUT, Project, Run, list_own_variables, make_command, run_command

_OBJECT_STORE = """
import json, shutil, sys
from pathlib import Path

root, away, *arguments = sys.argv[1:]

def place(text):
    if not text.startswith("s3://"):
        return Path(text)
    bucket = text.removeprefix("s3://").partition("/")[0]
    if bucket in Path(away).read_text().split():
        sys.exit(f"fatal error: Could not connect to the endpoint URL: https://{bucket}.s3.amazonaws.com/")
    return Path(root, text.removeprefix("s3://"))

words = [each for each in arguments if not each.startswith("--")]
if words[:2] == ["s3", "sync"]:
    source, target = map(place, words[2:4])
    target.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
elif words[:2] == ["s3", "cp"]:
    source, target = map(place, words[2:4])
    if not source.is_file():
        sys.exit("fatal error: An error occurred (404) when calling the HeadObject operation: Key does not exist")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
elif words[:2] == ["s3api", "list-objects-v2"]:
    bucket, prefix = arguments[arguments.index("--bucket") + 1], arguments[arguments.index("--prefix") + 1]
    folder = place(f"s3://{bucket}")
    keys = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    print(json.dumps([key for key in keys if key.startswith(prefix)] or None))
else:
    sys.exit(f"the stand-in has no `aws {' '.join(words[:2])}`")
"""


class ObjectStore:
    """The buckets of all regions; `programs` is a folder with an `aws` that reaches them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder / "buckets", folder / "programs"
        self._away = folder / "away"
        self._away.parent.mkdir(parents=True, exist_ok=True)
        self._away.write_text("")
        self.programs.mkdir()
        script = folder / "object_store.py"
        script.write_text(_OBJECT_STORE)
        command = [sys.executable, "-I", str(script), str(self.folder), str(self._away)]
        write_program(self.programs / "aws", f'exec {shlex.join(command)} "$@"\n')
        (self.programs / "aws").chmod(0o755)

    def path(self, uri: str) -> Path:
        return self.folder / uri.removeprefix("s3://")

    def lose(self, uri: str) -> None:
        """Make the bucket of a URI unreachable."""
        self._away.write_text(uri.removeprefix("s3://").partition("/")[0])

    def regain(self) -> None:
        self._away.write_text("")


class Operator:
    """An operator at a terminal of this machine, in the project's folder."""

    def __init__(self, project: Project, programs: Path) -> None:
        self._project = project
        self._path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def make(self, target: str, stack: str, *variables: str) -> Run:
        """Run a target of the Makefile; `variables` are of the form `YES=1`."""
        environment = {**list_own_variables(), "PATH": self._path}
        return run_command(make_command(target, stack, *variables), self._project.folder, environment)

    def succeed(self, target: str, stack: str, *variables: str) -> str:
        run = self.make(target, stack, *variables)
        assert run.returncode == 0, run.output
        return run.output

    def reach(self, stack: str, exports: str, **variables: str) -> None:
        """Record how this machine reaches a stack: like a shell with the exports of its rehearsal."""
        found = read_exports(exports)
        found["PATH"] = os.pathsep.join([self._path.partition(os.pathsep)[0], found["PATH"]])
        file = self._project.folder / ".groundwork" / "access" / f"{stack}.env"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name}={value}\n" for name, value in {**found, **variables}.items()))


def read_exports(exports: str) -> dict[str, str]:
    """The variables that the exports add to a shell, or change."""
    text = subprocess.run(["sh", "-c", f"{exports}\nenv -0"], capture_output=True, text=True, check=True).stdout
    variables = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
    return {name: value for name, value in variables.items() if os.environ.get(name) != value and "\n" not in value}


@contextmanager
def served(project: Project, stack: str) -> Iterator[str]:
    """Serve the stack's clouds and cluster while the context lasts; yields the exports for a shell."""
    exports = project.serve(stack)
    try:
        yield exports
    finally:
        stopped = project.rehearse("stop", stack)
        assert stopped.returncode == 0, stopped.output


def read_kubectl(exports: str, *arguments: str) -> str:
    environment: Mapping[str, str] = {**os.environ, **read_exports(exports)}
    reply = subprocess.run(
        ["kubectl", *arguments], env=dict(environment), capture_output=True, text=True, check=True, timeout=TIMEOUT
    )
    return reply.stdout
