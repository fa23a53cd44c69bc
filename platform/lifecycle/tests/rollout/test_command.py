"""`python -m lifecycle.rollout` with real git, a real MLflow server and the rows that a run held out.

Proves its output and its exit status, for valid and invalid input: one message that names the setting, the value, the
rule and the remedy, and no traceback. Services and Prometheus are simulated.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lifecycle.core import LifecycleError, ModelRegistry, ModelVersion
from lifecycle.rollout.__main__ import main
from lifecycle.rollout.guardrails import held_out_rows
from support.network import UNUSED_URL
from support.registered_models import RegisteredModels
from support.rollout_environment import RolloutEnvironment

SOURCE = Path(__file__).parents[2] / "src"
FRAME = pd.DataFrame({"a": range(8), "b": 0.5, "target": 1})


def log_held_out_rows(models: RegisteredModels, run: str, folder: Path, frame: pd.DataFrame = FRAME) -> None:
    """Log held-out rows as a training run does."""
    file = folder / "held-out.parquet"
    frame.to_parquet(file)
    models.client.log_artifact(run, str(file), "evaluation")


@pytest.fixture
def version(models: RegisteredModels) -> ModelVersion:
    """A version whose run has held out no rows yet."""
    name = models.create()
    registered = ModelRegistry(models.uri).find_version(name, models.create_version(name))
    assert registered is not None
    return registered.model_version


@pytest.fixture
def configured(environment: RolloutEnvironment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The environment that the command line reads, and the rows that version 2's run held out."""
    log_held_out_rows(environment.models, environment.models.run_id(environment.model, "2"), tmp_path)
    for name, value in {
        "ROLLOUT_PROMETHEUS": environment.prometheus.url,
        "ROLLOUT_SERVICE_URL": environment.services.url + "/{service}",
        "ROLLOUT_INTERVAL": "0",
        "ROLLOUT_POLL_INTERVAL": "0.01",
        "ROLLOUT_READINESS_PERIOD": "0.01",
        "ROLLOUT_MAX_P95": "0.5",
        "ROLLOUT_STEPS": "50, 100",
        "GITOPS_REPOSITORY": str(environment.remote.path),
        "GITOPS_STACK": "dev",
        "MLFLOW_TRACKING_URI": environment.models.uri,
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("configured")
def test_a_rollout_runs_to_its_end_and_prints_each_step_once(
    environment: RolloutEnvironment, models: RegisteredModels, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", environment.model]) == 0
    expected = [f"{environment.model}: {step}" for step in ("50 %", "100 %", "adopted", "settled: version 2")]
    assert capsys.readouterr().out.splitlines() == expected
    assert models.alias(environment.model, "champion") == "2"
    assert environment.services["challenger"].requests[0]["features"] == {"a": 0, "b": 0.5}, "without the target"
    assert main(["run", environment.model]) == 0
    assert capsys.readouterr().out.splitlines() == expected[-1:]


@pytest.mark.usefixtures("configured")
def test_a_rollout_takes_one_step_and_is_aborted(
    environment: RolloutEnvironment, models: RegisteredModels, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["step", environment.model]) == 0
    assert environment.weights() == [50, 50]
    assert main(["abort", environment.model]) == 0
    assert capsys.readouterr().out == f"{environment.model}: 50 %\n{environment.model}: rolled-back: version 2\n"
    assert environment.weights() == [100]
    assert models.alias(environment.model, "champion") == "1"


def test_an_unreachable_prometheus_is_reported_and_changes_nothing(
    environment: RolloutEnvironment, configured: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["step", environment.model]) == 0
    configured.setenv("ROLLOUT_PROMETHEUS", UNUSED_URL)
    assert main(["step", environment.model]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        f"{environment.model}: evaluation inconclusive at 50 %: Prometheus does not answer at {UNUSED_URL} "
        "(ConnectError): start it, or set ROLLOUT_PROMETHEUS to its address"
    )
    assert environment.weights() == [50, 50]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ROLLOUT_MAX_P95", "-1", "ROLLOUT_MAX_P95 is '-1': input should be greater than 0; change it"),
        ("ROLLOUT_STEPS", "50,10,100", "the steps must ascend and end with 100, as in 10,25,50,100; change it"),
        ("ROLLOUT_STEPS", "half", "ROLLOUT_STEPS is 'half': input should be a valid integer"),
        ("ROLLOUT_PROMETHEUS", "localhost:9090", "ROLLOUT_PROMETHEUS is 'localhost:9090': string should match"),
        ("ROLLOUT_PROMETHEUS", None, "ROLLOUT_PROMETHEUS is not set and has no default: set it"),
        ("GITOPS_REPOSITORY", "/nowhere", "'/nowhere' does not appear to be a git repository"),
        ("GITOPS_BRANCH", "--upload-pack", "GITOPS_BRANCH is '--upload-pack': string should match pattern"),
        ("MLFLOW_TRACKING_URI", UNUSED_URL, "MLflow does not answer at 'http://127.0.0.1:9'"),
    ],
)
def test_invalid_input_is_one_message(
    environment: RolloutEnvironment,
    configured: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str | None,
    message: str,
) -> None:
    configured.setenv(variable, value) if value is not None else configured.delenv(variable)
    assert main(["step", environment.model]) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert printed.out == ""


@pytest.mark.usefixtures("configured")
def test_the_command_reports_a_model_that_does_not_exist() -> None:
    command = [sys.executable, "-m", "lifecycle.rollout", "step", "no-such-model"]
    process = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True)
    assert process.returncode == 1
    (line,) = (line for line in process.stderr.splitlines() if "Warning" not in line)
    assert line.startswith("error: the registry http://127.0.0.1:")
    assert line.endswith("has no model 'no-such-model'; pass the name of a registered model")


def test_the_rows_that_a_run_held_out_are_downloaded_once(
    models: RegisteredModels, version: ModelVersion, tmp_path: Path
) -> None:
    log_held_out_rows(models, version.lineage.run_id, tmp_path)
    rows = held_out_rows(ModelRegistry(models.uri))
    assert rows(version, 5) == [{"a": number, "b": 0.5, "target": 1} for number in range(5)]
    assert rows(version, 5) is rows(version, 5)


def test_a_run_without_held_out_rows_is_reported(models: RegisteredModels, version: ModelVersion) -> None:
    with pytest.raises(LifecycleError, match=rf"runs:/{version.lineage.run_id}/evaluation/held-out.parquet is missing"):
        held_out_rows(ModelRegistry(models.uri))(version, 5)


def test_unreadable_rows_are_reported(models: RegisteredModels, version: ModelVersion) -> None:
    models.client.log_text(version.lineage.run_id, "not Parquet", "evaluation/held-out.parquet")
    with pytest.raises(LifecycleError, match=r"held-out\.parquet is not a readable Parquet file"):
        held_out_rows(ModelRegistry(models.uri))(version, 5)
