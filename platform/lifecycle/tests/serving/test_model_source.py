"""Models that cannot be served are rejected before anything is served, with the reason and the remedy.

The artifacts are real ones from a real registry, damaged on purpose.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

from lifecycle.core import ModelVersion
from lifecycle.serving import model
from lifecycle.serving.model_source import DownloadedModel, ModelError, download
from lifecycle.serving.settings import ServingSettings
from support.network import free_port
from support.serving import FEATURES, start
from support.waiting import TIMEOUT


def remove_weights(folder: Path) -> None:
    (folder / "model.skops").unlink()


def cut_weights(folder: Path) -> None:
    weights = (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(weights[: len(weights) // 2])


def remove_description(folder: Path) -> None:
    (folder / "MLmodel").unlink()


def other_library(folder: Path) -> None:
    edit(folder, "sklearn_version: 1.9.1", "sklearn_version: 1.2.0")


def other_python(folder: Path) -> None:
    edit(folder, "python_version: 3.11", "python_version: 3.12")


def pickled(folder: Path) -> None:
    edit(folder, "serialization_format: skops", "serialization_format: pickle")


def without_signature(folder: Path) -> None:
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text[: text.index("signature:")])


def without_a_column(folder: Path) -> None:
    """The model fails on its own example then."""
    example = folder / "input_example.json"
    content = json.loads(example.read_text())
    example.write_text(json.dumps({"columns": content["columns"][:3], "data": [row[:3] for row in content["data"]]}))


def edit(folder: Path, old: str, new: str) -> None:
    text = (folder / "MLmodel").read_text()
    assert old in text
    (folder / "MLmodel").write_text(text.replace(old, new))


DAMAGES: dict[Callable[[Path], None], str] = {
    remove_weights: "lacks its file model.skops",
    cut_weights: "cannot be loaded",
    remove_description: "no file MLmodel|missing",
    other_library: "scikit-learn 1.2.0, the serving contract requires 1.9.1",
    other_python: "Python 3.12.*contract requires 3.11",
    pickled: "saved as 'pickle'",
    without_signature: "signature",
    without_a_column: "fails on its own input example",
}


@pytest.fixture(scope="module")
def saved(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sound model."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    MlflowClient(registry)
    local = mlflow.artifacts.download_artifacts("models:/plain@champion", dst_path=str(folder))
    return Path(local)


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.items(), ids=[damage.__name__ for damage in DAMAGES])
def test_a_damaged_or_incompatible_artifact_is_rejected_with_its_reason(
    registry: str, saved: Path, tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    name = f"damaged-{damage.__name__}"
    settings = register_damaged(registry, saved, tmp_path, damage, name)
    with pytest.raises(ModelError, match=reason):
        model.load(download(settings, tmp_path / "downloaded"), 32)


def test_the_process_logs_the_reason_and_exits_with_3(registry: str, saved: Path, tmp_path: Path) -> None:
    register_damaged(registry, saved, tmp_path, cut_weights, "damaged-for-a-process")
    log = tmp_path / "log"
    process = start(registry, log, MODEL_NAME="damaged-for-a-process", PORT=free_port(), WORKERS=2)
    assert process.wait(TIMEOUT) == 3
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line for line in lines if line["level"] == "error" and "cannot be loaded" in line["message"]]
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"model_name": "never-registered"}, "never-registered"),
        ({"model_name": "plain", "model_version": 99}, "version 99"),
        ({"model_name": "plain", "model_alias": "nobody"}, "alias nobody"),
        ({"model_name": "plain", "model_stage": "Production"}, "stage Production"),
        ({"model_name": "plain", "mlflow_tracking_uri": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
def test_a_model_that_is_not_in_the_registry_is_reported(
    registry: str, tmp_path: Path, values: dict[str, object], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        download(settings_of(**{"mlflow_tracking_uri": registry, **values}), tmp_path)


def test_the_version_takes_precedence_over_the_alias_and_the_alias_over_the_stage(
    registry: str, tmp_path: Path
) -> None:
    def selector(**values: object) -> str:
        return settings_of(mlflow_tracking_uri=registry, model_name="plain", **values).version_selector

    assert selector() == "alias champion"
    assert selector(model_stage="Production") == "stage Production"
    assert selector(model_stage="Production", model_alias="challenger") == "alias challenger"
    assert selector(model_stage="Production", model_alias="challenger", model_version=7) == "version 7"
    MlflowClient(registry).transition_model_version_stage("plain", "1", "Staging")
    assert (
        download(
            settings_of(mlflow_tracking_uri=registry, model_name="plain", model_stage="Staging"), tmp_path
        ).model_version.version
        == "1"
    )


def test_a_feature_of_an_unsupported_type_is_rejected(tmp_path: Path) -> None:
    table = pd.DataFrame(np.ones((4, 4)), columns=FEATURES)
    signature = mlflow.models.ModelSignature(
        mlflow.types.Schema([mlflow.types.ColSpec("binary", name) for name in FEATURES]),
        mlflow.types.Schema([mlflow.types.ColSpec("double")]),
    )
    fitted = LinearRegression().fit(table, np.ones(4))
    options = {"signature": signature, "serialization_format": "skops", "pip_requirements": []}
    mlflow.sklearn.save_model(fitted, tmp_path / "m", **options)
    with pytest.raises(ModelError, match="has the input 'alcohol' of type"):
        model.load(DownloadedModel(tmp_path / "m", ModelVersion("m", "1")), 32)


def register_damaged(
    registry: str, saved: Path, scratch: Path, damage: Callable[[Path], None], name: str
) -> ServingSettings:
    """Register a damaged copy of the sound model; returns the settings to serve it."""
    folder = scratch / "model"
    shutil.copytree(saved, folder)
    damage(folder)
    client = MlflowClient(registry)
    client.create_registered_model(name)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "model")
    version = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias(name, "champion", version.version)
    return settings_of(mlflow_tracking_uri=registry, model_name=name)


def settings_of(**values: object) -> ServingSettings:
    return ServingSettings.model_validate(values)
