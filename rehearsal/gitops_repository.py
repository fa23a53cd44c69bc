"""The git repository that a rehearsed cluster deploys from: a bare one on this machine, in place of a remote one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rehearsal.console import UserError

_AUTHOR = ("-c", "user.name=Groundwork rehearsal", "-c", "user.email=rehearsal@groundwork.invalid")


@dataclass(frozen=True)
class GitOpsRepository:
    """A bare repository; only its branch `main` is read."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, source: Path) -> GitOpsRepository:
        """A repository with the content of a folder; an existing one gets a commit with the changes.

        Raises UserError with git's message.
        """
        if not folder.exists():
            _git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
            # Anonymous push over HTTP, which promotion and rollout use.
            _git("-C", str(folder), "config", "http.receivepack", "true")
        repository = cls(folder)
        repository.commit(lambda clone: _replace_content(clone, source), "Follow the project's GitOps folder")
        return repository

    def commit(self, edit: Callable[[Path], None], subject: str) -> None:
        """Commit what `edit` changes in a clone, if anything."""
        with tempfile.TemporaryDirectory() as scratch:
            clone = Path(scratch) / "clone"
            _git("clone", "--quiet", str(self.folder), str(clone))
            edit(clone)
            _git("-C", str(clone), "add", "--all")
            if _git("-C", str(clone), "status", "--porcelain"):
                _git("-C", str(clone), *_AUTHOR, "commit", "--quiet", f"--message={subject}")
                _git("-C", str(clone), "push", "--quiet", "origin", "HEAD:main")

    def head_commit(self) -> str:
        return _git("-C", str(self.folder), "rev-parse", "main").strip()

    def log(self) -> str:
        """One line per commit, oldest first."""
        return _git("-C", str(self.folder), "log", "--reverse", "--format=%h %an: %s", "main").rstrip()

    def messages(self) -> list[str]:
        """The full messages of all commits, latest first."""
        return _git("-C", str(self.folder), "log", "-z", "--format=%B", "main").split("\0")

    def read(self, path: str) -> str:
        """A file's text in the latest commit."""
        return _git("-C", str(self.folder), "show", f"main:{path}")

    def head_message(self) -> str:
        """The full message of the latest commit."""
        return _git("-C", str(self.folder), "log", "-1", "--format=%B", "main").strip()


def _replace_content(clone: Path, source: Path) -> None:
    for path in clone.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(source, clone, dirs_exist_ok=True)


def _git(*arguments: str) -> str:
    process = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise UserError(f"`git {' '.join(arguments[-3:])}` failed: {process.stderr.strip()}")
    return process.stdout
