"""The engine's state of a stack, restored from a backup if the backend has lost it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from deploy.errors import DeployError
from operations import backup
from operations.target import Target


def is_there(target: Target) -> bool:
    """Whether the backend has resources of the stack: a lost stack may have been created again, empty."""
    answer = target.ask("pulumi", "stack", "export", "--stack", target.name, "--non-interactive")
    return answer.code == 0 and backup.has_resources(answer.output)


def restore(target: Target) -> str:
    """Restore the state from the newest backup, and refresh it from the cloud; returns what was done.

    Raises DeployError if there is no backup, or the engine refuses it.
    """
    store = backup.find_store(target)
    newest = backup.require_newest(store)
    target.engine.select_stack(target.stack, create=True)
    with tempfile.TemporaryDirectory() as scratch:
        file = backup.fetch_state(store, newest, Path(scratch))
        target.call("pulumi", "stack", "import", "--file", str(file), "--stack", target.name, "--non-interactive")
    target.call("pulumi", "refresh", "--yes", "--skip-preview", "--stack", target.name, "--non-interactive")
    return f"state of {target.name} restored from the backup {newest.name}, and refreshed"


def find_changes(target: Target) -> str:
    """The engine's last lines of a preview that would change something; empty if nothing would change."""
    options = ["--expect-no-changes", "--stack", target.name, "--non-interactive"]
    answer = target.ask("pulumi", "preview", *options)
    if answer.code == 0:
        return ""
    lines = [line.strip() for line in (answer.output + answer.error).splitlines() if line.strip()]
    return "\n".join(lines[-8:])


def require_state(target: Target) -> str:
    """Raises DeployError if there is neither a state nor a backup of it."""
    if is_there(target):
        return f"state of {target.name} is in the backend"
    try:
        return restore(target)
    except DeployError as error:
        raise DeployError(f"The engine's state of {target.name} is lost, and cannot be restored: {error}") from None
