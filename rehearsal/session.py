"""One rehearsal: a stack, its folder, and the environment in which plain `pulumi` runs against simulated clouds."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from kernel.stack_file import format_content
from kernel.stack_names import describe_unknown_stack
from kernel.yaml_document import Keys
from rehearsal import project
from rehearsal.console import UserError
from rehearsal.engine import pulumi_cli
from rehearsal.kubernetes import cluster
from rehearsal.kubernetes.cluster import Cluster
from rehearsal.preparation import Preparation, preparing
from rehearsal.project import Project
from rehearsal.simulator.core.state_store import DamagedStateError, StateStore
from rehearsal.simulator.server import serve_clouds
from rehearsal.toolchain import CACHE, ROOT

# Variables that would let a command reach a real cloud or a real backend; a rehearsal runs without them.
_CREDENTIALS = ("AWS_", "ARM_", "AZURE_", "PULUMI_", "KUBECONFIG", "GOOGLE_")

# Where an engine that several clones share finds this clone's language host.
_PYTHON, _LANGUAGE_HOST = "GROUNDWORK_PYTHON", "GROUNDWORK_LANGUAGE_HOST"

# With it, every run compiles the clouds' SDKs again, which takes five seconds.
_SLOW = "PYTHONDONTWRITEBYTECODE"

# Commands that read a stack's settings get the rehearsal's copy: what the engine writes into it, the salt of its
# encryption, must not end up in the project's file.
_WITH_SETTINGS = frozenset({"preview", "pre", "up", "update", "refresh", "destroy", "down", "dn", "import", "watch"})


@dataclass(frozen=True)
class RunningRehearsal:
    """A rehearsal while its clouds run.

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

    purpose  tells apart several rehearsals of a stack, each with a folder of its own
    """

    stack: str
    purpose: str = ""
    project: Project = field(default_factory=lambda: project.current())

    def __post_init__(self) -> None:
        if self.stack not in self.project.stack_names:
            file = self.project.shorten(self.project.stack_file(self.stack))
            raise UserError(describe_unknown_stack(self.stack, file, self.project.stack_names))

    @property
    def folder(self) -> Path:
        return self.project.rehearsals / (f"{self.stack}-{self.purpose}" if self.purpose else self.stack)

    @property
    def state_file(self) -> Path:
        return self.folder / "state.db"

    @property
    def environment_file(self) -> Path:
        """What a shell has to export to use the clouds that run in the background; exists while they run."""
        return self.folder / "environment"

    @property
    def backend(self) -> Path:
        """The folder in which the engine keeps its state."""
        return self.folder / "backend"

    @property
    def settings_file(self) -> Path:
        """The rehearsal's copy of the stack's settings."""
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def is_new(self) -> bool:
        """Whether no cluster has been started yet, so that there is nothing in it."""
        return not self._cluster_folder.exists()

    @property
    def _cluster_folder(self) -> Path:
        return self.folder / "cluster"

    @contextmanager
    def running(
        self, port: int = 0, extra_charts: Collection[str] = (), preparation: Preparation | None = None
    ) -> Iterator[RunningRehearsal]:
        """Run simulated clouds and a cluster for as long as the context lasts.

        `extra_charts` are charts beside those of the project whose controllers may run; a `preparation` that has begun
        is continued. Raises UserError when the rehearsal is already running or cannot run.
        """
        with ExitStack() as stack:
            preparation = preparation or stack.enter_context(preparing(extra_charts))
            engine, reason = preparation.engine(), preparation.control_plane()
            controllers = preparation.controllers()
            state = stack.enter_context(self._open_state())
            simulated = nullcontext() if reason else cluster.run_cluster(self._cluster_folder, state, controllers)
            simulated_cluster = stack.enter_context(simulated)
            of_cluster = (simulated_cluster.provider, simulated_cluster.drain) if simulated_cluster else ()
            environment = self._environment(engine, stack.enter_context(serve_clouds(state, port, *of_cluster)))
            if simulated_cluster:
                environment["KUBECONFIG"] = str(simulated_cluster.plane.kubeconfig)
            self._prepare_backend(environment)
            yield RunningRehearsal(environment, simulated_cluster, reason)

    @contextmanager
    def previewing(self, preparation: Preparation, port: int = 0) -> Iterator[Mapping[str, str]]:
        """Run the simulated clouds without a cluster: enough for the first preview, which finds nothing in one.

        Gives the environment for the engine. Kubernetes objects are checked offline.
        """
        engine = preparation.engine()
        with self._open_state() as state, serve_clouds(state, port) as providers:
            environment = self._environment(engine, providers)
            self._prepare_backend(environment)
            yield environment

    @contextmanager
    def _open_state(self) -> Iterator[StateStore]:
        """The simulated clouds' state, for this process alone."""
        try:
            with self._locked(), closing(StateStore(self.state_file)) as state:
                self.environment_file.unlink(missing_ok=True)  # left by a server that was killed: its ports are gone
                yield state
        except DamagedStateError as error:
            raise UserError(f"{error} {self.reset_hint}") from None

    @property
    def reset_hint(self) -> str:
        """How to forget a rehearsal that cannot be used."""
        return (
            "It holds nothing real, only what was simulated: forget it with "
            f"`make rehearse-reset STACK={self.stack}`, then rehearse again."
        )

    def holder_pid(self) -> int:
        """The process that holds, or last held, the rehearsal's lock."""
        return int(self._holder_file.read_text())

    def _describe_holder(self) -> str:
        """The holder's process ID; a holder that has just taken the lock has not written it yet."""
        return self._holder_file.read_text() if self._holder_file.exists() else "unknown"

    @property
    def _holder_file(self) -> Path:
        return self.folder / "lock-holder"

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

    def refresh_settings(self) -> None:
        """Bring the copy of the stack's settings up to date, keeping what the engine wrote into it.

        Encrypted values become placeholders: only the real stack's secrets provider can read them. Raises UserError
        when the stack's file cannot be read.
        """
        settings = self.project.read_stack_file(self.stack).without_encryption(_name_secret)
        copy = yaml.safe_load(self.settings_file.read_text()) if self.settings_file.exists() else {}
        kept = {key: value for key, value in (copy or {}).items() if key == "encryptionsalt"}
        self.settings_file.write_text(format_content({**settings, **kept}))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the rehearsal's lock; it is released with the process, however that ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock", blocking=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            raise UserError(
                f"The rehearsal of {self.stack} is already running (process {self._describe_holder()}). "
                f"Wait for it, leave its shell, or end it with `make stop STACK={self.stack}`."
            ) from None
        try:
            self._holder_file.write_text(str(os.getpid()))
            yield
        finally:
            lock.release()

    def _environment(self, engine: Path, providers: str) -> dict[str, str]:
        passphrase = self.folder / "passphrase"
        if not passphrase.exists():
            passphrase.write_text(secrets.token_urlsafe(32))
            passphrase.chmod(stat.S_IRUSR | stat.S_IWUSR)
        self.backend.mkdir(exist_ok=True)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith((*_CREDENTIALS, _SLOW))}
        return {
            **inherited,
            "PATH": os.pathsep.join([*self._commands(engine), inherited.get("PATH", os.defpath)]),
            _PYTHON: sys.executable,
            _LANGUAGE_HOST: str(Path(pulumi_cli.__file__).with_name("language_host.py")),
            "PULUMI_BACKEND_URL": self.backend.as_uri(),
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
        """Folders for PATH: a `pulumi` that knows this rehearsal, the engine, and a language host if there is none."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        arguments = shlex.join([str(self.project.root), self.stack, self.purpose, str(engine)])
        command = f"{shlex.quote(sys.executable)} -m rehearsal.engine.launcher {arguments}"
        _script(folder / "pulumi", f'PYTHONPATH={shlex.quote(str(ROOT))} exec {command} "$@"')
        if shutil.which("pulumi-language-python") is None:
            # An engine of ours looks beside itself first, and would warn of a host that it finds elsewhere on PATH.
            # Other clones use that engine too, so the environment says whose Python and host it is to run.
            home = engine.parent if engine.is_relative_to(CACHE) else folder
            _script(home / "pulumi-language-python", f'exec "${_PYTHON}" -u "${_LANGUAGE_HOST}" "$@"')
        return [str(folder), str(engine.parent)]

    def _prepare_backend(self, environment: Mapping[str, str]) -> None:
        """Create the stack in the rehearsal's own backend, and clear the lock of a run that was killed."""
        if any((self.backend / ".pulumi" / "locks").rglob("*.json")):
            # Nobody else can hold it: this process holds the rehearsal's lock.
            self.pulumi(["cancel", "--yes"], environment, quiet=True)
        # Created in the rehearsal's folder, because that is where the engine then writes the salt of its encryption.
        description = yaml.safe_load((self.project.root / "Pulumi.yaml").read_text())
        description.pop("stackConfigDir", None)
        (self.folder / "Pulumi.yaml").write_text(yaml.safe_dump(description))
        creation = ["--cwd", str(self.folder), "stack", "select", "--create", self.stack]
        selected = self.pulumi(creation, environment, quiet=True)
        if selected.returncode != 0:
            raise UserError(
                f"The rehearsal's state in {self.backend} cannot be used:\n{selected.stderr.strip()}\n{self.reset_hint}"
            )

    def pulumi(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, quiet: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the engine's command line in the project's folder."""
        self.refresh_settings()
        return subprocess.run(
            # The engine itself: the environment's `pulumi` starts Python first, which takes half a second.
            [str(pulumi_cli.engine()), *engine_arguments(self, arguments)],
            cwd=self.project.root,
            env=dict(environment),
            capture_output=quiet,
            text=True,
            check=False,
        )


def engine_arguments(rehearsal: Rehearsal, arguments: Sequence[str]) -> list[str]:
    """The engine's arguments for the arguments that a person typed."""
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    has_file = any(argument.startswith("--config-file") for argument in arguments)
    if command in _WITH_SETTINGS and not has_file:
        return [*arguments, "--config-file", str(rehearsal.settings_file)]
    return list(arguments)


def _name_secret(keys: Keys) -> str:
    return f"placeholder for {'.'.join(keys)}"


def _script(path: Path, line: str) -> None:
    """Write a script unless it is there already; it is replaced as a whole, because others may be running it."""
    text = f"#!/bin/sh\n{line}\n"
    if path.exists() and path.read_text() == text:
        return
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.chmod(0o755)
    unfinished.rename(path)
