"""How a promoted version gets into the GitOps repository: as a commit, or as a request for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifecycle.gitops import folder
from lifecycle.gitops.folder import Folder
from lifecycle.gitops.forge import Forge
from lifecycle.gitops.manifests import CHALLENGER, CHAMPION, DOMAIN, Lineage
from lifecycle.gitops.repository import Change, Edits, Repository, RepositoryError, Tree
from lifecycle.gitops.settings import GitopsSettings


@dataclass(frozen=True)
class Published:
    """Where a promotion stands: its commit, empty when nothing had to change, and its pull request if it has one."""

    commit: str = ""
    request: str = ""

    @property
    def outcome(self) -> str:
        if not self.commit:
            return "unchanged"
        return "requested" if self.request else "promoted"


class Publisher:
    """Promotions into one environment. Not for several threads at once.

    The clone is made when it is first needed, and thrown away after an error: whatever it was, the next try is fresh.
    """

    def __init__(self, settings: GitopsSettings) -> None:
        self._settings = settings
        self._forge = Forge(settings) if settings.mode == "pull-request" else None
        self._repository: Repository | None = None

    def close(self) -> None:
        if self._repository is not None:
            self._repository.close()
        self._repository = None

    def publish(self, promotions: Mapping[str, Lineage]) -> Mapping[str, Published]:
        """Declare versions as challengers, one commit per event; promotions and answers by event.

        Raises RepositoryError; what was pushed before it stays, and is found when the events are tried again.
        """
        self._repository = self._repository or Repository(self._settings)
        changes = [self._change(event, lineage) for event, lineage in promotions.items()]
        try:
            if self._forge is None:
                commits = self._repository.commit(changes)
                return {event: Published(commit or "") for event, commit in commits.items()}
            return {change.event: _request(self._repository, self._forge, change) for change in changes}
        except RepositoryError:
            self.close()
            raise

    def _change(self, event: str, lineage: Lineage) -> Change:
        def edit(tree: Tree) -> Edits:
            return declare(tree, self._settings, lineage)

        facts = {_trailer(key): value for key, value in lineage.annotations.items()}
        return Change(event, f"Promote {lineage.model} version {lineage.version} to challenger", edit, facts)


def _request(repository: Repository, forge: Forge, change: Change) -> Published:
    branch = f"groundwork/{change.event}"
    commit = repository.commit_aside(change, branch)
    if commit is None:
        return Published()
    return Published(commit, forge.request_merge(branch, change.subject, change.message))


def declare(tree: Tree, settings: GitopsSettings, lineage: Lineage) -> Edits:
    """The edits that make a version the challenger, without any requests yet while there is a champion.

    No edits for a version that serves already in some role: a duplicate must not set a rollout back to its start.
    """
    now = folder.read(tree, settings, lineage.model)
    if lineage.version in [serving.version for serving in now.versions.values()]:
        return {}
    versions = {**now.versions, CHALLENGER: lineage}
    weights = {CHAMPION: 100, CHALLENGER: 0} if now.champion else {CHALLENGER: 100}
    return folder.write(tree, settings, Folder(lineage.model, versions, weights))


def _trailer(annotation: str) -> str:
    """`groundwork.dev/run-id` -> `Groundwork-Run-Id`"""
    words: Sequence[str] = annotation.removeprefix(f"{DOMAIN}/").split("-")
    return "-".join(["Groundwork", *(word.capitalize() for word in words)])
