"""The gate lets a good model pass, and says by threshold, margin or slice why it stops another.

Real parts: an MLflow server, models that it stores, and the serving environment's interpreter that loads them.
The flawed models are real ones too, trained on labels that were spoiled on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import skops.io
from mlflow import MlflowClient
from sklearn.ensemble import RandomForestClassifier

from lifecycle import contract
from lifecycle.contract import LifecycleError, UnreachableError
from lifecycle.training import data, lineage, logbook, models
from lifecycle.training.gate import GateReport, judge, judge_model, record
from lifecycle.training.settings import GateSettings
from registry_server import serving_mlflow

LENIENT = GateSettings(min_accuracy=0.5, min_recall=0.3, margin=0.02)
PARAMETERS = {"n_estimators": 60, "max_depth": 8}


@pytest.fixture(scope="module")
def client(mlflow_server: str) -> MlflowClient:
    return contract.connect(mlflow_server)


@pytest.fixture(scope="module")
def good(client: MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    return publish(client, tmp_path_factory.mktemp("good"), "judged")


@pytest.fixture(scope="module")
def blind_on_a_slice(client: MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Calls what is malignant in fine tissue benign: 6 % of all rows, 12 % of that slice."""

    def spoil(rows: pd.DataFrame) -> pd.DataFrame:
        fine = rows["mean_texture"] < data.SLICES[0].boundary
        return rows.assign(target=rows["target"].where(~fine, 0))

    return publish(client, tmp_path_factory.mktemp("blind"), "judged", spoil)


@pytest.fixture
def no_champion(client: MlflowClient, good: str) -> None:  # noqa: ARG001 (it has registered the name)
    """The tests of one server share it: each says who its champion is."""
    if "champion" in client.get_registered_model("judged").aliases:
        client.delete_registered_model_alias("judged", "champion")


def publish(
    client: MlflowClient,
    folder: Path,
    name: str,
    spoil: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
) -> str:
    """Train on spoiled rows, evaluate on true ones, and register; returns the version."""
    train_on, held_out = data.split(data.shipped())
    files = {
        "evaluation/held-out.parquet": folder / "held-out.parquet",
        "evaluation/slices.json": folder / "slices.json",
    }
    held_out.to_parquet(files["evaluation/held-out.parquet"])
    files["evaluation/slices.json"].write_text(json.dumps([each.column for each in data.SLICES]))
    skops.io.dump(models.FAMILIES["random-forest"].fit(spoil(train_on), PARAMETERS), folder / "model.skops")
    run = lineage.start(client, "gate", name, "0" * 32, "c0ffee")
    tuning = {"family": "random-forest", "parameters": PARAMETERS, "accuracy": 0.95}
    logged = logbook.write(run, [tuning], [folder / "model.skops"], train_on, files)
    return logbook.register(run, logged, GateReport(True, [], {})).version


@pytest.mark.usefixtures("no_champion")
def test_a_good_model_passes_where_there_is_no_champion(client: MlflowClient, good: str) -> None:
    report = judge(client, "judged", good, GateSettings())
    assert report.passed, report.reasons
    assert report.reasons == []
    assert set(report.metrics) >= {"accuracy", "recall", "texture/fine/accuracy", "outline/ragged/accuracy"}


@pytest.mark.usefixtures("no_champion")
def test_a_model_below_a_threshold_fails_with_value_and_threshold(client: MlflowClient, good: str) -> None:
    report = judge(client, "judged", good, GateSettings(min_accuracy=0.999, min_recall=0.999))
    assert not report.passed
    accuracy, recall = report.metrics["accuracy"], report.metrics["recall"]
    assert report.reasons == [
        f"accuracy is {accuracy:.4f}, the threshold is 0.999",
        f"recall is {recall:.4f}, the threshold is 0.999",
    ]


@pytest.mark.usefixtures("no_champion")
def test_a_model_worse_than_the_champion_by_more_than_the_margin_fails(
    client: MlflowClient, good: str, blind_on_a_slice: str
) -> None:
    client.set_registered_model_alias("judged", "champion", good)
    report = judge(client, "judged", blind_on_a_slice, LENIENT)
    assert not report.passed
    assert any(reason.startswith("accuracy is ") and f"models:/judged/{good}" in reason for reason in report.reasons)
    assert report.metrics["champion/accuracy"] > report.metrics["accuracy"] + LENIENT.margin


@pytest.mark.usefixtures("no_champion")
def test_a_model_that_keeps_the_margin_but_not_on_a_slice_fails(
    client: MlflowClient, good: str, blind_on_a_slice: str
) -> None:
    client.set_registered_model_alias("judged", "champion", good)
    report = judge(client, "judged", blind_on_a_slice, LENIENT.model_copy(update={"margin": 0.08}))
    assert not report.passed
    assert any(reason.startswith("texture/fine/accuracy is ") for reason in report.reasons)
    assert not any(reason.startswith("accuracy is ") for reason in report.reasons)


@pytest.mark.usefixtures("no_champion")
def test_the_champion_passes_its_own_gate(client: MlflowClient, good: str) -> None:
    client.set_registered_model_alias("judged", "champion", good)
    assert judge(client, "judged", good, GateSettings()).passed


@pytest.mark.usefixtures("no_champion")
def test_a_champion_that_cannot_be_loaded_stops_the_challenger(client: MlflowClient, good: str, tmp_path: Path) -> None:
    run_id = unloadable(client, tmp_path)
    broken = client.create_model_version("judged", f"runs:/{run_id}/pickled", run_id).version
    client.set_registered_model_alias("judged", "champion", broken)
    report = judge(client, "judged", good, GateSettings())
    assert not report.passed
    assert "The champion cannot be compared with: The model in " in report.reasons[0]


def test_a_model_without_its_artifact_fails(client: MlflowClient, good: str) -> None:
    run_id = client.get_model_version("judged", good).run_id
    gone = client.create_model_version("judged", f"runs:/{run_id}/nothing", run_id)
    report = judge(client, "judged", gone.version, GateSettings())
    assert not report.passed
    assert "is missing from MLflow's store" in report.reasons[0]


def test_a_model_of_no_run_fails(client: MlflowClient, good: str) -> None:
    report = judge_model(client, "judged", f"models:/judged/{good}", "", GateSettings())
    assert report.reasons == [
        "The model version names no run, so its held-out data is unknown. Register it from its run."
    ]


@pytest.mark.usefixtures("no_champion")
def test_a_model_that_is_not_the_one_its_run_evaluated_fails(
    client: MlflowClient, good: str, blind_on_a_slice: str
) -> None:
    other = client.get_model_version("judged", blind_on_a_slice).source
    run_id = client.get_model_version("judged", good).run_id
    swapped = client.create_model_version("judged", other, run_id, model_id=other.removeprefix("models:/"))
    report = judge(client, "judged", swapped.version, LENIENT)
    assert not report.passed
    assert "not the model that was evaluated" in report.reasons[0]


def test_a_version_that_does_not_exist_is_an_error_not_a_verdict(client: MlflowClient, good: str) -> None:  # noqa: ARG001
    with pytest.raises(LifecycleError, match=r"refuses: .*not found"):
        judge(client, "judged", "4711", GateSettings())


def test_the_verdict_is_written_as_tags_and_artifact(client: MlflowClient, good: str, tmp_path: Path) -> None:
    run_id = client.get_model_version("judged", good).run_id
    record(client, run_id, GateReport(False, ["recall is 0.1, the threshold is 0.85"], {"recall": 0.1}))
    tags = client.get_run(run_id).data.tags
    assert tags["groundwork.gate"] == "failed"
    assert tags["groundwork.gate_reasons"] == "recall is 0.1, the threshold is 0.85"
    report = contract.download(client, f"runs:/{run_id}/gate/report.json", tmp_path)
    assert json.loads(report.read_text())["metrics"] == {"recall": 0.1}


def test_a_server_that_goes_away_is_no_verdict(tmp_path: Path) -> None:
    with serving_mlflow(tmp_path) as uri:
        client = contract.connect(uri)
    with pytest.raises(UnreachableError, match="stopped answering"):
        judge(client, "judged", "1", GateSettings())


def unloadable(client: MlflowClient, folder: Path) -> str:
    """A model saved as a pickle, as other tools do, in the folder `pickled` of the run that is returned."""
    table = data.shipped()
    classifier = RandomForestClassifier(2).fit(table[data.FEATURES], table["target"])
    mlflow.sklearn.save_model(classifier, folder / "pickled", serialization_format="cloudpickle", pip_requirements=[])
    run = lineage.start(client, "gate", "judged", "0" * 32, "c0ffee")
    client.log_artifacts(run.run_id, str(folder / "pickled"), "pickled")
    return run.run_id
