"""One branch of the GitOps repository: changes become commits, each exactly once.

A commit names the event that caused it in a trailer. An event whose trailer is in the history is not committed again,
and a push moves the branch only from the commit that was last fetched. So an event has exactly one commit, even if
several workers retry it, and even if they are killed at any point.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from lifecycle.core.names import EVENT_TRAILER, TRAILERS
from lifecycle.core.text import to_line
from lifecycle.gitops.git import Git, ObjectReader, RepositoryError
from lifecycle.gitops.model_folder import Edits
from lifecycle.gitops.settings import GitopsSettings

_LOG_FORMAT = "%x00".join(
    ("%H", "%ct", *(f"%(trailers:key={key},valueonly,unfold,separator=%x0A)" for key in TRAILERS))
)
_GC_INTERVAL = 500  # commits of about seven files each, after which `git gc` decides whether to pack them
_MAX_PUSH_DELAY = 2.0  # seconds before a rejected push is retried


class Tree:
    """The files of a commit, plus edits that are not committed yet."""

    def __init__(self, objects: ObjectReader, commit: str, texts: Edits | None = None) -> None:
        self._objects = objects
        self._commit = commit
        self._texts = dict(texts or {})

    def read(self, path: str) -> str | None:
        """A file's text, None if there is no such file. Raises RepositoryError."""
        if path not in self._texts:
            self._texts[path] = self._objects.read(self._commit, path)
        return self._texts[path]

    def fork(self) -> Tree:
        """A copy, whose edits do not affect this tree."""
        return Tree(self._objects, self._commit, self._texts)

    def apply(self, edits: Edits) -> Edits:
        """Add edits to the tree; returns those that change something."""
        changed = {path: text for path, text in edits.items() if self.read(path) != text}
        self._texts.update(changed)
        return changed


@dataclass(frozen=True)
class Change:
    """The change to commit for one event.

    edit  computes the edits from the current files; called again if another push came first
    body  the message between subject and trailers
    """

    event: str
    subject: str
    edit: Callable[[Tree], Edits]
    trailers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def message(self) -> str:
        trailers = [to_line(f"{key}: {value}") for key, value in {**self.trailers, EVENT_TRAILER: self.event}.items()]
        return "\n\n".join(part for part in (to_line(self.subject), self.body, "\n".join(trailers)) if part) + "\n"


@dataclass(frozen=True)
class Commit:
    """A commit in the history: its time (seconds since 1970), and its trailers that are in `TRAILERS`."""

    sha: str
    time: float
    trailers: Mapping[str, str]


class _PushRejectedError(Exception):
    """The remote rejected a push; the message is git's."""


class Repository:
    """A clone of the branch in a temporary folder, new for each instance, so killed processes leave nothing behind.

    Not thread-safe. Raises RepositoryError if the remote does not answer or has no such branch.
    """

    def __init__(self, settings: GitopsSettings) -> None:
        self._settings = settings
        # `git gc` may still be running in the folder when it is removed.
        self._folder = tempfile.TemporaryDirectory(prefix="gitops-", ignore_cleanup_errors=True)
        self._git = Git(Path(self._folder.name), settings)
        self._git.run("init", "--quiet", "--bare")
        self._objects = self._git.open_objects()
        self._head = ""
        self._tree = Tree(self._objects, "")
        self._commits: dict[str, str] = {}
        self._commits_since_gc = 0
        try:
            self.refresh()
        except RepositoryError:
            self.close()
            raise

    def close(self) -> None:
        self._objects.close()
        self._folder.cleanup()

    @property
    def settings(self) -> GitopsSettings:
        return self._settings

    @property
    def head(self) -> str:
        """The remote branch's commit, as of the last fetch or push."""
        return self._head

    def refresh(self) -> Tree:
        """Fetch; returns the files of the remote's branch."""
        branch = self._settings.branch
        tracking = "refs/remotes/origin/branch"
        self._git.run(*("fetch", "--quiet", "--no-tags", self._settings.repository, f"+refs/heads/{branch}:{tracking}"))
        previous, self._head = self._head, self._git.run("rev-parse", tracking).strip()
        if previous != self._head:
            self._index_events(previous)
            self._tree = Tree(self._objects, self._head)
        return self._tree.fork()

    def tree(self) -> Tree:
        """The files as of the last fetch or push."""
        return self._tree.fork()

    def history(self, path: str, limit: int) -> Sequence[Commit]:
        """The latest commits that changed a path, newest first, as of the last fetch."""
        return list(_log(self._git, "-n", str(limit), self._head, "--", path))

    def message_paragraphs(self, commit: str) -> Sequence[str]:
        """The paragraphs of a commit's message, without its trailers."""
        paragraphs = self._git.run("log", "-1", "--format=%B", commit).strip().split("\n\n")
        return [paragraph.strip() for paragraph in paragraphs[:-1]] or paragraphs

    def edits_to_restore(self, commit: str, paths: Sequence[str]) -> Edits:
        """The edits that restore files to their content in a commit."""
        return {path: self._objects.read(commit, path) for path in paths}

    def changed_paths(self, since: str, path: str) -> Sequence[str]:
        """The files below `path` that differ between a commit and the head."""
        listing = self._git.run("diff", "-z", "--name-only", "--no-renames", since, self._head, "--", path)
        return listing.rstrip("\0").split("\0") if listing else []

    def commit(self, changes: Sequence[Change]) -> Mapping[str, str | None]:
        """Push one commit per change, in a single push; returns commits by event, None if nothing had to change.

        A rejected push is retried on top of the remote's new commits, and never forced. Raises RepositoryError if the
        remote rejects as many pushes as the settings allow, or does not answer.
        """
        retrying = Retrying(
            stop=stop_after_attempt(self._settings.push_attempts),
            wait=wait_random_exponential(multiplier=0.1, max=_MAX_PUSH_DELAY),  # random, so that rivals do not collide
            retry=retry_if_exception_type(_PushRejectedError),
            before=self._refresh_before_retry,
        )
        try:
            return retrying(self._commit_once, changes)
        except RetryError as error:
            raise RepositoryError(
                f"{self._settings.repository} rejected {self._settings.push_attempts} pushes to "
                f"{self._settings.branch}: {error.last_attempt.exception()}. If the branch requires reviews, set "
                "GITOPS_MODE to pull-request"
            ) from None

    def commit_to_branch(self, change: Change, branch: str) -> str | None:
        """Push the change to its own branch, for a pull request; returns its commit, None for no change.

        If a branch of that name exists, it already has the change: the name contains the event. Once it is merged, the
        event is in the history.
        """
        tree = self.refresh()
        if change.event in self._commits or not tree.apply(change.edit(tree)):
            return self._commits.get(change.event)
        existing = self.find_branch(branch)
        if existing:
            return existing
        created, _ = self._create_commits([change])
        rejection = self._push(branch, "", created[change.event])
        if rejection:
            raise RepositoryError(f"{self._settings.repository} rejected the branch {branch}: {rejection}")
        return created[change.event]

    def find_branch(self, branch: str) -> str:
        """The commit of a branch of the remote; empty if there is no branch of this name."""
        found = self._git.run("ls-remote", self._settings.repository, f"refs/heads/{branch}").split()
        return found[0] if found else ""

    def find_event(self, event: str) -> str:
        """The event's commit in the history, as of the last fetch; empty if there is none."""
        return self._commits.get(event, "")

    def arrival_time(self, commit: Commit) -> float:
        """When a commit reached the branch, in seconds since 1970: if it was merged, later than it was created."""
        since = f"{commit.sha}..{self._head}"
        line = [
            record.split()
            for record in self._git.run("log", "--first-parent", "--format=%H %ct %P", since).splitlines()
        ]
        if not line or line[-1][2] == commit.sha:
            return commit.time
        descendants = set(self._git.run("rev-list", "--ancestry-path", since).split())
        return next(float(time_) for sha, time_, *_ in reversed(line) if sha in descendants)

    def _refresh_before_retry(self, state: RetryCallState) -> None:
        if state.attempt_number > 1:
            self.refresh()

    def _commit_once(self, changes: Sequence[Change]) -> Mapping[str, str | None]:
        created, tree = self._create_commits(changes)
        if not created:
            # A push fails if the remote has moved. Without a push, only a fetch shows whether it has.
            self.refresh()
            created, tree = self._create_commits(changes)
        rejection = self._push(self._settings.branch, self._head, list(created.values())[-1]) if created else ""
        if rejection:
            raise _PushRejectedError(rejection)
        self._advance(created, tree)
        return {change.event: self._commits.get(change.event) for change in changes}

    def _index_events(self, previous: str) -> None:
        """Index the events of the new commits; of the whole history if the remote's was rewritten."""
        is_ahead = previous and self._git.try_run("merge-base", "--is-ancestor", previous, self._head).returncode == 0
        if not is_ahead:
            self._commits = {}
        for commit in _log(self._git, f"{previous}..{self._head}" if is_ahead else self._head):
            if EVENT_TRAILER in commit.trailers:
                self._commits[commit.trailers[EVENT_TRAILER]] = commit.sha

    def _create_commits(self, changes: Sequence[Change]) -> tuple[Mapping[str, str], Tree]:
        """Create commits on top of the head, in order, except those that exist or change nothing.

        Returns the commits by event, and the resulting files.
        """
        tree = self._tree.fork()
        stream: list[bytes] = []
        events: list[str] = []
        for change in changes:
            if change.event in self._commits or change.event in events:
                continue
            edits = tree.apply(change.edit(tree))
            if edits:
                events.append(change.event)
                parent = self._head if len(events) == 1 else f":{len(events) - 1}"
                stream.append(_format_commit(len(events), parent, change.message, edits, self._settings))
        if not events:
            return {}, tree
        marks = "".join(f"get-mark :{number}\n" for number in range(1, len(events) + 1))
        # `--force` affects only the scratch reference in this clone: the next batch starts from another commit.
        shas = self._git.run("fast-import", "--quiet", "--force", stdin=b"".join(stream) + marks.encode()).split()
        return dict(zip(events, shas, strict=True)), tree

    def _push(self, branch: str, expected: str, commit: str) -> str:
        """Push a commit; returns git's message if the remote rejects it, otherwise an empty string.

        The branch moves only from `expected` (empty: it must not exist). Without this lease, if people had reset the
        branch meanwhile, the push would restore what they removed.
        """
        lease = f"--force-with-lease=refs/heads/{branch}:{expected}"
        target = (self._settings.repository, f"{commit}:refs/heads/{branch}")
        process = self._git.try_run("push", "--porcelain", lease, *target)
        if process.returncode == 0:
            return ""
        rejections = [line for line in process.stdout.decode(errors="replace").splitlines() if line.startswith("!")]
        return " ".join(rejections) or process.stderr.decode(errors="replace").strip()[-500:] or "unknown reason"

    def _advance(self, created: Mapping[str, str], tree: Tree) -> None:
        for event, commit in created.items():
            self._commits[event] = self._head = commit
        self._tree = tree
        self._commits_since_gc += len(created)
        if self._commits_since_gc >= _GC_INTERVAL:
            self._git.run("gc", "--auto", "--quiet")  # continues in the background
            self._commits_since_gc = 0


def _log(git: Git, *arguments: str) -> Iterator[Commit]:
    """Commits as `git log` lists them, with the trailers that git itself finds in their messages.

    Fields end with NUL, which no commit message contains. If a trailer is repeated, the last one counts.
    """
    fields = git.run("log", "-z", f"--format={_LOG_FORMAT}", *arguments).split("\0")
    width = 2 + len(TRAILERS)
    for start in range(0, len(fields) - width + 1, width):
        sha, time_, *values = fields[start : start + width]
        last = {key: value.rpartition("\n")[2] for key, value in zip(TRAILERS, values, strict=True)}
        yield Commit(sha, float(time_), {key: value for key, value in last.items() if value})


def _format_commit(mark: int, parent: str, message: str, edits: Edits, settings: GitopsSettings) -> bytes:
    """One commit in the input format of git fast-import. https://git-scm.com/docs/git-fast-import"""
    committer = f"{settings.author_name} <{settings.author_email}> {int(time.time())} +0000"
    parts = [f"commit refs/groundwork/batch\nmark :{mark}\ncommitter {committer}\n".encode(), _format_data(message)]
    parts.append(f"from {parent}\n".encode())
    for path, text in edits.items():
        if text is None:
            parts.append(f"D {path}\n".encode())
        else:
            parts += [f"M 100644 inline {path}\n".encode(), _format_data(text)]
    return b"".join([*parts, b"\n"])


def _format_data(text: str) -> bytes:
    content = text.encode()
    return b"data %d\n%b\n" % (len(content), content)
