"""One branch of the GitOps repository: changes become commits, each exactly once.

A commit carries the event that it answers as a trailer. Nothing is committed for an event whose trailer is in the
history, and the remote moves its branch only from what was seen of it: so however often an event is tried, by however
many workers, killed wherever, its commit stands there once.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.gitops.git import Git, Objects, RepositoryError
from lifecycle.gitops.settings import GitopsSettings

__all__ = ["Change", "Edits", "Repository", "RepositoryError", "Tree"]

EVENT = "Groundwork-Event"
_TIDY = 500  # commits of some seven files each, after which git is asked whether to pack them
_LONGEST_PAUSE = 2.0  # seconds before a rejected push is tried again

Edits = Mapping[str, str | None]
"""New texts by path; None removes the file."""


class Tree:
    """The files of a commit, with edits on top that are not committed yet."""

    def __init__(self, objects: Objects, commit: str, texts: Edits | None = None) -> None:
        self._objects = objects
        self._commit = commit
        self._texts = dict(texts or {})

    def read(self, path: str) -> str | None:
        """A file's text, None when there is no such file. Raises RepositoryError."""
        if path not in self._texts:
            self._texts[path] = self._objects.read(self._commit, path)
        return self._texts[path]

    def fork(self) -> Tree:
        """The same files, with what was read of them, for edits that may come to nothing."""
        return Tree(self._objects, self._commit, self._texts)

    def apply(self, edits: Edits) -> Edits:
        """Those edits that change something; they are part of the tree from now on."""
        changed = {path: text for path, text in edits.items() if self.read(path) != text}
        self._texts.update(changed)
        return changed


@dataclass(frozen=True)
class Change:
    """What is to be committed for one event.

    edit  told the files as they are, answers what to change; asked again when somebody else was quicker
    body  what people should read below the subject
    """

    event: str
    subject: str
    edit: Callable[[Tree], Edits]
    trailers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def message(self) -> str:
        trailers = "\n".join(f"{key}: {value}" for key, value in {**self.trailers, EVENT: self.event}.items())
        return "\n\n".join(part for part in (self.subject, self.body, trailers) if part) + "\n"


@dataclass(frozen=True)
class Entry:
    """A commit in the history: when (seconds since 1970), and its trailers."""

    commit: str
    at: float
    trailers: Mapping[str, str]


class Repository:
    """A clone of the branch in a folder of its own, made anew each time: what a killed process left is no concern.

    Not for several threads at once. Raises RepositoryError when the remote cannot be reached or has no such branch.
    """

    def __init__(self, settings: GitopsSettings) -> None:
        self._settings = settings
        # Git may still be tidying up in there when it is removed.
        self._folder = tempfile.TemporaryDirectory(prefix="gitops-", ignore_cleanup_errors=True)
        self._git = Git(Path(self._folder.name), settings)
        self._git.run("init", "--quiet", "--bare")
        self._objects = self._git.objects()
        self._head = ""
        self._tree = Tree(self._objects, "")
        self._commits: dict[str, str] = {}
        self._loose = 0
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

    def refresh(self) -> Tree:
        """Fetch; the files as the remote has them now."""
        branch = self._settings.branch
        tracking = "refs/remotes/origin/branch"
        self._git.run(*("fetch", "--quiet", "--no-tags", self._settings.repository, f"+refs/heads/{branch}:{tracking}"))
        before, self._head = self._head, self._git.run("rev-parse", tracking).strip()
        if before != self._head:
            self._learn(before)
            self._tree = Tree(self._objects, self._head)
        return self._tree.fork()

    def history(self, path: str, limit: int) -> Sequence[Entry]:
        """The newest commits that touched a path, newest first, as of the last fetch."""
        return list(_entries(self._git, "-n", str(limit), self._head, "--", path))

    def words(self, commit: str) -> Sequence[str]:
        """The paragraphs of a commit's message, without its trailers."""
        paragraphs = self._git.run("log", "-1", "--format=%B", commit).strip().split("\n\n")
        return [paragraph.strip() for paragraph in paragraphs[:-1]] or paragraphs

    def restored(self, commit: str, paths: Sequence[str]) -> Edits:
        """The edits that bring files back to what they were in a commit."""
        return {path: self._objects.read(commit, path) for path in paths}

    def touched(self, since: str, path: str) -> Sequence[str]:
        """The files below `path` that differ between a commit and the head."""
        return self._git.run("diff", "--name-only", "--no-renames", since, self._head, "--", path).splitlines()

    def commit(self, changes: Sequence[Change]) -> Mapping[str, str | None]:
        """Push one commit per change, all in one push; the commits by event, None where nothing had to change.

        A rejected push is tried again on top of what came in between, never forced. Raises RepositoryError when the
        remote still rejects it after the settings' number of pushes, or cannot be reached.
        """
        for attempt in range(self._settings.pushes):
            if attempt:
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.05 * 2**attempt)))  # noqa: S311 (to part rivals)
                self.refresh()
            made, tree = self._build(changes)
            if not made and not attempt:
                # A push shows whether the remote is as it was last seen; without one, it takes a look.
                self.refresh()
                made, tree = self._build(changes)
            words = self._push(self._settings.branch, self._head, list(made.values())[-1]) if made else ""
            if not words:
                self._adopt(made, tree)
                return {change.event: self._commits.get(change.event) for change in changes}
        raise RepositoryError(
            f"{self._settings.repository} rejected {self._settings.pushes} pushes to {self._settings.branch}: {words}"
        )

    def commit_aside(self, change: Change, branch: str) -> str | None:
        """Push the change to a branch of its own, as a request for a merge needs it; None where nothing is to change.

        A branch of that name that is there already holds the change: its name tells the event.
        """
        self.refresh()
        made, _ = self._build([change])
        if not made:
            return self._commits.get(change.event)
        commit = made[change.event]
        there = self._git.run("ls-remote", self._settings.repository, f"refs/heads/{branch}").split()
        if there:
            return there[0]
        words = self._push(branch, "", commit)
        if words:
            raise RepositoryError(f"{self._settings.repository} rejected the branch {branch}: {words}")
        return commit

    def _learn(self, before: str) -> None:
        """Remember which events the new part of the history answers; all of it when the remote was rewritten."""
        known = before and self._git.attempt("merge-base", "--is-ancestor", before, self._head).returncode == 0
        if not known:
            self._commits = {}
        span = f"{before}..{self._head}" if known else self._head
        for entry in _entries(self._git, span):
            if EVENT in entry.trailers:
                self._commits[entry.trailers[EVENT]] = entry.commit

    def _build(self, changes: Sequence[Change]) -> tuple[Mapping[str, str], Tree]:
        """Commits on top of the head, in order; by event, without those that are there or change nothing.

        And the files after them.
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
                stream.append(_import(len(events), parent, change.message, edits, self._settings))
        if not events:
            return {}, tree
        marks = "".join(f"get-mark :{number}\n" for number in range(1, len(events) + 1))
        # `--force` concerns the scratch reference in this clone: the next batch starts elsewhere.
        shas = self._git.run("fast-import", "--quiet", "--force", given=b"".join(stream) + marks.encode()).split()
        return dict(zip(events, shas, strict=True)), tree

    def _push(self, branch: str, seen: str, commit: str) -> str:
        """Git's words when the remote did not take the commit; empty when it did.

        The branch moves only from `seen`, which the commit follows, empty for none: a branch that people have set back
        meanwhile does not get again what they took out of it, as it would from a push without this condition.
        """
        lease = f"--force-with-lease=refs/heads/{branch}:{seen}"
        target = (self._settings.repository, f"{commit}:refs/heads/{branch}")
        reply = self._git.attempt("push", "--porcelain", lease, *target)
        if reply.returncode == 0:
            return ""
        words = [line for line in reply.stdout.decode(errors="replace").splitlines() if line.startswith("!")]
        return " ".join(words) or reply.stderr.decode(errors="replace").strip()[-500:]

    def _adopt(self, made: Mapping[str, str], tree: Tree) -> None:
        for event, commit in made.items():
            self._commits[event] = self._head = commit
        self._tree = tree
        self._loose += len(made)
        if self._loose >= _TIDY:
            self._git.run("gc", "--auto", "--quiet")  # goes on in the background
            self._loose = 0


def _entries(git: Git, *arguments: str) -> Iterator[Entry]:
    """Commits as git lists them; fields end with NUL, commits with an RS."""
    listing = git.run("log", "--format=%H%x00%ct%x00%(trailers:only,unfold)%x1e", *arguments)
    for record in listing.split("\x1e"):
        if record.strip():
            commit, at, trailers = record.strip("\n").split("\x00")
            pairs = (line.partition(": ") for line in trailers.splitlines())
            yield Entry(commit, float(at), {key: value for key, _, value in pairs})


def _import(mark: int, parent: str, message: str, edits: Edits, settings: GitopsSettings) -> bytes:
    """One commit in the language of git fast-import. https://git-scm.com/docs/git-fast-import"""
    who = f"{settings.author_name} <{settings.author_email}> {int(time.time())} +0000"
    parts = [f"commit refs/groundwork/batch\nmark :{mark}\ncommitter {who}\n".encode(), _data(message)]
    parts.append(f"from {parent}\n".encode())
    for path, text in edits.items():
        if text is None:
            parts.append(f"D {path}\n".encode())
        else:
            parts += [f"M 100644 inline {path}\n".encode(), _data(text)]
    return b"".join([*parts, b"\n"])


def _data(text: str) -> bytes:
    content = text.encode()
    return b"data %d\n%b\n" % (len(content), content)
