"""The registry adapter translates the errors of MLflow's client, and downloads artifacts."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError, ServiceRequestError
from botocore.exceptions import ClientError, EndpointConnectionError
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


def with_status(status: int) -> ClientError:
    return ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (with_status(404), ArtifactError),
        (with_status(403), UnreachableError),
        (with_status(503), UnreachableError),
        (EndpointConnectionError(endpoint_url="https://s3"), UnreachableError),
        (ServiceRequestError("no route to host"), UnreachableError),
        (ResourceNotFoundError("gone"), ArtifactError),
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (FileNotFoundError(errno.ENOENT, "No such file"), ArtifactError),
    ],
)
def test_a_store_that_does_not_answer_is_not_a_missing_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, error: type[Exception]
) -> None:
    if isinstance(failure, ResourceNotFoundError):
        failure.status_code = 404

    def fail(*_: object, **__: object) -> str:
        raise failure

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", fail)
    with pytest.raises(error) as caught:
        ModelRegistry("http://mlflow").download("runs:/run/evaluation", tmp_path)
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
