"""The state of a git reference that the working tree is compared with, brought up on simulated clouds.

Only against a deployed stack does the engine report what a change replaces, and the clouds what they refuse. The base's
program runs in this environment, on the simulated clouds of the working tree: a change of these is not a change of the
stack. The state is stored by commit, so that the next report starts with it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import rehearsal as rehearsal_package
from kernel.engine_events import list_program_errors, list_refusals, read_events
from rehearsal import project
from rehearsal.console import UserError, info
from rehearsal.session import Rehearsal

_PURPOSE = "base"
_KEPT = ("backend", "passphrase", "state.db")
# Increment it when the format of a stored base changes: the base is then created again.
_VERSION = 1


class NotComparableError(Exception):
    """There is nothing to compare with; the message is a sentence for the report."""


@dataclass(frozen=True)
class Base:
    """
    reference  as the user wrote it
    commit     its full hash
    """

    reference: str
    commit: str


def find_base(root: Path, reference: str) -> Base:
    """The commit of a reference. Raises UserError if there is none."""
    if reference.startswith("-"):
        raise UserError(f"BASE='{reference}' is not a git reference: it starts with a dash. Name a branch or a commit.")
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
    if found.returncode != 0:
        raise UserError(
            f"BASE='{reference}' is not a commit of this repository. Name a branch, a tag or a commit that is here: "
            f"`git fetch origin {reference}` fetches one (in a workflow, `fetch-depth: 0` of actions/checkout)."
        )
    return Base(reference, found.stdout.decode().strip())


def bring_up(base: Base, rehearsal: Rehearsal, engine: Path) -> None:
    """Put a rehearsal into the state of the base, as if the base had just been deployed in it.

    Raises NotComparableError if the base has no such stack, or cannot be brought up.
    """
    folder = rehearsal.project.root / ".groundwork" / "reports" / rehearsal.stack / base.commit
    marker, mark = folder / "complete.json", json.dumps({"version": _VERSION, "simulator": _find_simulator_digest()})
    if not marker.exists() or marker.read_text() != mark:
        shutil.rmtree(folder, ignore_errors=True)
        info(f"Bringing up {rehearsal.stack} as it is at {base.reference}, on simulated clouds.")
        _deploy(base, rehearsal, engine, folder)
        marker.write_text(mark)
    rehearsal.remove()
    rehearsal.folder.mkdir(mode=0o700, parents=True)
    for name in _KEPT:
        source = folder / "state" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, rehearsal.folder / name)


def _deploy(base: Base, rehearsal: Rehearsal, engine: Path, folder: Path) -> None:
    tree = folder / "tree"
    _extract(rehearsal.project.root, base, tree)
    try:
        old = Rehearsal(rehearsal.stack, _PURPOSE, project.load(tree))
    except UserError as error:
        raise NotComparableError(_describe_missing(base, rehearsal, tree, str(error))) from None
    with old.previewing(engine, renders_charts=False) as environment:
        log = folder / "events.jsonl"
        command = ["up", "--yes", "--skip-preview", "--color", "never", "--suppress-progress", "--event-log", str(log)]
        reply = old.pulumi(command, environment, quiet=True)
    if reply.returncode != 0:
        raise NotComparableError(
            f"{rehearsal.stack} at {base.reference} cannot be brought up: {_find_reason(log, reply.stderr)}"
        )
    state = folder / "state"
    state.mkdir()
    for name in _KEPT:
        shutil.move(old.folder / name, state / name)
    shutil.rmtree(tree)


def _describe_missing(base: Base, rehearsal: Rehearsal, tree: Path, reason: str) -> str:
    file = rehearsal.project.shorten(rehearsal.project.stack_file(rehearsal.stack))
    if not (tree / file).exists():
        return f"{base.reference} has no stack {rehearsal.stack}, so all of it is new."
    return f"{base.reference} cannot be rehearsed: {reason}"


def _find_reason(log: Path, stderr: str) -> str:
    """The first refusal of the cloud, otherwise the last line of the program's or the engine's error."""
    events = list(read_events(log))
    for name, message in list_refusals(events).items():
        return f"{name}: {message.strip()}"
    lines = "\n".join([stderr, *list_program_errors(events)]).strip().splitlines()
    return lines[-1].strip() if lines else "the engine gave no reason"


def _extract(root: Path, base: Base, folder: Path) -> None:
    """Extract the files of a commit without git's own files, so that nothing in the repository changes."""
    archive = _git(root, "archive", "--format=tar", base.commit)
    if archive.returncode != 0:
        raise UserError(f"git cannot read {base.commit}: {archive.stderr.decode(errors='replace').strip()}")
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
    except tarfile.TarError as error:  # such as a link that leads out of the project
        raise NotComparableError(f"The files of {base.reference} cannot be unpacked: {error}") from None


def _find_simulator_digest() -> str:
    """A digest of the simulated clouds: if they change, different answers would look like changes of the stack."""
    digest = hashlib.sha256()
    for path in sorted(Path(rehearsal_package.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not on PATH, and BASE names one of its references. Install it.") from None
