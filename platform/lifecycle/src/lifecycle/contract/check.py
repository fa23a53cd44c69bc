"""The whole check of a model: read its description, then load it in the serving environment and predict."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lifecycle.contract.artifact import admit
from lifecycle.contract.environment import ContractSettings, load
from lifecycle.contract.smoke_test import predict
from lifecycle.core import ModelRegistry


def check(model: str | Path, registry: ModelRegistry | None = None) -> None:
    """Check a model against the contract; `model` is a folder, or a URI (`models:/name/3`) in the registry.

    Without a registry, the one at MLFLOW_TRACKING_URI is used.
    Raises ContractError naming what does not fit, with both versions if it is a version; ArtifactError if the model is
    missing; UnreachableError if MLflow does not answer.
    """
    contract = load()
    with tempfile.TemporaryDirectory() as scratch:
        folder = model if isinstance(model, Path) else _download(model, registry, Path(scratch, "model"))
        predict(admit(folder, contract), contract, ContractSettings())


def _download(uri: str, registry: ModelRegistry | None, destination: Path) -> Path:
    from mlflow import get_tracking_uri

    return (registry or ModelRegistry.connect(get_tracking_uri())).download(uri, destination)
