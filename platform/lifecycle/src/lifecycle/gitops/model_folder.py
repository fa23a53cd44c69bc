"""A model's folder in the GitOps repository: reads what it declares, and computes the edits that change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from lifecycle.core import CHALLENGER, CHAMPION, ROLES, ModelVersion
from lifecycle.core.text import to_line
from lifecycle.gitops import manifests
from lifecycle.gitops.git import InvalidFileError, RepositoryError
from lifecycle.gitops.manifests import Weights
from lifecycle.gitops.settings import GitopsSettings

_GENERATED = "generated"
_ROUTE = "route.yaml"
_KUSTOMIZATION = "kustomization.yaml"
_MAX_REASON = 300  # characters

Edits = Mapping[str, str | None]
"""New texts, keyed by path; None removes the file."""


class Files(Protocol):
    """The files of the repository."""

    def read(self, path: str) -> str | None:
        """A file's text, None if there is no such file. Raises RepositoryError."""


@dataclass(frozen=True)
class ModelFolder:
    """The declared state of a model on one stack.

    versions  the version in each role; a role without one is absent
    weights   percent of the requests, keyed by role
    """

    model: str
    versions: Mapping[str, ModelVersion]
    weights: Weights

    @property
    def champion(self) -> ModelVersion | None:
        return self.versions.get(CHAMPION)

    @property
    def challenger(self) -> ModelVersion | None:
        return self.versions.get(CHALLENGER)


def generated_path(settings: GitopsSettings, model: str) -> str:
    """The path of the generated files; all other files in the model's folder belong to people."""
    return f"{stack_path(settings)}/{_generated(model)}"


def read_folder(files: Files, settings: GitopsSettings, model: str) -> ModelFolder:
    """The model's folder; empty if the model has never been promoted. Raises RepositoryError."""
    texts = {role: files.read(_path(settings, model, f"{role}.yaml")) for role in ROLES}
    route = files.read(_path(settings, model, _ROUTE))
    if route is None and files.read(f"{stack_path(settings)}/{model}/{_ROUTE}") is not None:
        raise InvalidFileError(
            f"{stack_path(settings)}/{model}/{_ROUTE} was written by a former version: move the model's files as "
            "described in docs/gitops.md"
        )
    with _explain_errors(generated_path(settings, model)):
        versions = {role: manifests.parse_model_version(text) for role, text in texts.items() if text is not None}
        if others := {version.model for version in versions.values()} - {model}:
            raise ValueError(f"it declares versions of {', '.join(map(repr, sorted(others)))}")
        weights = {} if route is None else manifests.parse_weights(model, route)
    return ModelFolder(model, versions, weights)


def list_models_with_challenger(files: Files, settings: GitopsSettings) -> set[str]:
    """The models of the stack that declare a challenger, readable or not. Raises RepositoryError."""
    text = _read_stack(files, settings)
    with _explain_errors(_stack_kustomization(settings)):
        resources = manifests.parse_first(text).get("resources") or ()
        models = [str(resource).removesuffix(f"/{_GENERATED}") for resource in resources]
        models = [model for model in models if manifests.is_valid_name(model)]  # people add other resources
        return {model for model in models if _has_challenger(files, settings, model)}


def _has_challenger(files: Files, settings: GitopsSettings, model: str) -> bool:
    try:
        return files.read(_path(settings, model, f"{CHALLENGER}.yaml")) is not None
    except InvalidFileError:
        return True  # its own rollout reports what is wrong


def edit_folder(files: Files, settings: GitopsSettings, folder: ModelFolder) -> Edits:
    """The edits that declare `folder`, in generated files only; people's file is created if it does not exist."""
    model = folder.model
    current = read_folder(files, settings, model)
    edits: dict[str, str | None] = {
        _path(settings, model, f"{role}.yaml"): (
            manifests.render_inference_service(folder.versions[role], role) if role in folder.versions else None
        )
        for role in ROLES
        if folder.versions.get(role) != current.versions.get(role)
    }
    if folder.weights != current.weights:
        edits[_path(settings, model, _ROUTE)] = manifests.render_route(model, folder.weights, settings)
    resources = [*(f"{role}.yaml" for role in folder.versions), _ROUTE]
    edits[_path(settings, model, _KUSTOMIZATION)] = manifests.render_kustomization(resources)
    own = f"{stack_path(settings)}/{model}/{_KUSTOMIZATION}"
    if files.read(own) is None:
        edits[own] = manifests.render_settings(model)
    return {**edits, **edit_stack(files, settings, model, present=True)}


def edit_stack(files: Files, settings: GitopsSettings, model: str, *, present: bool) -> Edits:
    """The edit that adds the model to its stack, or removes it; people's other content, including comments, is kept.

    Its settings are a component after the overlay's components, and take precedence over them.

    Raises RepositoryError if the stack has no folder: it names the overlay, without which no model would run.
    """
    text = _read_stack(files, settings)
    path = _stack_kustomization(settings)
    with _explain_errors(path):
        text = manifests.set_entry(text, "resources", _generated(model), present=present)
        return {path: manifests.set_entry(text, "components", model, present=present)}


def _read_stack(files: Files, settings: GitopsSettings) -> str:
    path = _stack_kustomization(settings)
    text = files.read(path)
    if text is None:
        raise RepositoryError(
            f"{path} is not in the repository: add the folder of the stack '{settings.stack}', as `make new-stack` "
            "writes it, or correct GITOPS_STACK"
        )
    return text


@contextmanager
def _explain_errors(path: str) -> Iterator[None]:
    """People also edit these files, so they may contain anything, but an error in them must not affect other models."""
    try:
        yield
    except RepositoryError:
        raise
    except Exception as error:
        reason = to_line(str(error))[:_MAX_REASON]
        raise InvalidFileError(
            f"{path} in the repository is not in the form that promotions write ({reason}): correct it there, or "
            "remove it"
        ) from None


def stack_path(settings: GitopsSettings) -> str:
    """The folder of the stack's files."""
    return settings.path or f"stacks/{settings.stack}"


def _stack_kustomization(settings: GitopsSettings) -> str:
    return f"{stack_path(settings)}/{_KUSTOMIZATION}"


def _path(settings: GitopsSettings, model: str, file: str) -> str:
    return f"{generated_path(settings, model)}/{file}"


def _generated(model: str) -> str:
    return f"{model}/{_GENERATED}"
