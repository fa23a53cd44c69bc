"""`pulumi` in a rehearsal's environment.

Runs the engine on the rehearsal's copy of the project in the current folder: the rehearsed project with the rehearsal's
state, any other project with a separate state. It uses the rehearsal's environment even if the shell has lost it.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernel.rehearsals import REHEARSED_STACK
from kernel.yaml_document import DocumentError
from rehearsal import project
from rehearsal.console import UserError, info, warn
from rehearsal.engine import command_line
from rehearsal.engine.command_line import CommandLine
from rehearsal.engine.environment import RehearsalEnvironment
from rehearsal.engine.workspace import Workspace, find_project_file
from rehearsal.folder import RehearsalFolder
from rehearsal.process_environment import configure_process

# Makes programs send debug messages. `program_runner` repeats the name, since it imports nothing from this project.
DEBUG = "GROUNDWORK_DEBUG"


@dataclass(frozen=True)
class _Target:
    """The project that a command works on, and its default stack."""

    workspace: Workspace
    stack: str
    environment: Mapping[str, str]
    policy_pack: Path | None


def main() -> None:
    root, folder, engine, *arguments = sys.argv[1:]
    configure_process()
    try:
        code = run(Path(root), RehearsalFolder(Path(folder)), engine, arguments)
    except (UserError, DocumentError) as error:
        info(f"error: {error}")
        code = 1
    sys.exit(code)


def run(root: Path, folder: RehearsalFolder, engine: str, arguments: Sequence[str]) -> int:
    """Run the engine for the project in `root`, or another one; returns its exit code."""
    line = command_line.parse(arguments, Path.cwd())
    environment = _read_environment(folder)
    if line.refused:
        raise UserError(
            f"`pulumi {line.refused}` changes a real backend or the project's own files, and this is a rehearsal of "
            f"{environment.stack}. Run it in another shell."
        )
    _warn_of_lost(environment, folder)
    project_file = None if line.is_beside_projects else find_project_file(line.folder.resolve())
    variables = environment.correct(os.environ)
    if project_file is None:
        return _wait([engine, *arguments], variables, Path.cwd())
    target = _find_target(project_file, root, folder, variables)
    return _run_in_workspace(engine, line, target)


def _read_environment(folder: RehearsalFolder) -> RehearsalEnvironment:
    """The environment of the running rehearsal. Raises UserError if its clouds are no longer running."""
    stack = folder.path.name
    if not folder.is_locked() or not folder.environment.exists():
        raise UserError(
            f"The simulated clouds of {stack} no longer run, but this shell still has their environment. Start them "
            f'with `eval "$(make -s env STACK={stack})"` in the project\'s folder, or open a new shell.'
        )
    return RehearsalEnvironment.read(folder.environment)


def _warn_of_lost(environment: RehearsalEnvironment, folder: RehearsalFolder) -> None:
    lost = environment.find_lost(os.environ)
    if lost:
        warn(
            f"This shell is no longer in the rehearsal of {environment.stack}: {', '.join(lost)} changed. `pulumi` "
            f"still works on the rehearsal, other programs may not. Return to it with `. {folder.shell_script}`."
        )


def _find_target(project_file: Path, root: Path, folder: RehearsalFolder, variables: Mapping[str, str]) -> _Target:
    if project_file.parent == root:
        workspace = Workspace(project_file, folder.workspace)
        return _Target(workspace, variables[REHEARSED_STACK], variables, project.load(root).policy_pack)
    place = folder.other_project(project_file.parent)
    backend = place / "backend"
    backend.mkdir(parents=True, exist_ok=True)
    described = (project_file.parent / project.DESCRIPTION).is_file()
    policy_pack = project.load(project_file.parent).policy_pack if described else None
    environment = {**variables, "PULUMI_BACKEND_URL": backend.as_uri()}
    return _Target(Workspace(project_file, place / "workspace"), "", environment, policy_pack)


def _run_in_workspace(engine: str, line: CommandLine, target: _Target) -> int:
    workspace = target.workspace
    faults = workspace.refresh()
    stack = line.stack or target.environment.get("PULUMI_STACK", target.stack)
    if stack in faults:
        raise UserError(faults[stack])
    if not stack:
        for fault in faults.values():
            warn(fault)
    arguments = line.with_absolute_paths(workspace.adopt)
    if target.policy_pack and line.needs_policies():
        end = arguments.index("--") if "--" in arguments else len(arguments)
        arguments[end:end] = ["--policy-pack", str(target.policy_pack)]
    before = (workspace.patch(), workspace.secrets())
    debug = {DEBUG: "true"} if line.shows_debug_messages else {}
    code = _wait([engine, *arguments], {**target.environment, **debug}, workspace.folder)
    _offer_changes(workspace, before)
    return code


def _wait(command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> int:
    """Run the engine to its end; it receives Ctrl-C as well, and decides how to react."""
    received: list[int] = []
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    with subprocess.Popen(command, env=environment, cwd=cwd) as process:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: process.send_signal(number))
        code = process.wait()
    return code if code >= 0 else 128 - code


def _offer_changes(workspace: Workspace, before: tuple[str, list[str]]) -> None:
    """Print the changes of the rehearsal's settings as a patch that the user can apply."""
    patch, secrets = workspace.patch(), workspace.secrets()
    file = workspace.folder / "settings.patch"
    file.write_text(patch)
    if patch and patch != before[0]:
        where = "" if Path.cwd() == workspace.root else f"-C {shlex.quote(str(workspace.root))} "
        path = os.path.relpath(file) if not where else str(file)
        info(f"\nChanged in this rehearsal only. Keep it with `git {where}apply {shlex.quote(path)}`:\n\n{patch}")
    for key in sorted({*secrets} - {*before[1]}):
        info(
            f"\n{key} is encrypted with this rehearsal's own passphrase, so it cannot be used elsewhere. For the real "
            f"stack, run `pulumi config set --secret {key}` in another shell."
        )


if __name__ == "__main__":
    main()
