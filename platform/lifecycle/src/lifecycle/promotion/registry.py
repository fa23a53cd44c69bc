"""MLflow's model registry, as promotion and rollout need it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from lifecycle.contract import LifecycleError
from lifecycle.gitops.manifests import CHALLENGER, CHAMPION, Lineage

__all__ = ["CHALLENGER", "CHAMPION", "Candidate", "Registry", "RegistryError"]

STATUS = "groundwork.status"
_DATA_VERSION = "groundwork.data_version"
_GIT_COMMIT = "groundwork.git_commit"
# In MLflow's words, because its codes do not tell: an alias that is not set has that of a malformed request, and any
# stranger's 404 has that of a model that does not exist.
# https://github.com/mlflow/mlflow/blob/v3.17.2/mlflow/store/model_registry/sqlalchemy_store.py
_ABSENT = re.compile(r"(Registered Model with name=|Model Version \(name=|Registered model alias ).*not found")

# Events wait in the inbox and are tried again from there: a call that blocks for minutes would only hold up others.
_IMPATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}

T = TypeVar("T")


class RegistryError(LifecycleError):
    """The registry did not answer as it should now."""


@dataclass(frozen=True)
class Candidate:
    """A version as the registry has it; `ready` is MLflow's state READY, `failed` FAILED_REGISTRATION."""

    lineage: Lineage
    state: str
    status: str

    @property
    def ready(self) -> bool:
        return self.state == "READY"

    @property
    def failed(self) -> bool:
        return self.state == "FAILED_REGISTRATION"


class Registry:
    """Every method raises RegistryError when MLflow cannot be reached or fails."""

    def __init__(self, uri: str) -> None:
        for name, value in _IMPATIENCE.items():
            os.environ.setdefault(name, value)
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def at(self, model: str, alias: str) -> Candidate | None:
        """The version that an alias points to; None when there is no such alias, or no such model."""
        found = _asked(lambda: self.client.get_model_version_by_alias(model, alias))
        return None if found is None else _candidate(found)

    def has(self, model: str) -> bool:
        return _asked(lambda: self.client.get_registered_model(model)) is not None

    def version(self, model: str, version: str) -> Candidate | None:
        found = _asked(lambda: self.client.get_model_version(model, version))
        return None if found is None else _candidate(found)

    def mark(self, model: str, version: str, status: str) -> None:
        """Set the version's status tag; a version that is gone needs none."""
        # The client's own method asks first whether the model is a prompt, which costs the server as much again.
        registry = self.client._get_registry_client()  # type: ignore[no-untyped-call]
        _asked(lambda: registry.set_model_version_tag(model, version, STATUS, status))

    def point(self, model: str, alias: str, version: str) -> None:
        """Let an alias point to a version, if it does not yet: each setting fires MLflow's webhooks."""
        now = self.at(model, alias)
        if now is None or now.lineage.version != version:
            _asked(lambda: self.client.set_registered_model_alias(model, alias, version))

    def withdraw(self, model: str, alias: str, version: str) -> None:
        """Remove an alias if it points to this version."""
        now = self.at(model, alias)
        if now is not None and now.lineage.version == version:
            _asked(lambda: self.client.delete_registered_model_alias(model, alias))

    def challengers(self) -> list[Candidate]:
        """What every model's challenger alias points to."""
        models = _asked(lambda: _all_models(self.client)) or []
        return [found for name in models if (found := self.at(name, CHALLENGER)) is not None]


def _all_models(client: MlflowClient) -> list[str]:
    names: list[str] = []
    token: str | None = None
    while True:
        page = client.search_registered_models(page_token=token)
        names += [model.name for model in page if CHALLENGER in model.aliases]
        token = page.token
        if not token:
            return names


def _candidate(version: ModelVersion) -> Candidate:
    tags = version.tags
    lineage = Lineage(
        model=version.name,
        version=str(version.version),
        run_id=version.run_id or "",
        data_version=tags.get(_DATA_VERSION, ""),
        git_commit=tags.get(_GIT_COMMIT, ""),
    )
    return Candidate(lineage, str(version.status), tags.get(STATUS, ""))


def _asked(call: Callable[[], T]) -> T | None:
    """The answer, None when what was asked for does not exist."""
    try:
        return call()
    except MlflowException as error:
        if _ABSENT.search(error.message):
            return None
        raise RegistryError(f"MLflow: {error.message.splitlines()[0][:300]}") from None
    except OSError as error:
        raise RegistryError(f"MLflow: {type(error).__name__}") from None
