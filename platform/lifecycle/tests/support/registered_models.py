"""Registered models in a real MLflow."""

from __future__ import annotations

import uuid

from mlflow import MlflowClient

from lifecycle.core import CHALLENGER, Lineage
from lifecycle.core.names import STATUS_TAG

DATA_VERSION, GIT_COMMIT = "data-7", "c0ffee"


class RegisteredModels:
    """Models with names that no other test uses."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def create(self) -> str:
        """Register a model; returns its name."""
        name = f"model-{uuid.uuid4().hex[:8]}"
        self.client.create_registered_model(name)
        return name

    def create_version(self, name: str, alias: str = CHALLENGER) -> str:
        """Create a version with a run and its lineage, and set the alias on it."""
        run = self.client.create_run("0")
        version = self.client.create_model_version(
            name,
            f"{run.info.artifact_uri}/model",
            run.info.run_id,
            tags=Lineage(data_version=DATA_VERSION, git_commit=GIT_COMMIT).tags,
        )
        if alias:
            self.client.set_registered_model_alias(name, alias, version.version)
        return str(version.version)

    def run_id(self, name: str, version: str) -> str:
        return str(self.client.get_model_version(name, version).run_id)

    def status(self, name: str, version: str) -> str:
        return str(self.client.get_model_version(name, version).tags.get(STATUS_TAG, ""))

    def alias(self, name: str, alias: str) -> str:
        return str(self.client.get_registered_model(name).aliases.get(alias, ""))
