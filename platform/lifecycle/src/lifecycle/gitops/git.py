"""The git command on a bare clone of one branch, read and written without a work tree."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lifecycle.core import LifecycleError
from lifecycle.gitops.settings import GitopsSettings


class RepositoryError(LifecycleError):
    """The repository cannot be read or written at the moment; the message is git's own."""


class InvalidFileError(RepositoryError):
    """One file in the repository is not valid, which does not affect others; a person has to correct it."""


class Git:
    """Commands on one bare clone."""

    def __init__(self, folder: Path, settings: GitopsSettings) -> None:
        self._folder = folder
        self._timeout = settings.timeout
        self._environment = {**os.environ, **_identity(settings), **_credentials(settings)}

    def run(self, *arguments: str, stdin: bytes = b"") -> str:
        """The command's standard output. Raises RepositoryError if it fails or takes too long."""
        process = self.try_run(*arguments, stdin=stdin)
        if process.returncode != 0:
            message = " ".join(process.stderr.decode(errors="replace").split())
            raise RepositoryError(f"git {arguments[0]} failed: {message[-500:]}")
        return process.stdout.decode(errors="replace")  # people commit in any encoding

    def try_run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """The finished command, with any exit status. Raises RepositoryError if it takes too long."""
        try:
            return subprocess.run(
                self._command(arguments),
                input=stdin,
                capture_output=True,
                env=self._environment,
                timeout=self._timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RepositoryError(f"git {arguments[0]} did not finish within {self._timeout:g} s") from None

    def open_objects(self) -> ObjectReader:
        return ObjectReader(self._command(["cat-file", "--batch"]), self._environment)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return ["git", "--git-dir", str(self._folder), *arguments]


class ObjectReader:
    """Reads files of any commit with one git process: one process per file would take most of a promotion's time."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def read(self, commit: str, path: str) -> str | None:
        """A file's text, or None if the commit does not have it.

        Raises InvalidFileError if it is not text, RepositoryError if there is no such commit, or git has ended.
        """
        content = self._read_object(f"{commit}:{path}", "blob")
        if content is None:
            if self._read_object(commit, "commit") is None:
                raise RepositoryError(f"the clone has no commit {commit}")
            return None
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise InvalidFileError(
                f"{path} in the repository is not UTF-8 text: correct it there, or remove it"
            ) from None

    def _read_object(self, name: str, kind: str) -> bytes | None:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RepositoryError("git cat-file has no pipes")
        if "\n" in name:
            raise InvalidFileError(f"git cat-file cannot read {name!r}: a path must be one line")
        try:
            stdin.write(f"{name}\n".encode())
            stdin.flush()
        except BrokenPipeError:
            raise RepositoryError("git cat-file has ended") from None
        header = stdout.readline().split()
        if header[-1:] == [b"missing"]:
            return None
        if len(header) != 3:
            raise RepositoryError(f"git cat-file cannot read {name}")
        content = stdout.read(int(header[2]))
        stdout.read(1)
        if header[1].decode() != kind:  # only after reading the object: the next answer follows it
            raise InvalidFileError(f"{name} in the repository is a {header[1].decode()}, not a {kind}")
        return content

    def close(self) -> None:
        self._process.communicate()


def _identity(settings: GitopsSettings) -> Mapping[str, str]:
    """No prompts, no identity from the machine's configuration, and messages in English, because they are parsed."""
    return {
        "GIT_AUTHOR_NAME": settings.author_name,
        "GIT_AUTHOR_EMAIL": settings.author_email,
        "GIT_COMMITTER_NAME": settings.author_name,
        "GIT_COMMITTER_EMAIL": settings.author_email,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _credentials(settings: GitopsSettings) -> Mapping[str, str]:
    """The token, as a header for this repository's URL only. It is in the environment: all users see command lines.

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
