"""The commands for real clouds, run in a copy of the project with simulated clouds in place of the real ones.

Only the environment differs: the engine attaches to the simulated providers (PULUMI_DEBUG_PROVIDERS), and scripts on
PATH replace the clouds' command-line tools. There is no control plane: Kubernetes objects are checked offline.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from rehearsal.engine import pulumi_cli
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.server import serve_clouds
from tests.support.cloud_programs import write_program
from tests.support.project import Project, Run, list_own_variables, make_command, run_command

_MAKE = 'make() { command make --no-print-directory --old-file=.venv/.ready "$@"; }'


class Deployment:
    """A machine from which a stack is deployed.

    state  what exists in the simulated clouds
    """

    def __init__(self, project: Project, environment: Mapping[str, str], state: StateStore) -> None:
        self.project = project
        self.state = state
        self._environment = environment

    def make(self, target: str, stack: str, *variables: str, **environment: str) -> Run:
        """Run a target of the Makefile without a terminal; `variables` are of the form `YES=1`."""
        command = make_command(target, stack, *variables)
        return run_command(command, self.project.folder, {**self._environment, **environment})

    def run(self, script: str, environment: Mapping[str, str]) -> Run:
        """Run a bash script, as a step of a pipeline does; its `make` does not change the Python environment either."""
        command = ["bash", "-e", "-o", "pipefail", "-c", f"{_MAKE}\n{script}"]
        return run_command(command, self.project.folder, {**self._environment, **environment})

    def settings(self, stack: str) -> str:
        return (self.project.folder / "stacks" / f"Pulumi.{stack}.yaml").read_text()


@contextmanager
def deployment(project: Project, folder: Path, programs: Mapping[str, str]) -> Iterator[Deployment]:
    """Serve the clouds while the context lasts.

    `programs` are scripts, keyed by name; `folder` is for all files outside of the project.
    """
    commands, backend = folder / "bin", folder / "backend"
    for path in (commands, backend):
        path.mkdir(parents=True)
    engine = pulumi_cli.engine()
    # A copy, because an engine looks for the language host beside itself, and warns of one elsewhere.
    shutil.copy(engine, commands / "pulumi")
    host = Path(pulumi_cli.__file__).with_name("language_host.py")
    write_program(commands / "pulumi-language-python", f'exec {sys.executable} -u {host} "$@"\n')
    for name, script in programs.items():
        write_program(commands / name, script)
    inherited = list_own_variables()
    with closing(StateStore(folder / "state.db")) as state, serve_clouds(state) as providers:
        environment = {
            **inherited,
            "PATH": os.pathsep.join([str(commands), inherited.get("PATH", os.defpath)]),
            "PULUMI_BACKEND_URL": backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "PULUMI_DEBUG_PROVIDERS": providers,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_HOME": str(folder / "pulumi-home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "GROUNDWORK_PYTHON": sys.executable,
            "GROUNDWORK_LANGUAGE_HOST": str(host),
            "GRPC_ENABLE_FORK_SUPPORT": "0",
        }
        yield Deployment(project, environment, state)
