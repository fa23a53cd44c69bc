"""The registry adapter translates the errors of MLflow's client, and downloads artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from lifecycle.core import ArtifactError, LifecycleError, ModelRegistry, RegistryError, UnreachableError
from support.network import UNUSED_URL


def test_a_registry_that_does_not_answer_is_one_message() -> None:
    with pytest.raises(
        UnreachableError, match=r"MLflow does not answer at 'http://127.0.0.1:9' .* set MLFLOW_TRACKING_URI"
    ):
        ModelRegistry.connect(UNUSED_URL)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("API request to http://mlflow/api failed with exception Connection refused", UnreachableError),
        ("API request to http://mlflow/api failed with timeout exception read timed out", UnreachableError),
        ("API request to endpoint /api failed with error code 503 != 200", UnreachableError),
        ("The following failures occurred while downloading: Max retries exceeded with url", UnreachableError),
        ("API request to endpoint /api failed with error code 404 != 200", RegistryError),
    ],
)
def test_transient_failures_differ_from_rejected_calls(message: str, error: type[LifecycleError]) -> None:
    registry = ModelRegistry("http://mlflow")
    with pytest.raises(LifecycleError) as caught, registry.translate_errors():
        raise MlflowException(message)
    assert type(caught.value) is error


def test_an_artifact_that_mlflow_does_not_have_is_an_error(mlflow_server: str, tmp_path: Path) -> None:
    registry = ModelRegistry.connect(mlflow_server)
    with pytest.raises(ArtifactError, match="models:/nobody/1 is missing from MLflow's store"):
        registry.download("models:/nobody/1", tmp_path)


@pytest.mark.parametrize("alias", ["champion", "challenger"])
def test_an_entity_that_does_not_exist_is_none(mlflow_server: str, alias: str) -> None:
    registry = ModelRegistry.connect(mlflow_server)
    assert not registry.has_model("nobody")
    assert registry.find_version("nobody", "1") is None
    assert registry.find_by_alias("nobody", alias) is None
    assert registry.find_in_stage("nobody", "Production") is None
