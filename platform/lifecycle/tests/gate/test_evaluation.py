"""The gate lets a good model pass, and names the threshold, margin or slice for which it rejects another.

Real parts: an MLflow server, models in its store, and once the serving environment's interpreter that loads them. The
bad models are trained on spoiled labels.
"""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.ensemble import RandomForestClassifier

from lifecycle import contract
from lifecycle.contract import Artifact, probe
from lifecycle.core import LifecycleError, ModelRegistry, UnreachableError
from lifecycle.gate import GateReport, GateSettings, evaluate_model, evaluate_version, log_report
from lifecycle.training import data, run
from support.network import UNUSED_URL
from support.training import DATA_VERSION, EXPERIMENT, GIT_COMMIT, train_and_register

MODEL = "evaluated"
LENIENT = GateSettings(min_accuracy=0.5, min_recall=0.3, margin=0.02)


@pytest.fixture
def predict_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predict without a separate interpreter, which tests/contract and the first test here prove."""

    def predict(artifact: Artifact, terms: object, settings: object, rows: Path) -> list[float]:  # noqa: ARG001
        return probe.predict(probe.load(str(artifact.folder)), str(rows))

    monkeypatch.setattr(contract, "predict", predict)


@pytest.fixture(scope="module")
def registry(mlflow_server: str) -> ModelRegistry:
    return ModelRegistry.connect(mlflow_server)


@pytest.fixture(scope="module")
def client(registry: ModelRegistry) -> MlflowClient:
    return registry.client


@pytest.fixture(scope="module")
def good(registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> str:
    return train_and_register(registry, tmp_path_factory.mktemp("good"), MODEL).version


@pytest.fixture(scope="module")
def blind_on_a_slice(registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Predicts benign for malignant rows of fine texture: 6 % of all rows, 12 % of that slice."""

    def spoil(rows: pd.DataFrame) -> pd.DataFrame:
        fine = rows["mean_texture"] < data.SLICES[0].boundary
        return rows.assign(target=rows["target"].where(~fine, 0))

    return train_and_register(registry, tmp_path_factory.mktemp("blind"), MODEL, spoil).version


@pytest.fixture
def no_champion(registry: ModelRegistry, client: MlflowClient, good: str) -> None:  # noqa: ARG001 (it has registered the name)
    """The tests share a server: each sets its own champion."""
    if "champion" in client.get_registered_model(MODEL).aliases:
        client.delete_registered_model_alias(MODEL, "champion")


@pytest.mark.usefixtures("no_champion")
def test_a_good_model_passes_without_a_champion(registry: ModelRegistry, good: str) -> None:
    report = evaluate_version(registry, MODEL, good, GateSettings())
    assert report.passed, report.reasons
    assert report.reasons == []
    assert set(report.metrics) >= {"accuracy", "recall", "texture/fine/accuracy", "outline/ragged/accuracy"}


@pytest.mark.usefixtures("no_champion", "predict_in_process")
def test_a_model_below_a_threshold_fails_with_value_and_threshold(registry: ModelRegistry, good: str) -> None:
    report = evaluate_version(registry, MODEL, good, GateSettings(min_accuracy=0.999, min_recall=0.999))
    assert not report.passed
    accuracy, recall = report.metrics["accuracy"], report.metrics["recall"]
    assert report.reasons == [
        f"accuracy is {accuracy:.4f}, the threshold is 0.999",
        f"recall is {recall:.4f}, the threshold is 0.999",
    ]


@pytest.mark.usefixtures("no_champion", "predict_in_process")
def test_a_model_worse_than_the_champion_by_more_than_the_margin_fails(
    registry: ModelRegistry, client: MlflowClient, good: str, blind_on_a_slice: str
) -> None:
    client.set_registered_model_alias(MODEL, "champion", good)
    report = evaluate_version(registry, MODEL, blind_on_a_slice, LENIENT)
    assert not report.passed
    assert any(reason.startswith("accuracy is ") and f"models:/{MODEL}/{good}" in reason for reason in report.reasons)
    assert report.metrics["champion/accuracy"] > report.metrics["accuracy"] + LENIENT.margin


@pytest.mark.usefixtures("no_champion", "predict_in_process")
def test_a_model_within_the_margin_but_not_on_a_slice_fails(
    registry: ModelRegistry, client: MlflowClient, good: str, blind_on_a_slice: str
) -> None:
    client.set_registered_model_alias(MODEL, "champion", good)
    report = evaluate_version(registry, MODEL, blind_on_a_slice, LENIENT.model_copy(update={"margin": 0.08}))
    assert not report.passed
    assert any(reason.startswith("texture/fine/accuracy is ") for reason in report.reasons)
    assert not any(reason.startswith("accuracy is ") for reason in report.reasons)


@pytest.mark.usefixtures("no_champion", "predict_in_process")
def test_the_champion_passes_its_own_gate(registry: ModelRegistry, client: MlflowClient, good: str) -> None:
    client.set_registered_model_alias(MODEL, "champion", good)
    assert evaluate_version(registry, MODEL, good, GateSettings()).passed


@pytest.mark.usefixtures("no_champion", "predict_in_process")
def test_a_champion_that_cannot_be_loaded_fails_the_challenger(
    registry: ModelRegistry, client: MlflowClient, good: str, tmp_path: Path
) -> None:
    run_id = log_pickle(registry, tmp_path)
    broken = client.create_model_version(MODEL, f"runs:/{run_id}/pickled", run_id).version
    client.set_registered_model_alias(MODEL, "champion", broken)
    report = evaluate_version(registry, MODEL, good, GateSettings())
    assert not report.passed
    assert "The champion cannot be compared with: The model in " in report.reasons[0]


def test_a_model_without_its_artifact_fails(registry: ModelRegistry, client: MlflowClient, good: str) -> None:
    run_id = client.get_model_version(MODEL, good).run_id
    missing = client.create_model_version(MODEL, f"runs:/{run_id}/nothing", run_id)
    report = evaluate_version(registry, MODEL, missing.version, GateSettings())
    assert not report.passed
    assert "is missing from MLflow's store" in report.reasons[0]


def test_a_model_without_a_run_fails(registry: ModelRegistry, good: str) -> None:
    report = evaluate_model(registry, MODEL, f"models:/{MODEL}/{good}", "", GateSettings())
    assert report.reasons == [
        "The model version has no run, so its held-out data is unknown. Register it from its run."
    ]


@pytest.mark.usefixtures("no_champion", "predict_in_process")
def test_a_model_that_is_not_the_one_its_run_evaluated_fails(
    registry: ModelRegistry, client: MlflowClient, good: str, blind_on_a_slice: str
) -> None:
    other = client.get_model_version(MODEL, blind_on_a_slice).source
    run_id = client.get_model_version(MODEL, good).run_id
    swapped = client.create_model_version(MODEL, other, run_id, model_id=other.removeprefix("models:/"))
    report = evaluate_version(registry, MODEL, swapped.version, LENIENT)
    assert not report.passed
    assert "not the model that the run evaluated" in report.reasons[0]


def test_a_version_that_does_not_exist_is_an_error(registry: ModelRegistry, client: MlflowClient, good: str) -> None:  # noqa: ARG001
    with pytest.raises(LifecycleError, match=rf"has no version 4711 of {MODEL}"):
        evaluate_version(registry, MODEL, "4711", GateSettings())


def test_the_report_is_logged_as_tags_and_artifact(
    registry: ModelRegistry, client: MlflowClient, good: str, tmp_path: Path
) -> None:
    run_id = client.get_model_version(MODEL, good).run_id
    log_report(registry, run_id, GateReport(False, ["recall is 0.1, the threshold is 0.85"], {"recall": 0.1}))
    tags = client.get_run(run_id).data.tags
    assert tags["groundwork.gate"] == "failed"
    assert tags["groundwork.gate_reasons"] == "recall is 0.1, the threshold is 0.85"
    report = registry.download(f"runs:/{run_id}/gate/report.json", tmp_path)
    assert json.loads(report.read_text())["metrics"] == {"recall": 0.1}


def test_without_mlflow_the_gate_does_not_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UnreachableError, match="does not answer"):
        evaluate_version(ModelRegistry(UNUSED_URL), MODEL, "1", GateSettings())


def log_pickle(registry: ModelRegistry, folder: Path) -> str:
    """Log a pickled model as the artifact `pickled` of a run; returns the run's ID."""
    table = data.load_shipped()
    classifier = RandomForestClassifier(2).fit(table[data.FEATURES], table["target"])
    mlflow.sklearn.save_model(classifier, folder / "pickled", serialization_format="cloudpickle", pip_requirements=[])
    training_run = run.start(registry, EXPERIMENT, MODEL, DATA_VERSION, GIT_COMMIT)
    registry.client.log_artifacts(training_run.id, str(folder / "pickled"), "pickled")
    return training_run.id
