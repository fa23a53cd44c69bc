"""A deployed stack, and the programs that access its parts: engine, cluster, database and object store.

If this machine reaches a stack in its own way, such as through a tunnel, `.groundwork/access/<stack>.env` has variables
for it: KUBECONFIG, libpq's PGHOSTADDR, PGPORT and PGSSLMODE, and MLFLOW_URL. In the shell of a rehearsal the programs
work on the rehearsed stack.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy.engine import Engine
from deploy.errors import DeployError
from deploy.programs import ROOT, Answer, Programs
from deploy.stack import Stack, read_stack
from infra.core.settings import Settings
from kernel.rehearsals import REHEARSED_STACK

STACKS = ROOT / "stacks"
_ACCESS = ROOT / ".groundwork" / "access"
_TIMEOUT = 3600.0  # seconds; dumping a large database may take that long
_REMEDIES = {
    "aws": "install the AWS CLI: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
    "az": "install the Azure CLI: https://learn.microsoft.com/cli/azure/install-azure-cli",
    "azcopy": "install AzCopy: https://learn.microsoft.com/azure/storage/common/storage-use-azcopy-v10",
    "git": "install it: https://git-scm.com/downloads",
    "kubectl": "install it: https://kubernetes.io/docs/tasks/tools/",
    "pg_dump": "install PostgreSQL's client programs, of the server's version or later",
    "pg_restore": "install PostgreSQL's client programs, of the server's version or later",
    "psql": "install PostgreSQL's client programs, of the server's version or later",
    "pulumi": "install Pulumi: https://www.pulumi.com/docs/install/",
}


@dataclass(frozen=True)
class Target:
    """
    environment   variables of the programs that work on the stack
    is_rehearsed  whether its clouds are simulated
    """

    stack: Stack
    environment: Mapping[str, str]
    is_rehearsed: bool

    @property
    def name(self) -> str:
        return self.stack.name

    @property
    def settings(self) -> Settings:
        """Raises DeployError if the stack's settings are not valid."""
        if self.stack.settings is None:
            raise DeployError(self.stack.problem)
        return self.stack.settings

    @property
    def programs(self) -> Programs:
        return Programs(self.environment)

    @property
    def engine(self) -> Engine:
        return Engine(self.programs, is_interactive=False)

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        """The stack's outputs except secret ones. Raises DeployError if the engine's state does not have the stack."""
        text = self.call("pulumi", "stack", "output", "--json", "--stack", self.name, "--non-interactive")
        outputs: Mapping[str, Any] = json.loads(text)
        return outputs

    def get_output(self, name: str) -> str:
        """One of the outputs. Raises DeployError if the stack has not been deployed."""
        value = self.outputs.get(name)
        if value is None:
            raise DeployError(
                f"{self.name} has no output '{name}': no deployment of it has ever finished. Deploy it with "
                f"`make up STACK={self.name}`."
            )
        return str(value)

    def ask(self, program: str, *arguments: str, text: str | None = None, **variables: str) -> Answer:
        """Run a program to its end, with `text` on its standard input. Raises DeployError if it is not installed."""
        path = self.programs.find(program)
        if not path:
            raise DeployError(f"`{program}` is not on PATH. {_REMEDIES[program].capitalize()}.")
        try:
            reply = subprocess.run(
                [path, *arguments],
                cwd=ROOT,
                env={**self.environment, **variables},
                input=text or "",
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            return Answer(124, "", f"`{program}` did not end within {_TIMEOUT:.0f} s")
        return Answer(reply.returncode, reply.stdout, reply.stderr)

    def call(self, program: str, *arguments: str, text: str | None = None, **variables: str) -> str:
        """Like `ask`, but returns what the program printed. Raises DeployError with its message if it fails."""
        answer = self.ask(program, *arguments, text=text, **variables)
        if answer.code:
            shown = " ".join([program, *arguments[:3]])
            raise DeployError(f"{self.name}: `{shown}` fails: {answer.reason}.")
        return answer.output

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.call("kubectl", *self.cluster_options, *arguments, text=text)

    def ask_kubectl(self, *arguments: str) -> Answer:
        return self.ask("kubectl", *self.cluster_options, *arguments)

    def list_objects(self, kind: str, *arguments: str) -> Sequence[Mapping[str, Any]]:
        """Objects of all namespaces; empty if the cluster does not have the kind."""
        answer = self.ask_kubectl("get", kind, "--all-namespaces", "--output", "json", *arguments)
        if answer.code and "the server doesn't have a resource type" in answer.error:
            return []
        if answer.code:
            raise DeployError(f"The cluster of {self.name} does not list {kind}: {answer.reason}.")
        items: Sequence[Mapping[str, Any]] = json.loads(answer.output)["items"]
        return items

    @property
    def cluster_options(self) -> Sequence[str]:
        """kubectl's options. The shell's current cluster may be another stack's, so the stack's own outputs count."""
        if self.is_rehearsed or self.name in list_access():
            return ()
        return ("--kubeconfig", self._kubeconfig)

    @cached_property
    def _kubeconfig(self) -> str:
        text = self.call(
            "pulumi", "stack", "output", "kubeconfig", "--show-secrets", "--stack", self.name, "--non-interactive"
        )
        folder = Path(tempfile.mkdtemp(prefix="groundwork-"))  # only this user may read it
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        file = folder / "kubeconfig"
        file.write_text(text)
        file.chmod(stat.S_IRUSR | stat.S_IWUSR)
        return str(file)


def read_target(name: str) -> Target:
    """Raises DeployError if there is no such stack, or this shell belongs to the rehearsal of another."""
    stack, access = read_stack(name, STACKS), _read_access(name)
    environment = {**os.environ, **access}
    rehearsed = environment.get(REHEARSED_STACK)
    if rehearsed and rehearsed != name:
        raise DeployError(
            f"This shell belongs to the rehearsal of {rehearsed}, but {name} is another stack. Run the command in "
            f'another shell, after `eval "$(make -s env STACK={name})"`, or put those variables into '
            f"{_ACCESS / name}.env."
        )
    return Target(stack, environment, bool(rehearsed))


def list_access() -> list[str]:
    """The stacks whose access file on this machine names their cluster."""
    return [path.stem for path in _ACCESS.glob("*.env") if "KUBECONFIG" in _read_access(path.stem)]


def _read_access(name: str) -> Mapping[str, str]:
    """Raises DeployError that names the line which is not a variable."""
    file = _ACCESS / f"{name}.env"
    if not file.is_file():
        return {}
    variables = {}
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", line)
        if not found:
            raise DeployError(f"{file}, line {number}: '{line}' is not of the form NAME=value. Correct it.")
        variables[found[1]] = found[2]
    return variables
