"""The whole pipeline, with kfp's local runner and a real MLflow server, from the command line.

Not proven: the compiled file on a Kubeflow cluster; only that it agrees with the code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from lifecycle import contract
from lifecycle.core import ModelRegistry
from lifecycle.core.training_report import TrainingOutcome, TrainingReport
from lifecycle.training import data, pipeline
from lifecycle.training.__main__ import main
from lifecycle.training.settings import SubmitSettings
from support.network import UNUSED_URL

ROOT = Path(__file__).resolve().parents[2]
_REPORT = "termination-log"
CHECKED_IN = ROOT / "pipelines" / "training.yaml"


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory, mlflow_server: str) -> dict[str, str]:
    """The environment of these tests' runs."""
    remote = tmp_path_factory.mktemp("data")
    return {"MLFLOW_TRACKING_URI": mlflow_server, "TRAINING_DATA_REMOTE": str(remote), "TRAINING_TRIALS": "2"}


@pytest.fixture(scope="module")
def trained(configuration: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("work")
    process = run(configuration, folder)
    assert process.returncode == 0, process.stderr
    printed: dict[str, Any] = json.loads(process.stdout)
    return {**printed, "report": read_report(folder)}


@pytest.fixture
def registry(mlflow_server: str) -> ModelRegistry:
    return ModelRegistry.connect(mlflow_server)


@pytest.fixture
def client(registry: ModelRegistry) -> MlflowClient:
    return registry.client


def run(settings: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **settings}
    command = [sys.executable, "-m", "lifecycle.training", "run", "--report", str(folder / _REPORT)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def read_report(folder: Path) -> TrainingReport:
    """The report that a Job's container leaves for the service that started it."""
    return TrainingReport.model_validate_json((folder / _REPORT).read_text())


def last_run(client: MlflowClient, experiment: str) -> Run:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    latest: Run = client.search_runs([found.experiment_id], order_by=["attributes.start_time DESC"])[0]
    return latest


def test_the_version_is_registered_as_challenger_with_its_lineage(
    trained: dict[str, Any], client: MlflowClient
) -> None:
    version = client.get_model_version_by_alias("breast-cancer", "challenger")
    assert str(version.version) == trained["version"]
    assert version.run_id == trained["run_id"]
    assert version.status == "READY"
    assert version.tags["groundwork.status"] == "registered"
    assert version.tags["groundwork.gate"] == "passed"
    assert version.tags["groundwork.data_version"] == trained["data_version"]
    assert len(version.tags["groundwork.git_commit"].removesuffix("-dirty")) == 40


def test_the_run_has_metrics_parameters_and_lineage(
    trained: dict[str, Any], registry: ModelRegistry, client: MlflowClient, tmp_path: Path
) -> None:
    logged = client.get_run(trained["run_id"])
    assert logged.info.status == "FINISHED"
    assert trained["metrics"].items() <= logged.data.metrics.items()
    assert "gradient-boosting/cross-validation/accuracy" in logged.data.metrics
    assert logged.data.params["family"] in ("random-forest", "gradient-boosting")
    assert logged.data.tags["groundwork.data_version"] == trained["data_version"]
    assert [each.dataset.digest for each in logged.inputs.dataset_inputs] == [trained["data_version"]]
    environment = registry.download(f"runs:/{trained['run_id']}/environment/contract.yaml", tmp_path)
    assert environment.read_text() == contract.read_text()


@pytest.mark.parametrize(
    "artifact",
    [
        "data/table.csv.dvc",
        "evaluation/held-out.parquet",
        "evaluation/slices.json",
        "drift/reference.json",
        "gate/report.json",
        "tuning/random-forest.json",
        "tuning/gradient-boosting.json",
    ],
)
def test_the_run_has_its_artifacts(
    trained: dict[str, Any], registry: ModelRegistry, artifact: str, tmp_path: Path
) -> None:
    assert registry.download(f"runs:/{trained['run_id']}/{artifact}", tmp_path).stat().st_size > 0


def test_the_model_has_signature_example_and_the_contracts_libraries(
    trained: dict[str, Any], registry: ModelRegistry, tmp_path: Path
) -> None:
    folder = registry.download(f"models:/breast-cancer/{trained['version']}", tmp_path)
    assert contract.admit(folder, contract.load()).inputs == data.FEATURES
    assert contract.load().requirements == (folder / "requirements.txt").read_text().splitlines()
    contract.check(f"models:/breast-cancer/{trained['version']}", registry)


def test_an_earlier_version_of_the_data_can_be_trained_on_again(
    trained: dict[str, Any], configuration: Mapping[str, str], tmp_path: Path, client: MlflowClient
) -> None:
    version = trained["data_version"]
    work = {name: str(tmp_path / name) for name in ("table", "run")}
    assert step("ingest", source=f"dvc:{version}", experiment="again", **settings(configuration), **work) == 0
    assert last_run(client, "again").data.tags["groundwork.data_version"] == version
    assert data.validate(data.read(tmp_path / "table" / "table.csv")).equals(data.load_shipped())


def test_the_latest_data_of_the_remote_become_a_version(
    configuration: Mapping[str, str], tmp_path: Path, client: MlflowClient
) -> None:
    (tmp_path / "remote").mkdir()
    data.load_shipped().to_csv(tmp_path / "remote" / "latest.csv", index=False)
    work = {name: str(tmp_path / name) for name in ("remote", "table", "run")}
    assert step("ingest", source="remote:latest.csv", experiment="latest", **{**settings(configuration), **work}) == 0
    assert len(last_run(client, "latest").data.tags["groundwork.data_version"]) == 32
    assert data.read(tmp_path / "table" / "table.csv").equals(data.load_shipped())


def test_data_that_breaks_its_schema_fails_the_run_with_column_and_rule(
    configuration: Mapping[str, str], tmp_path: Path, client: MlflowClient
) -> None:
    spoiled = data.load_shipped().drop(columns="radius_error")
    spoiled.loc[3, "mean_area"] = -1.0
    spoiled.to_csv(tmp_path / "spoiled.csv", index=False)
    process = run(
        {**configuration, "TRAINING_SOURCE": str(tmp_path / "spoiled.csv"), "TRAINING_EXPERIMENT": "spoiled"}, tmp_path
    )
    assert process.returncode == 1
    assert process.stdout == ""
    assert "validate |   - column mean_area: -1.0 in row 3 breaks the rule in_range(0.0, 10000.0)" in process.stderr
    assert "validate |   - column radius_error is missing" in process.stderr
    assert "Traceback" not in process.stderr
    failed = last_run(client, "spoiled")
    report = read_report(tmp_path)
    assert (report.outcome, report.run_id, report.version) == (TrainingOutcome.FAILED, failed.info.run_id, "")
    assert any("column radius_error is missing" in reason for reason in report.reasons)
    assert failed.info.status == "FAILED"
    assert "radius_error is missing" in failed.data.tags["groundwork.failure"]


def test_a_model_that_the_gate_rejects_is_not_registered(
    trained: dict[str, Any],
    configuration: Mapping[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "run").mkdir()
    run_file = {
        "tracking_uri": configuration["MLFLOW_TRACKING_URI"],
        "model": "breast-cancer",
        "lineage": {
            "run_id": trained["run_id"],
            "data_version": trained["data_version"],
            "git_commit": "c0ffee",
        },
    }
    (tmp_path / "run" / "run.json").write_text(json.dumps(run_file))
    (tmp_path / "evaluation").mkdir()
    uri = f"models:/breast-cancer/{trained['version']}"
    (tmp_path / "evaluation" / "evaluation.json").write_text(
        json.dumps({"family": "random-forest", "uri": uri, "metrics": {}})
    )
    folders = {name: str(tmp_path / name) for name in ("run", "evaluation", "report")}
    assert step("gate", min_accuracy="0.9999", min_recall="0.85", margin="0.02", **folders) == 1
    assert "gate |   - accuracy is 0.9" in capfd.readouterr().err
    assert not (tmp_path / "report").exists()


def test_the_report_of_a_run_names_the_version(trained: dict[str, Any]) -> None:
    report = trained["report"]
    assert report.outcome is TrainingOutcome.RETRAINED
    assert (report.version, report.run_id) == (trained["version"], trained["run_id"])


@pytest.mark.soak
def test_a_run_on_the_latest_data_of_the_remote_that_the_gate_rejects_reports_why(
    configuration: Mapping[str, str], tmp_path: Path, client: MlflowClient
) -> None:
    """With all steps; above, each is proven by itself, and test_report.py proves the reports."""
    remote = tmp_path / "remote"
    remote.mkdir()
    data.load_shipped().to_csv(remote / "latest.csv", index=False)
    changed = {
        "TRAINING_DATA_REMOTE": str(remote),
        "TRAINING_SOURCE": "remote:latest.csv",
        "TRAINING_EXPERIMENT": "rejected",
        "TRAINING_MODEL": "rejected",
        "GATE_MIN_ACCURACY": "1",
    }
    process = run({**configuration, "TRAINING_TRIALS": "1", **changed}, tmp_path)
    assert process.returncode == 1, process.stderr
    report, rejected = read_report(tmp_path), last_run(client, "rejected")
    assert (report.outcome, report.run_id) == (TrainingOutcome.GATE_REFUSED, rejected.info.run_id)
    assert any(reason.endswith("the threshold is 1") for reason in report.reasons), report.reasons
    assert len(rejected.data.tags["groundwork.data_version"]) == 32
    assert client.search_model_versions("name = 'rejected'") == []


def test_an_unreachable_mlflow_is_one_message(configuration: Mapping[str, str], tmp_path: Path) -> None:
    process = run({**configuration, "MLFLOW_TRACKING_URI": UNUSED_URL}, tmp_path)
    assert process.returncode == 1
    assert "MLflow does not answer at 'http://127.0.0.1:9'" in process.stderr
    assert "Traceback" not in process.stderr
    report = read_report(tmp_path)
    assert (report.outcome, report.run_id) == (TrainingOutcome.FAILED, "")
    assert "MLflow does not answer" in report.reasons[0]


def test_a_setting_out_of_bounds_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TRAINING_TRIALS", "0")
    assert main(["submit", "--to", "sagemaker", "--dry-run"]) == 1
    assert "TRAINING_TRIALS is '0': input should be greater than or equal to 1" in capsys.readouterr().err


def test_the_pipeline_file_agrees_with_the_code() -> None:
    compiled = pipeline.specification(SubmitSettings().image)
    assert compiled == yaml.safe_load(CHECKED_IN.read_text()), (
        "The pipeline file is stale: python -m lifecycle.training compile --output pipelines/training.yaml"
    )


def test_no_component_installs_anything_when_it_starts() -> None:
    assert "pip install" not in CHECKED_IN.read_text()


def settings(configuration: Mapping[str, str]) -> dict[str, str]:
    return {
        "remote": configuration["TRAINING_DATA_REMOTE"],
        "tracking_uri": configuration["MLFLOW_TRACKING_URI"],
        "model": "breast-cancer",
        "git_commit": "c0ffee",
    }


def step(name: str, **values: str) -> int:
    """Run one step as a cloud's container does."""
    arguments = [argument for key, value in values.items() for argument in (f"--{key}", value)]
    try:
        return main(["step", name, *arguments])
    except SystemExit as exit_:
        return int(exit_.code or 0)
