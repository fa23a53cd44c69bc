"""One rehearsal: a stack, its folder, and the environment in which plain `pulumi` runs against simulated clouds."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal.console import UserError
from rehearsal.engine import pulumi_cli
from rehearsal.helm import charts, cli
from rehearsal.kubernetes import cluster
from rehearsal.kubernetes.cluster import Cluster
from rehearsal.kubernetes.control_plane import programs
from rehearsal.kubernetes.controllers import manager
from rehearsal.simulator.core.state_store import DamagedStateError, StateStore
from rehearsal.simulator.server import serve_clouds
from rehearsal.toolchain import CACHE, ROOT

STACKS = ROOT / "stacks"
POLICIES = ROOT / "policies"

# What would let a command reach a real cloud or a real backend. A rehearsal runs without.
_CREDENTIALS = ("AWS_", "ARM_", "AZURE_", "PULUMI_", "KUBECONFIG", "GOOGLE_")

# Where it is set, every run compiles the clouds' SDKs anew: five seconds.
_SLOW = "PYTHONDONTWRITEBYTECODE"

# Commands that read a stack's settings: they get the rehearsal's copy, so that what the engine writes into it (the salt
# of its encryption) does not land in the project's file.
_WITH_SETTINGS = frozenset({"preview", "pre", "up", "update", "refresh", "destroy", "down", "dn", "import", "watch"})


def prepare(extra_charts: Collection[str] = ()) -> tuple[Path, Mapping[str, Path], str]:
    """The engine, the programs of controllers, and why there can be no control plane, if so.

    The controllers are those of the project's charts and of `extra_charts`. Whatever has to be built is built here,
    with its progress shown, rather than in the middle of an update.
    """
    engine = pulumi_cli.engine()
    cli.is_available()
    missing = programs.prepare()
    return engine, {} if missing else manager.ensure_programs([*charts.pinned_charts(), *extra_charts]), missing


def stack_names() -> list[str]:
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in STACKS.glob("Pulumi.*.yaml"))


@dataclass(frozen=True)
class RunningRehearsal:
    """A rehearsal that runs.

    environment         what the engine, `kubectl` and `helm` need to work on it
    cluster             None without a control plane: Kubernetes objects are then checked offline
    unavailable_reason  why there is no control plane; empty if there is one
    """

    environment: Mapping[str, str]
    cluster: Cluster | None
    unavailable_reason: str


@dataclass(frozen=True)
class Rehearsal:
    """The rehearsal of one stack. Its folder may be removed at any time: it holds nothing real.

    purpose  what it is for beside the stack itself; each has a folder of its own
    """

    stack: str
    purpose: str = ""

    def __post_init__(self) -> None:
        if self.stack not in stack_names():
            known = ", ".join(stack_names())
            raise UserError(
                f"There is no stack '{self.stack}': stacks/Pulumi.{self.stack}.yaml does not exist. "
                f"Stacks are {known}; name one with STACK=..."
            )

    @property
    def folder(self) -> Path:
        return CACHE / "rehearsals" / (f"{self.stack}-{self.purpose}" if self.purpose else self.stack)

    @property
    def state_file(self) -> Path:
        return self.folder / "state.db"

    @property
    def environment_file(self) -> Path:
        """What a shell has to export to use the clouds that serve in the background; there while they do."""
        return self.folder / "environment"

    @property
    def settings_file(self) -> Path:
        """The rehearsal's copy of the stack's settings."""
        return self.folder / f"Pulumi.{self.stack}.yaml"

    @contextmanager
    def running(self, port: int = 0, extra_charts: Collection[str] = ()) -> Iterator[RunningRehearsal]:
        """Simulated clouds and a cluster for as long as the context lasts; `extra_charts` beside those of the project.

        Raises UserError when the rehearsal is already running, or cannot.
        """
        engine, programs, missing = prepare(extra_charts)
        try:
            with self._locked(), closing(StateStore(self.state_file)) as state:
                simulated = nullcontext() if missing else cluster.run_cluster(self.folder / "cluster", state, programs)
                with simulated as stand, serve_clouds(state, port, stand.provider if stand else None) as providers:
                    self.environment_file.unlink(missing_ok=True)  # of a server that was killed: its ports are gone
                    environment = self._environment(engine, providers)
                    if stand:
                        environment["KUBECONFIG"] = str(stand.plane.kubeconfig)
                    self._ready_backend(environment)
                    yield RunningRehearsal(environment, stand, missing)
        except DamagedStateError as error:
            raise UserError(f"{error} {self._reset_hint}") from None

    @property
    def _reset_hint(self) -> str:
        return (
            "It holds nothing real, only what was simulated: forget it with "
            f"`make rehearse-reset STACK={self.stack}`, then rehearse again."
        )

    def holder_pid(self) -> int:
        """The process that holds, or last held, the rehearsal's lock."""
        return int((self.folder / "lock").read_text())

    def is_running(self) -> bool:
        try:
            with self._locked():
                return False
        except UserError:
            return True

    def remove(self) -> None:
        if self.folder.exists():
            with self._locked():
                shutil.rmtree(self.folder)

    def settings(self) -> dict[str, Any]:
        """What the stack's file says. Raises UserError when it is no YAML mapping."""
        source = STACKS / self.settings_file.name
        try:
            settings = yaml.safe_load(source.read_text()) or {}
        except yaml.YAMLError as error:
            raise UserError(f"stacks/{source.name} is not YAML: {error}") from None
        if not isinstance(settings, dict):
            raise UserError(f"stacks/{source.name} has no settings: it must be a mapping with `config:` at the top.")
        return settings

    def refresh_settings(self) -> None:
        """Bring the copy of the stack's settings up to date, keeping what the engine wrote into it.

        Raises UserError when the stack's file is no YAML mapping.
        """
        settings = self.settings()
        copy = yaml.safe_load(self.settings_file.read_text()) if self.settings_file.exists() else {}
        kept = {key: value for key, value in (copy or {}).items() if key == "encryptionsalt"}
        self.settings_file.write_text(yaml.safe_dump({**settings, **kept}))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the rehearsal's lock; it goes with the process, however that ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise UserError(
                    f"The rehearsal of {self.stack} is already running (process {file.read().strip()}). "
                    f"Wait for it, leave its shell, or end it with `make stop STACK={self.stack}`."
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def _environment(self, engine: Path, providers: str) -> dict[str, str]:
        passphrase = self.folder / "passphrase"
        if not passphrase.exists():
            passphrase.write_text(secrets.token_urlsafe(32))
            passphrase.chmod(stat.S_IRUSR | stat.S_IWUSR)
        backend = self.folder / "backend"
        backend.mkdir(exist_ok=True)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith((*_CREDENTIALS, _SLOW))}
        return {
            **inherited,
            "PATH": os.pathsep.join([*self._commands(engine), inherited.get("PATH", os.defpath)]),
            "PULUMI_BACKEND_URL": backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_DEBUG_COMMANDS": "true",  # makes --event-log a known flag
            "PULUMI_DEBUG_PROVIDERS": providers,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_HOME": str(CACHE / "pulumi-home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_STACK": self.stack,
            # gRPC warns on standard error when a process that uses it forks.
            "GRPC_ENABLE_FORK_SUPPORT": "0",
        }

    def _commands(self, engine: Path) -> list[str]:
        """Folders for PATH: `pulumi` that knows this rehearsal, the engine, and a language host where none is."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        module = f"{sys.executable} -m rehearsal.engine.launcher '{self.stack}' '{self.purpose}' {engine}"
        _script(folder / "pulumi", f'PYTHONPATH="{ROOT}" exec {module} "$@"')
        if shutil.which("pulumi-language-python") is None:
            # Beside our own engine, which looks there first; elsewhere on PATH it would warn of it.
            home = engine.parent if engine.is_relative_to(CACHE) else folder
            host = Path(pulumi_cli.__file__).with_name("language_host.py")
            _script(home / "pulumi-language-python", f'exec {sys.executable} -u {host} "$@"')
        return [str(folder), str(engine.parent)]

    def _ready_backend(self, environment: Mapping[str, str]) -> None:
        """Make the stack in the rehearsal's own backend, and clear the lock of a run that was killed."""
        if any((self.folder / "backend" / ".pulumi" / "locks").rglob("*.json")):
            # Nobody else can hold it: this process holds the rehearsal's lock.
            self.pulumi(["cancel", "--yes"], environment, quiet=True)
        # Made from the rehearsal's folder, for that is where the engine then writes the salt of its encryption.
        (self.folder / "Pulumi.yaml").write_text(
            (ROOT / "Pulumi.yaml").read_text().replace("stackConfigDir: stacks", "")
        )
        creation = ["--cwd", str(self.folder), "stack", "select", "--create", self.stack]
        selected = self.pulumi(creation, environment, quiet=True)
        if selected.returncode != 0:
            raise UserError(
                f"The rehearsal's state in {self.folder / 'backend'} cannot be used:\n{selected.stderr.strip()}\n"
                f"{self._reset_hint}"
            )

    def pulumi(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, quiet: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the engine's command line in the project's folder."""
        self.refresh_settings()
        return subprocess.run(
            # Itself: `pulumi` of the environment is Python first, which takes half a second to find what is known here.
            [str(pulumi_cli.engine()), *engine_arguments(self, arguments)],
            cwd=ROOT,
            env=dict(environment),
            capture_output=quiet,
            text=True,
            check=False,
        )


def engine_arguments(rehearsal: Rehearsal, arguments: Sequence[str]) -> list[str]:
    """The arguments with which the engine is run for what a person typed."""
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    given = any(argument.startswith("--config-file") for argument in arguments)
    if command in _WITH_SETTINGS and not given:
        return [*arguments, "--config-file", str(rehearsal.settings_file)]
    return list(arguments)


def _script(path: Path, line: str) -> None:
    """Make the script, or make it anew where it says something else; never half of it, for others may run it now."""
    text = f"#!/bin/sh\n{line}\n"
    if path.exists() and path.read_text() == text:
        return
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.chmod(0o755)
    unfinished.rename(path)
