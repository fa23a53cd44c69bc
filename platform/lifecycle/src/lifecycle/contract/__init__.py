"""The serving contract: one environment for training and serving, and models held to it before they serve.

`check` is the whole of it. It downloads the model, reads what it says of itself, then loads it with the contract's
own interpreter and asks it for predictions.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.contract.artifact import Artifact, admit
from lifecycle.contract.environment import Contract, Settings, load, text
from lifecycle.contract.errors import ContractError, LifecycleError, UnreachableError
from lifecycle.contract.registry import asking, connect, download
from lifecycle.contract.trial import predict

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "Artifact",
    "Contract",
    "ContractError",
    "LifecycleError",
    "Settings",
    "UnreachableError",
    "admit",
    "asking",
    "check",
    "connect",
    "download",
    "load",
    "predict",
    "text",
]


def check(model: str | Path, client: MlflowClient | None = None) -> None:
    """Hold a model to the contract; `model` is a folder, or a URI (`models:/name/3`) at the client's MLflow.

    Without a client, MLFLOW_TRACKING_URI says where that is.

    Raises ContractError naming what does not fit, with both versions where it is a version; UnreachableError when
    MLflow does not answer.
    """
    contract = load()
    with tempfile.TemporaryDirectory() as scratch:
        folder = model if isinstance(model, Path) else _bring(model, client, Path(scratch, "model"))
        predict(admit(folder, contract), contract, Settings())


def _bring(uri: str, client: MlflowClient | None, destination: Path) -> Path:
    from mlflow import get_tracking_uri

    return download(client or connect(get_tracking_uri()), uri, destination)
