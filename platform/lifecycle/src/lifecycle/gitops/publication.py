"""How a change reaches the branch: as a commit, or as a pull request that people merge, depending on GITOPS_MODE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifecycle.gitops.forge import Forge
from lifecycle.gitops.repository import Change, Repository
from lifecycle.gitops.settings import GitopsSettings


@dataclass(frozen=True)
class Publication:
    """The result of publishing a change.

    commit        empty if nothing had to change
    pull_request  the URL of the pull request that will merge the commit; empty if the commit is on the branch
    is_new        whether this call opened the pull request
    """

    commit: str = ""
    pull_request: str = ""
    is_new: bool = False


class ChangePublisher:
    """Publishes changes in the settings' mode: one commit or pull request each, even if published several times."""

    def __init__(self, settings: GitopsSettings) -> None:
        self._forge = Forge(settings) if settings.mode == "pull-request" else None

    def publish(self, repository: Repository, changes: Sequence[Change]) -> Mapping[str, Publication]:
        """Publications, keyed by event. Raises RepositoryError."""
        if self._forge is None:
            commits = repository.commit(changes)
            return {event: Publication(commit or "") for event, commit in commits.items()}
        return {change.event: _request(repository, self._forge, change) for change in changes}

    def is_requested(self, repository: Repository, event: str) -> bool:
        """Whether a pull request for the event's change was opened and not merged, even if somebody has closed it."""
        return self._forge is not None and bool(repository.find_branch(_branch(event)))


def _request(repository: Repository, forge: Forge, change: Change) -> Publication:
    branch = _branch(change.event)
    commit = repository.commit_to_branch(change, branch)
    if commit is None or repository.find_event(change.event):
        return Publication(commit or "")
    pull_request = forge.open_pull_request(branch, change.subject, change.message)
    return Publication(commit, pull_request.url, pull_request.is_new)


def _branch(event: str) -> str:
    return f"groundwork/{event}"
