"""Selects the served version in the model registry, downloads it, and checks it against the serving contract."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lifecycle import contract
from lifecycle.core import LifecycleError, ModelRegistry, ModelVersion, RegisteredVersion
from lifecycle.serving.settings import ServingSettings


class ModelError(Exception):
    """The model cannot be served; the message says why, and what to do."""


@dataclass(frozen=True)
class DownloadedModel:
    """A version's files on this machine: `folder` contains the file MLmodel."""

    folder: Path
    model_version: ModelVersion


def download(settings: ServingSettings, folder: Path) -> DownloadedModel:
    """Download the version that the settings select into `folder`; nothing of it is loaded yet.

    Raises ModelError: MLflow does not answer, there is no such version, files are missing or corrupt, or the
    environment is not the contract's.
    """
    subject = f"The model {settings.model_name} ({settings.version_selector}) is not served."
    try:
        terms = contract.load()
        terms.check_environment("This server", platform.python_version(), _installed_versions(terms))
        registry = ModelRegistry.connect(settings.mlflow_tracking_uri)
        registered = _select(registry, settings)
        if registered is None:
            raise ModelError(
                f"{subject} MLflow at {registry.uri} has no such version. Register it, or change MODEL_NAME, "
                "MODEL_VERSION, MODEL_ALIAS or MODEL_STAGE."
            )
        model_version = registered.model_version
        if not registered.is_ready:
            raise ModelError(f"{subject} {model_version} is {registered.state} in MLflow, and must be READY.")
        local = registry.download(model_version.uri, folder)
        contract.admit(local, terms)
    except LifecycleError as error:
        raise ModelError(f"{subject} {error}") from None
    return DownloadedModel(local, model_version)


def _select(registry: ModelRegistry, settings: ServingSettings) -> RegisteredVersion | None:
    if settings.model_version is not None:
        return registry.find_version(settings.model_name, str(settings.model_version))
    if settings.selecting_alias:
        return registry.find_by_alias(settings.model_name, settings.selecting_alias)
    return registry.find_in_stage(settings.model_name, settings.model_stage)


def _installed_versions(terms: contract.Contract) -> dict[str, str]:
    versions = {}
    for name in terms.libraries:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "none"
    return versions
