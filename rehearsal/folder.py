"""The folder of a rehearsal: the paths of its files, and its lock. It contains nothing real."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout


class LockedError(Exception):
    """Another process holds the lock; the message is its process ID, or `unknown` if it has not written it yet."""


@dataclass(frozen=True)
class RehearsalFolder:
    """The folder in `path`, which need not exist."""

    path: Path

    @property
    def state(self) -> Path:
        """The state of the simulated clouds."""
        return self.path / "state.db"

    @property
    def backend(self) -> Path:
        """The engine's state."""
        return self.path / "backend"

    @property
    def unsaved(self) -> Path:
        """A marker that exists while the engine has changes that it has not saved yet."""
        return self.path / "unsaved"

    @property
    def passphrase(self) -> Path:
        """The passphrase with which the engine encrypts secrets."""
        return self.path / "passphrase"

    @property
    def workspace(self) -> Path:
        """The project as the engine sees it."""
        return self.path / "workspace"

    @property
    def programs(self) -> Path:
        """Commands that know this rehearsal, for PATH."""
        return self.path / "bin"

    @property
    def cluster(self) -> Path:
        """The data of etcd and the control plane."""
        return self.path / "cluster"

    @property
    def gitops(self) -> Path:
        """The git repository that the cluster deploys from, in place of a remote one."""
        return self.path / "gitops.git"

    @property
    def environment(self) -> Path:
        """The rehearsal's environment; exists while its clouds run."""
        return self.path / "environment.json"

    @property
    def shell_script(self) -> Path:
        """The rehearsal's environment as a script for a POSIX shell."""
        return self.path / "environment.sh"

    @property
    def background(self) -> Path:
        """A marker that exists while the clouds serve in the background."""
        return self.path / "background"

    def other_project(self, root: Path) -> Path:
        """Folder for the project in `root`, if it is worked on in a shell of this rehearsal."""
        digest = hashlib.sha256(str(root).encode()).hexdigest()[:8]
        return self.path / "projects" / f"{root.name}-{digest}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, which is also released if the process is killed. Raises LockedError."""
        # Only for this user, regardless of the umask: the folder has a passphrase and the cluster's keys.
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self.path / "lock", blocking=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            raise LockedError(self._describe_holder()) from None
        try:
            self._holder.write_text(str(os.getpid()))
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether a process holds the lock."""
        if not self.path.exists():
            return False
        try:
            with FileLock(self.path / "lock", blocking=False, fallback_to_soft=False):
                return False
        except Timeout:
            return True

    def holder_pid(self) -> int:
        """The process that holds, or last held, the lock."""
        return int(self._holder.read_text())

    def copy_to(self, folder: Path) -> None:
        """Copy it to a folder that does not exist, from which another rehearsal of the stack can continue.

        Ports and certificates are new at each start. Raises LockedError.
        """
        with self.locked():
            shutil.copytree(self.path, folder, ignore=_list_ignored)

    def remove(self) -> None:
        """Raises LockedError."""
        if self.path.exists():
            with self.locked():
                shutil.rmtree(self.path)

    def _describe_holder(self) -> str:
        return self._holder.read_text() if self._holder.exists() else "unknown"

    @property
    def _holder(self) -> Path:
        return self.path / "lock-holder"


def _list_ignored(folder: str, names: list[str]) -> set[str]:
    """Sockets, which cannot be copied, and the lock, certificates and logs of processes that have ended."""
    sockets = {name for name in names if (Path(folder) / name).is_socket()}
    return sockets | ({"lock", "lock-holder", "pki", "logs"} & {*names})
