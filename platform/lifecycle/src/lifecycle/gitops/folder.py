"""A model's folder in the GitOps repository: what it says now, and the files that make it say something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import yaml

from lifecycle.gitops import manifests
from lifecycle.gitops.manifests import CHALLENGER, CHAMPION, ROLES, Lineage, Weights
from lifecycle.gitops.repository import Edits, RepositoryError, Tree
from lifecycle.gitops.settings import GitopsSettings


@dataclass(frozen=True)
class Folder:
    """What is declared for a model in one environment.

    versions  the version in each role; a role that nothing serves is not in it
    weights   percent of the requests by role, as the route says
    """

    model: str
    versions: Mapping[str, Lineage]
    weights: Weights

    @property
    def champion(self) -> Lineage | None:
        return self.versions.get(CHAMPION)

    @property
    def challenger(self) -> Lineage | None:
        return self.versions.get(CHALLENGER)


def read(tree: Tree, settings: GitopsSettings, model: str) -> Folder:
    """The model's folder; empty when the model has never been promoted. Raises RepositoryError."""
    texts = {role: tree.read(_path(settings, model, f"{role}.yaml")) for role in ROLES}
    route = tree.read(_path(settings, model, "route.yaml"))
    with _legible(place(settings, model)):
        versions = {role: Lineage.of(manifests.first(text)) for role, text in texts.items() if text is not None}
        weights = {} if route is None else manifests.weights_of(model, manifests.first(route))
    return Folder(model, versions, weights)


def write(tree: Tree, settings: GitopsSettings, folder: Folder) -> Edits:
    """The files to change so that `folder` is declared; what people added to a file that stays is kept."""
    model = folder.model
    now = read(tree, settings, model)
    edits: dict[str, str | None] = {
        _path(settings, model, f"{role}.yaml"): (
            manifests.predictor(folder.versions[role], role) if role in folder.versions else None
        )
        for role in ROLES
        if folder.versions.get(role) != now.versions.get(role)
    }
    if folder.weights != now.weights:
        edits[_path(settings, model, "route.yaml")] = manifests.route(model, folder.weights, settings)
    resources = [f"{role}.yaml" for role in folder.versions]
    edits[_path(settings, model, "kustomization.yaml")] = manifests.kustomization([*resources, "route.yaml"])
    return {**edits, **enlist(tree, settings, model)}


def enlist(tree: Tree, settings: GitopsSettings, model: str, *, wanted: bool = True) -> Edits:
    """The edit that takes the model's folder into its environment, or out of it."""
    path = f"{settings.environment}/kustomization.yaml"
    text = tree.read(path) or manifests.kustomization(())
    with _legible(path):
        return {path: manifests.with_resource(text, model, wanted=wanted)}


@contextmanager
def _legible(where: str) -> Iterator[None]:
    """People write there too."""
    try:
        yield
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, ValueError, StopIteration) as error:
        words = " ".join(str(error).split())
        raise RepositoryError(
            f"{where} in the repository is not as promotions write it ({words}): mend it there, or remove it"
        ) from None


def place(settings: GitopsSettings, model: str) -> str:
    """The folder's path in the repository."""
    return f"{settings.environment}/{model}"


def _path(settings: GitopsSettings, model: str, file: str) -> str:
    return f"{place(settings, model)}/{file}"
