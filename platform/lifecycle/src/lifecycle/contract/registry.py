"""MLflow as this package meets it: reached or not, and models brought from it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.contract.errors import ContractError, LifecycleError, UnreachableError

if TYPE_CHECKING:
    from mlflow import MlflowClient  # takes seconds to import, and most steps do without

# MLflow itself tries seven times with growing pauses, minutes in all (MLFLOW_HTTP_REQUEST_MAX_RETRIES). A queue or
# a pipeline around us tries again anyway.
_TRIES = "2"
_PATIENCE = 10.0  # seconds until a server that does not answer counts as not there

# How MLflow's client words what may go well later; it has no type for it (mlflow/utils/rest_utils.py, 3.17).
_LATER = re.compile(r"failed with (timeout )?exception|error code 5\d\d|Max retries exceeded|too many 5\d\d")


def connect(uri: str) -> MlflowClient:
    """A client of the MLflow server at `uri`, which has just answered.

    Raises UnreachableError when nothing, or something else, answers there.
    """
    import httpx
    from mlflow import MlflowClient

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _TRIES)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        httpx.get(f"{uri.rstrip('/')}/health", timeout=_PATIENCE).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachableError(
            f"MLflow does not answer at {uri!r} ({error}). Start it, or set MLFLOW_TRACKING_URI to where it is."
        ) from None
    return MlflowClient(uri, uri)


@contextmanager
def asking(client: MlflowClient) -> Iterator[None]:
    """Turns what MLflow's client raises into errors for people.

    Raises UnreachableError when the server is gone, LifecycleError when it refuses.
    """
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except requests.exceptions.ConnectionError as error:
        raise _gone(client, error) from None
    except MlflowException as error:
        if _LATER.search(error.message) or error.error_code == "TEMPORARILY_UNAVAILABLE":
            raise _gone(client, error) from None
        raise LifecycleError(f"MLflow at {client.tracking_uri} refuses: {error.message}") from None


def download(client: MlflowClient, uri: str, destination: Path) -> Path:
    """Bring a model, or another artifact, into the folder `destination`; returns where it stands.

    `uri` is `models:/name/3`, `models:/m-...` or `runs:/...`.
    Raises ContractError when there is no such artifact, UnreachableError when the server is gone.
    """
    from mlflow import artifacts

    destination.mkdir(parents=True, exist_ok=True)
    try:
        with asking(client):
            found = artifacts.download_artifacts(
                _location(client, uri), dst_path=str(destination), tracking_uri=client.tracking_uri
            )
    except UnreachableError:
        raise
    except (LifecycleError, OSError) as error:
        raise ContractError(f"The artifact {uri} is missing from MLflow's store, or cannot be read: {error}") from None
    path = Path(found)
    if path.is_dir() and not any(path.iterdir()):
        raise ContractError(f"The artifact {uri} is missing from MLflow's store: its folder is empty. Train again.")
    return path


def _location(client: MlflowClient, uri: str) -> str:
    """Where a model's files are. MLflow would look up `models:/` at the process's server, not at the client's."""
    if uri.startswith("models:/m-"):
        return str(client.get_logged_model(uri.removeprefix("models:/")).artifact_location)
    if uri.startswith("models:/"):
        name, version = uri.removeprefix("models:/").rsplit("/", 1)
        return _location(client, str(client.get_model_version(name, version).source))
    return uri


def _gone(client: MlflowClient, error: Exception) -> UnreachableError:
    return UnreachableError(
        f"MLflow at {client.tracking_uri} stopped answering: {str(error)[:300]}. Try again when it is up."
    )
