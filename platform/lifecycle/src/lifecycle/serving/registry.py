"""The served version: found in the MLflow registry, brought to this machine, held to the serving contract."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from lifecycle import contract
from lifecycle.contract import LifecycleError
from lifecycle.serving.settings import Settings


class ModelError(Exception):
    """The model cannot be served; the message says why, and what to do."""


@dataclass(frozen=True)
class Artifact:
    """A version's files on this machine: `folder` has its MLmodel."""

    folder: Path
    name: str
    version: str


def fetch(settings: Settings, folder: Path) -> Artifact:
    """Bring the version that the settings choose into `folder`; nothing of it is loaded yet.

    Raises ModelError: no registry, no such version, files missing or corrupt, another environment than the contract's.
    """
    what = f"The model {settings.model_name} ({settings.choice}) is not served."
    try:
        terms = contract.load()
        terms.compare("This server", platform.python_version(), _installed(terms))
        client = contract.connect(settings.mlflow_tracking_uri)
        with contract.asking(client):
            found = _resolve(client, settings)
        if found.status != "READY":
            raise ModelError(f"{what} Version {found.version} is {found.status}; only a READY one is.")
        local = contract.download(client, f"models:/{found.name}/{found.version}", folder)
        contract.admit(local, terms)
    except LifecycleError as error:
        raise ModelError(f"{what} {error}") from None
    return Artifact(local, found.name, str(found.version))


def _resolve(client: MlflowClient, settings: Settings) -> ModelVersion:
    if settings.model_version is not None:
        return client.get_model_version(settings.model_name, str(settings.model_version))
    if settings.alias:
        return client.get_model_version_by_alias(settings.model_name, settings.alias)
    versions: list[ModelVersion] = client.get_latest_versions(settings.model_name, stages=[settings.model_stage])
    if not versions:
        raise LifecycleError(f"No version is in stage {settings.model_stage}. Move one there, or set MODEL_ALIAS.")
    return versions[0]


def _installed(terms: contract.Contract) -> dict[str, str]:
    versions = {}
    for name in terms.libraries:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "none"
    return versions
