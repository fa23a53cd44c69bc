"""The real git, as a command: a bare clone of one branch, read and written without a work tree."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lifecycle.contract import LifecycleError
from lifecycle.gitops.settings import GitopsSettings


class RepositoryError(LifecycleError):
    """The repository could not be read or written now; the message is git's own."""


class Git:
    """Commands on one bare clone."""

    def __init__(self, folder: Path, settings: GitopsSettings) -> None:
        self._folder = folder
        self._patience = settings.patience
        self._environment = {**os.environ, **_identity(settings), **_credentials(settings)}

    def run(self, *arguments: str, given: bytes = b"") -> str:
        """What the command prints. Raises RepositoryError when it fails or takes too long."""
        reply = self.attempt(*arguments, given=given)
        if reply.returncode != 0:
            words = " ".join(reply.stderr.decode(errors="replace").split())
            raise RepositoryError(f"git {arguments[0]} failed: {words[-500:]}")
        return reply.stdout.decode()

    def attempt(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """The command's own answer, whatever its exit status."""
        try:
            return subprocess.run(
                self._command(arguments),
                input=given,
                capture_output=True,
                env=self._environment,
                timeout=self._patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RepositoryError(f"git {arguments[0]} did not end within {self._patience:g} s") from None

    def objects(self) -> Objects:
        return Objects(self._command(["cat-file", "--batch"]), self._environment)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return ["git", "--git-dir", str(self._folder), *arguments]


class Objects:
    """Reads files of any commit through one running git: a process per file would take most of a promotion's time."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def read(self, commit: str, path: str) -> str | None:
        """A file's text, or None when the commit does not have it.

        Raises RepositoryError when there is no such commit, or git ended.
        """
        text = self._ask(f"{commit}:{path}", "blob")
        if text is None and self._ask(commit, "commit") is None:
            raise RepositoryError(f"there is no commit {commit} in the clone")
        return text

    def _ask(self, name: str, kind: str) -> str | None:
        requests, replies = self._process.stdin, self._process.stdout
        if requests is None or replies is None:
            raise RepositoryError("git cat-file has no pipes")
        try:
            requests.write(f"{name}\n".encode())
            requests.flush()
        except BrokenPipeError:
            raise RepositoryError("git cat-file ended") from None
        header = replies.readline().split()
        if header[-1:] == [b"missing"]:
            return None
        if len(header) != 3 or header[1].decode() != kind:
            raise RepositoryError(f"git cat-file cannot read {name}")
        text = replies.read(int(header[2])).decode()
        replies.read(1)
        return text

    def close(self) -> None:
        self._process.communicate()


def _identity(settings: GitopsSettings) -> Mapping[str, str]:
    """Never a prompt, never a person's name by accident, and messages that this code can read."""
    return {
        "GIT_AUTHOR_NAME": settings.author_name,
        "GIT_AUTHOR_EMAIL": settings.author_email,
        "GIT_COMMITTER_NAME": settings.author_name,
        "GIT_COMMITTER_EMAIL": settings.author_email,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _credentials(settings: GitopsSettings) -> Mapping[str, str]:
    """The token as a header for this repository's host alone, in the environment: command lines are for all to see.

    https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT
    """
    if settings.token is None or not settings.repository.startswith("https://"):
        return {}
    basic = base64.b64encode(f"x-access-token:{settings.token.get_secret_value()}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{settings.repository}.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
    }
