"""Declares the models that one stack serves for another stack in the GitOps repository."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import yaml

from deploy.errors import DeployError
from operations.target import Target

_KUSTOMIZATION = "kustomization.yaml"


def publish_models(source: Target, destination: Target) -> str:
    """Commit what the source's folder declares to the destination's, and push; returns what was done.

    The destination keeps its own images and overlays: a registry in its region has them. Raises DeployError if git
    refuses, or a stack has no folder.
    """
    settings = destination.settings.gitops
    if not settings.repository:
        return "no GitOps repository: no models are declared"
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "repository")
        branch = ["--depth=1", f"--branch={settings.revision}"]
        destination.call("git", "clone", "--quiet", *branch, settings.repository, str(clone))
        models = _copy_models(_find_folder(clone, source), _find_folder(clone, destination))
        git = ["git", "-C", str(clone)]
        destination.call(*git, "add", "--all")
        if not destination.call(*git, "status", "--porcelain"):
            return f"the repository already declares the models of {source.name} for {destination.name}"
        message = f"Serve the models of {source.name} on {destination.name}"
        destination.call(*git, "commit", "--quiet", f"--message={message}")
        destination.call(*git, "push", "--quiet", "origin", f"HEAD:{settings.revision}")
    return f"declared for {destination.name}: {', '.join(models) or 'no model'}"


def ask_for_sync(target: Target) -> None:
    """Have Argo CD refresh from the repository immediately."""
    if target.settings.gitops.repository:
        refresh = "argocd.argoproj.io/refresh=hard"
        target.kubectl("annotate", "applications.argoproj.io", "models", "--namespace=argocd", "--overwrite", refresh)


def _find_folder(clone: Path, target: Target) -> Path:
    folder = clone / (target.settings.gitops.path or f"stacks/{target.name}")
    if not (folder / _KUSTOMIZATION).is_file():
        raise DeployError(
            f"The GitOps repository has no {folder.relative_to(clone)}/{_KUSTOMIZATION}, which says how models are "
            f"served on {target.name}: copy it from platform/gitops/stacks, as `make new-stack` writes it, and push it."
        )
    return folder


def _copy_models(source: Path, destination: Path) -> list[str]:
    """Replace the destination's models and experiments with the source's; returns the models' names."""
    wanted = yaml.safe_load((source / _KUSTOMIZATION).read_text())
    file = destination / _KUSTOMIZATION
    kustomization = yaml.safe_load(file.read_text())
    for folder in {_model(each) for each in kustomization.get("resources") or []}:
        shutil.rmtree(destination / folder, ignore_errors=True)
    models = sorted({_model(each) for each in wanted.get("resources") or []})
    for folder in (*models, "experiments"):
        if (source / folder).is_dir():
            shutil.copytree(source / folder, destination / folder, dirs_exist_ok=True)
    kustomization["resources"] = wanted.get("resources") or []
    own = [each for each in kustomization.get("components") or [] if each.startswith("../")]
    kustomization["components"] = own + [each for each in wanted.get("components") or [] if not each.startswith("../")]
    file.write_text(yaml.safe_dump(kustomization, sort_keys=False))
    return models


def _model(resource: str) -> str:
    """The model's folder: `churn` for `churn/generated`. People's settings are in it, too."""
    return Path(resource).parts[0]
