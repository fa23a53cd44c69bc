"""A rehearsal: a stack, and the environment in which plain `pulumi` runs against simulated clouds."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kernel.engine_events import LOG_VARIABLES
from kernel.rehearsals import REHEARSED_STACK
from kernel.stack_file import StackFile
from kernel.stack_names import describe_unknown_stack
from kernel.yaml_document import DocumentError
from rehearsal import project, toolchain
from rehearsal.atomic_file import link, write_if_changed, write_script
from rehearsal.console import UserError
from rehearsal.engine import pulumi_cli
from rehearsal.engine.environment import RehearsalEnvironment
from rehearsal.engine.saving import CHANGING_COMMANDS, SAVE_AT_END, is_state_lost
from rehearsal.engine.workspace import Workspace
from rehearsal.folder import LockedError, RehearsalFolder
from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.helm import charts, cli
from rehearsal.interrupts import termination_as_interrupt
from rehearsal.kubernetes import cluster
from rehearsal.kubernetes.cluster import Cluster
from rehearsal.kubernetes.control_plane import programs
from rehearsal.preparation import Preparation, preparing
from rehearsal.project import Project
from rehearsal.scene import USUAL_SCENE, Scene
from rehearsal.shell import ShellStart, prepare_shell
from rehearsal.simulator.clouds import describe_service_access
from rehearsal.simulator.core.canaries import Canaries
from rehearsal.simulator.core.circumstances import Circumstances
from rehearsal.simulator.core.node_drain import NO_CLUSTER
from rehearsal.simulator.core.state_store import DamagedStateError, StateStore
from rehearsal.simulator.server import serve_clouds
from rehearsal.toolchain import CACHE, REHEARSAL_MARK, ROOT, search_path
from rehearsal.wiring.order import find_early_uses

# Variables through which an engine that several clones share finds this clone's language host.
_PYTHON, _LANGUAGE_HOST = "GROUNDWORK_PYTHON", "GROUNDWORK_LANGUAGE_HOST"


@dataclass(frozen=True)
class RunningRehearsal:
    """A rehearsal while its clouds run.

    environment         the variables with which the engine, `kubectl` and `helm` work on it
    cluster             None without a control plane: Kubernetes objects are then checked offline
    unavailable_reason  why there is no control plane; empty if there is one
    repository          that the cluster deploys from; None if the stack names no repository, or there is no cluster
    """

    environment: Mapping[str, str]
    cluster: Cluster | None
    unavailable_reason: str
    repository: GitOpsRepository | None = None


@dataclass(frozen=True)
class Rehearsal:
    """The rehearsal of one stack. Its folder may be removed at any time: it contains nothing real.

    purpose   distinguishes several rehearsals of a stack, each of which has its own folder
    scene     its circumstances: date, caller, account
    canaries  the secrets that its clouds have generated, as far as this process has seen them
    """

    stack: str
    purpose: str = ""
    project: Project = field(default_factory=lambda: project.current())
    scene: Scene = USUAL_SCENE
    canaries: Canaries = field(default_factory=Canaries, compare=False)

    def __post_init__(self) -> None:
        if self.stack not in self.project.stack_names:
            file = self.project.shorten(self.project.stack_file(self.stack))
            raise UserError(describe_unknown_stack(self.stack, file, self.project.stack_names))

    @property
    def files(self) -> RehearsalFolder:
        return RehearsalFolder(self.folder)

    @property
    def folder(self) -> Path:
        return self.project.rehearsals / (f"{self.stack}-{self.purpose}" if self.purpose else self.stack)

    @property
    def backend(self) -> Path:
        """The folder of the engine's state."""
        return self.files.backend

    @property
    def workspace(self) -> Workspace:
        """The project as the engine sees it."""
        return Workspace(self.project.root / "Pulumi.yaml", self.files.workspace)

    def read_resources(self) -> Sequence[Mapping[str, Any]]:
        """The resources in the engine's state; empty if the stack was never deployed, or was destroyed.

        Read from the engine's file, https://www.pulumi.com/docs/iac/concepts/state-and-backends/, since an engine needs
        a second to start. Raises UserError if the file cannot be read.
        """
        path = self.backend / ".pulumi" / "stacks" / self.project.name / f"{self.stack}.json"
        if not path.exists():
            return []
        try:
            deployment = json.loads(path.read_text())["checkpoint"].get("latest")
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"The rehearsal's state {path} cannot be read: {error!r}. {self.reset_hint}") from None
        resources: Sequence[Mapping[str, Any]] | None = (deployment or {}).get("resources")
        return resources or []

    def is_new(self) -> bool:
        """Whether no cluster was ever started, so that it is empty."""
        return not self.files.cluster.exists()

    def is_running(self) -> bool:
        return self.files.is_locked()

    def serves_in_background(self) -> bool:
        return self.files.background.exists() and self.is_running()

    @contextmanager
    def running(self, port: int = 0, preparation: Preparation | None = None) -> Iterator[RunningRehearsal]:
        """Run simulated clouds and a cluster within the context.

        A `preparation` that was started is continued. Raises UserError if the rehearsal is already running or cannot
        run.
        """
        with ExitStack() as stack:
            preparation = preparation or stack.enter_context(preparing())
            # Without charts there are no controllers and no custom kinds, and an update would wait for them in vain.
            engine, reason = preparation.engine(), preparation.control_plane() or charts.explain_none_available()
            controllers = preparation.controllers()
            state = stack.enter_context(self.open_state())
            simulated = nullcontext() if reason else self._run_cluster(state, controllers)
            simulated_cluster = stack.enter_context(simulated)
            provider, drain = (
                (simulated_cluster.provider, simulated_cluster.drain) if simulated_cluster else (None, NO_CLUSTER)
            )
            circumstances = self.resolve_circumstances()
            served = serve_clouds(
                state, port, provider, drain, circumstances, canaries=self.canaries, check_use=find_early_uses
            )
            providers = stack.enter_context(served)
            kubeconfig = str(simulated_cluster.plane.kubeconfig) if simulated_cluster else ""
            variables = stack.enter_context(self._environment(engine, providers, kubeconfig))
            repository = self._serve_repository(simulated_cluster) if simulated_cluster else None
            yield RunningRehearsal(variables, simulated_cluster, reason, repository)

    @contextmanager
    def previewing(self, engine: Path, port: int = 0, *, renders_charts: bool = True) -> Iterator[Mapping[str, str]]:
        """Run the simulated clouds without a cluster, which the first preview does not need since it would be empty.

        Gives the environment for the engine. Kubernetes objects are checked offline; without `renders_charts`, only the
        values of releases are checked.
        """
        with (
            self.open_state() as state,
            serve_clouds(
                state,
                port,
                circumstances=self.resolve_circumstances(),
                renders_charts=renders_charts,
                canaries=self.canaries,
            ) as providers,
            self._environment(engine, providers, "") as variables,
        ):
            yield variables

    def remove(self) -> None:
        """Delete the rehearsal. Raises UserError if it is running."""
        try:
            self.files.remove()
        except LockedError as error:
            raise self._already_running(error) from None

    def refresh_settings(self) -> None:
        """Update the engine's copy of the settings. Raises UserError if the stack's file cannot be read."""
        self.workspace.refresh()
        try:
            self.workspace.stack_copy(self.stack).changes()
        except DocumentError as error:
            raise UserError(str(error)) from None

    def settings_in_force(self) -> StackFile:
        """The stack's file, with the changes made in the rehearsal. Raises UserError with everything wrong in it."""
        if not self.files.workspace.exists():
            return self.project.read_stack_file(self.stack)
        try:
            return self.workspace.stack_copy(self.stack).settings_in_force()
        except DocumentError as error:
            raise UserError(str(error)) from None

    def resolve_circumstances(self) -> Circumstances:
        """The circumstances of the rehearsal. Raises UserError if the settings cannot be read."""
        return self.scene.resolve(self.project, self.settings_in_force().config)

    def find_inaccessible_services(self) -> list[str]:
        """Resources in the clouds that the caller cannot reach, and why, one line each."""
        caller = self.resolve_circumstances().caller
        with closing(StateStore(self.files.state)) as state:
            refused = [access for access in describe_service_access(state, caller) if access.refusal]
        return [f"{access.service:15} {access.resource}: {access.refusal}" for access in refused]

    def placeholders(self) -> list[str]:
        """Settings that are encrypted in the stack's file, for which the rehearsal has placeholders."""
        return self.workspace.stack_copy(self.stack).placeholders()

    def changed_settings(self) -> list[str]:
        """Settings that were changed in the rehearsal and not in the stack's file."""
        changes = self.workspace.stack_copy(self.stack).changes()
        return sorted({*changes.changed, *changes.secrets})

    def pulumi(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, quiet: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the engine's command line on the rehearsal; paths in the arguments have to be absolute."""
        self.refresh_settings()
        changes = arguments[0] in CHANGING_COMMANDS
        if changes:
            self.files.unsaved.touch()
        # The engine itself: the environment's `pulumi` starts Python first.
        command = [str(pulumi_cli.engine()), *arguments]
        output = subprocess.PIPE if quiet else None
        saving = SAVE_AT_END if changes else {}
        with (
            subprocess.Popen(
                command,
                cwd=self.workspace.folder,
                env={**environment, **saving},
                stdout=output,
                stderr=output,
                text=True,
            ) as process,
            termination_as_interrupt(process),
        ):
            stdout, stderr = process.communicate()
        if changes and process.returncode >= 0:  # otherwise it was killed
            self.files.unsaved.unlink()
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

    def _run_cluster(self, state: StateStore, controllers: Mapping[str, Path]) -> AbstractContextManager[Cluster]:
        return cluster.run_cluster(self.files.cluster, state, controllers, self.project.given_secrets)

    def _serve_repository(self, cluster: Cluster) -> GitOpsRepository | None:
        """Serve the project's GitOps folder under the URL in the stack's settings."""
        url = self._find_repository_url()
        # Names under .invalid never resolve (RFC 6761): one of them rehearses a repository that is not reachable.
        if not url or self.project.gitops is None or (urlsplit(url).hostname or "").endswith(".invalid"):
            return None
        repository = GitOpsRepository.create(self.files.gitops, self.project.gitops)
        cluster.git_server.add_repository(url, repository.folder)
        return repository

    def _find_repository_url(self) -> str:
        section, _, name = self.project.gitops_url.partition(".")
        content = self.settings_in_force().config.get(f"{self.project.name}:{section}", {})
        return str(content.get(name, "")) if isinstance(content, Mapping) else ""

    def prepare_shell(self, program: str) -> ShellStart:
        """Prepare a user's shell on the running rehearsal."""
        environment = RehearsalEnvironment.read(self.files.environment)
        script, folder = self.files.shell_script, self.files.path / "shell"
        return prepare_shell(program, environment, script, folder, self.project.root, os.environ)

    @contextmanager
    def open_state(self) -> Iterator[StateStore]:
        """The state of the simulated clouds, locked for this process."""
        try:
            with self.files.locked(), closing(StateStore(self.files.state)) as state:
                for file in (self.files.environment, self.files.background):  # left by a process that was killed
                    file.unlink(missing_ok=True)
                yield state
        except LockedError as error:
            raise self._already_running(error) from None
        except DamagedStateError as error:
            raise UserError(f"{error} {self.reset_hint}") from None

    def _already_running(self, error: LockedError) -> UserError:
        ending = f"end it with `make stop STACK={self.stack}`" if self.files.background.exists() else "leave its shell"
        return UserError(
            f"The rehearsal of {self.stack} is already running (process {error}). Wait for it, or {ending}."
        )

    @property
    def reset_hint(self) -> str:
        """How to delete a rehearsal that cannot be used."""
        return (
            "It contains nothing real, only simulated resources: delete it with "
            f"`make rehearse-reset STACK={self.stack}`, then rehearse again."
        )

    @contextmanager
    def _environment(self, engine: Path, providers: str, kubeconfig: str) -> Iterator[dict[str, str]]:
        """The environment for the engine, which shells and their programs find within the context."""
        environment = self._describe_environment(engine, providers, kubeconfig)
        variables = environment.extend(os.environ)
        self._prepare_backend(variables)
        write_if_changed(self.files.shell_script, environment.sh_script() + "\n")
        environment.write(self.files.environment)
        try:
            yield variables
        finally:
            self.files.environment.unlink(missing_ok=True)

    def _describe_environment(self, engine: Path, providers: str, kubeconfig: str) -> RehearsalEnvironment:
        files = self.files
        if not files.passphrase.exists():
            files.passphrase.write_text(secrets.token_urlsafe(32))
            files.passphrase.chmod(stat.S_IRUSR | stat.S_IWUSR)
        files.backend.mkdir(exist_ok=True)
        nothing = files.path / "no-credentials"
        variables = {
            REHEARSED_STACK: self.stack,
            _PYTHON: sys.executable,
            _LANGUAGE_HOST: str(Path(pulumi_cli.__file__).with_name("language_host.py")),
            # SDKs and tools of the clouds find no credentials, neither in files nor from a metadata service.
            "AWS_CONFIG_FILE": str(nothing / "aws-config"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": str(nothing / "aws-credentials"),
            "AZURE_CONFIG_DIR": str(nothing / "azure"),
            "CLOUDSDK_CONFIG": str(nothing / "google"),
            # gRPC warns on standard error when a process that uses it forks.
            "GRPC_ENABLE_FORK_SUPPORT": "0",
            "KUBECONFIG": kubeconfig or str(nothing / "kubeconfig"),
            "PULUMI_BACKEND_URL": files.backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(files.passphrase),
            **LOG_VARIABLES,
            "PULUMI_DEBUG_PROVIDERS": providers,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_HOME": str(CACHE / "pulumi-home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        return RehearsalEnvironment(self.stack, variables, self._commands(engine))

    def _commands(self, engine: Path) -> list[str]:
        """Folders for PATH: with a `pulumi`, Helm, kubectl, and a language host if none is installed."""
        folder = self.files.programs
        folder.mkdir(exist_ok=True)
        (folder / REHEARSAL_MARK).touch()
        # Isolated from the user's Python settings; sets none for the programs that the engine starts, either.
        start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from rehearsal.engine.launcher import main; main()"
        command = [sys.executable, "-I", "-c", start, str(self.project.root), str(self.folder), str(engine)]
        write_script(folder / "pulumi", f'exec {shlex.join(command)} "$@"')
        if shutil.which("pulumi-language-python", path=search_path(os.environ)) is None:
            # An engine in the cache looks in its own folder first, and would warn about a host elsewhere on PATH. Other
            # clones share that engine, so environment variables name the Python and the host to run.
            home = engine.parent if engine.is_relative_to(CACHE) else folder
            write_script(home / "pulumi-language-python", f'exec "${_PYTHON}" -u "${_LANGUAGE_HOST}" "$@"')
        for tool in (cli.TOOL, programs.KUBECTL):
            if program := toolchain.installed(tool):
                link(folder / tool.command, program)
        return [str(folder), str(engine.parent)]

    def _prepare_backend(self, environment: Mapping[str, str]) -> None:
        """Create and select the stack in the rehearsal's own backend, and clear the lock of a run that was killed.

        Raises UserError if the backend cannot be used.
        """
        if is_state_lost(self.files.unsaved, self.backend, self.stack):
            raise UserError(
                f"The engine was killed before it saved what it had created for {self.stack}. {self.reset_hint}"
            )
        if any((self.files.backend / ".pulumi" / "locks").rglob("*.json")):
            # Nobody else can hold it: this process holds the rehearsal's lock.
            self.pulumi(["cancel", "--yes", "--stack", self.stack], environment, quiet=True)
        selected = self.pulumi(["stack", "select", "--create", self.stack], environment, quiet=True)
        if selected.returncode != 0:
            raise UserError(
                f"The rehearsal's state in {self.files.backend} cannot be used:\n{selected.stderr.strip()}\n"
                f"{self.reset_hint}"
            )
