"""Publishes a promoted version in the GitOps repository: as a commit, or as a pull request."""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle.core import CHALLENGER, CHAMPION, ModelVersion
from lifecycle.gitops.git import InvalidFileError, RepositoryError
from lifecycle.gitops.model_folder import Edits, ModelFolder, edit_folder, read_folder
from lifecycle.gitops.publication import ChangePublisher, Publication
from lifecycle.gitops.repository import Change, Repository, Tree
from lifecycle.gitops.settings import GitopsSettings


class Publisher:
    """Publishes promotions for one stack. Not thread-safe.

    The repository is cloned on first use, and again after an error.
    """

    def __init__(self, settings: GitopsSettings) -> None:
        self._settings = settings
        self._changes = ChangePublisher(settings)
        self._repository: Repository | None = None

    def close(self) -> None:
        if self._repository is not None:
            self._repository.close()
        self._repository = None

    def publish(self, promotions: Mapping[str, ModelVersion]) -> Mapping[str, Publication | InvalidFileError]:
        """Declare versions as challengers, one commit per event; promotions and publications are keyed by event.

        An error in a model's folder is the result of its event only. Raises RepositoryError if all events fail.
        Commits pushed before the error are found in the history when their events are retried.
        """
        self._repository = self._repository or Repository(self._settings)
        problems: dict[str, InvalidFileError] = {}
        changes = [_create_change(event, version, self._settings, problems) for event, version in promotions.items()]
        try:
            return {**self._changes.publish(self._repository, changes), **problems}
        except RepositoryError:
            self.close()
            raise


def _create_change(
    event: str, model_version: ModelVersion, settings: GitopsSettings, problems: dict[str, InvalidFileError]
) -> Change:
    """The change of a promotion. If it is not possible, the change is empty, and its error is added to `problems`."""

    def edit(tree: Tree) -> Edits:
        problems.pop(event, None)  # from an attempt that another push overtook
        try:
            return edit_challenger(tree, settings, model_version)
        except InvalidFileError as error:
            problems[event] = error
            return {}

    return Change(event, f"Promote {model_version} to {CHALLENGER}", edit, model_version.trailers)


def edit_challenger(tree: Tree, settings: GitopsSettings, model_version: ModelVersion) -> Edits:
    """The edits that declare a version as challenger, with no requests yet if there is a champion.

    No edits for a version that already serves in some role: a duplicate event must not restart a rollout.
    """
    current = read_folder(tree, settings, model_version.model)
    if model_version.version in [serving.version for serving in current.versions.values()]:
        return {}
    versions = {**current.versions, CHALLENGER: model_version}
    weights = {CHAMPION: 100, CHALLENGER: 0} if current.champion else {CHALLENGER: 100}
    return edit_folder(tree, settings, ModelFolder(model_version.model, versions, weights))
