"""`python -m lifecycle.rollout` with real git, a real MLflow server and the rows that a real run held out.

Proves what it says and how it ends, for good and for bad input: one message that names what, which value, the rule and
the remedy, and no traceback. Services and Prometheus are simulated.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lifecycle.contract import LifecycleError
from lifecycle.gitops.manifests import Lineage
from lifecycle.promotion.registry import Registry
from lifecycle.rollout.__main__ import main
from lifecycle.rollout.guardrails import held_out
from promotion_parts import Models

from .stage import Stage

SOURCE = Path(__file__).parents[2] / "src"
NOBODY = "http://127.0.0.1:9"
FRAME = pd.DataFrame({"a": range(8), "b": 0.5, "target": 1})


def keep(models: Models, run: str, folder: Path, frame: pd.DataFrame = FRAME) -> None:
    """What a training run leaves in MLflow."""
    file = folder / "held-out.parquet"
    frame.to_parquet(file)
    models.client.log_artifact(run, str(file), "evaluation")


@pytest.fixture
def lineage(models: Models) -> Lineage:
    """A version whose run has held nothing out yet."""
    name = models.name()
    known = Registry(models.uri).version(name, models.version(name))
    assert known is not None
    return known.lineage


@pytest.fixture
def told(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The environment that the command line reads, and what version 2's run held out."""
    keep(stage.models, str(stage.models.client.get_model_version(stage.name, "2").run_id), tmp_path)
    for name, value in {
        "ROLLOUT_PROMETHEUS": stage.prometheus.url,
        "ROLLOUT_SERVICE_URL": stage.services.url + "/{service}",
        "ROLLOUT_INTERVAL": "0",
        "ROLLOUT_POLL": "0.01",
        "ROLLOUT_READY_PAUSE": "0.01",
        "ROLLOUT_STEPS": "50, 100",
        "GITOPS_REPOSITORY": str(stage.remote.path),
        "MLFLOW_TRACKING_URI": stage.models.uri,
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("told")
def test_a_rollout_runs_to_its_end_and_says_each_step_once(
    stage: Stage, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", stage.name]) == 0
    said = [f"{stage.name}: {words}" for words in ("50 %", "100 %", "adopted", "settled: version 2")]
    assert capsys.readouterr().out.splitlines() == said
    assert models.alias(stage.name, "champion") == "2"
    assert stage.services["challenger"].asked[0]["features"] == {"a": 0, "b": 0.5}, "held out by the run, and no target"
    assert main(["run", stage.name]) == 0
    assert capsys.readouterr().out.splitlines() == said[-1:]


@pytest.mark.usefixtures("told")
def test_a_rollout_is_taken_by_one_step_and_back(
    stage: Stage, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["step", stage.name]) == 0
    assert stage.weights() == [50, 50]
    assert main(["abort", stage.name]) == 0
    assert capsys.readouterr().out == f"{stage.name}: 50 %\n{stage.name}: rolled-back: version 2\n"
    assert stage.weights() == [100]
    assert models.alias(stage.name, "champion") == "1"


def test_a_prometheus_that_cannot_be_reached_is_said_and_nothing_moves(
    stage: Stage, told: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["step", stage.name]) == 0
    told.setenv("ROLLOUT_PROMETHEUS", NOBODY)
    assert main(["step", stage.name]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        f"{stage.name}: 50 % cannot be judged yet: Prometheus does not answer at {NOBODY} (ConnectError): start it, or "
        "set ROLLOUT_PROMETHEUS to where it is"
    )
    assert stage.weights() == [50, 50]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ROLLOUT_P95", "-1", "ROLLOUT_P95 is '-1': input should be greater than 0; set it so"),
        ("ROLLOUT_STEPS", "50,10,100", "the steps must ascend and end with 100, as in 10,25,50,100; set it so"),
        ("ROLLOUT_STEPS", "half", "ROLLOUT_STEPS is 'half': input should be a valid integer"),
        ("ROLLOUT_PROMETHEUS", "localhost:9090", "ROLLOUT_PROMETHEUS is 'localhost:9090': string should match"),
        ("ROLLOUT_PROMETHEUS", None, "ROLLOUT_PROMETHEUS is not set, and there is no default for it: set it"),
        ("GITOPS_REPOSITORY", "/nowhere", "'/nowhere' does not appear to be a git repository"),
        ("GITOPS_BRANCH", "--upload-pack", "GITOPS_BRANCH is '--upload-pack': string should match pattern"),
        ("MLFLOW_TRACKING_URI", NOBODY, "MLflow: "),
    ],
)
def test_what_cannot_be_is_one_message(
    stage: Stage,
    told: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str | None,
    message: str,
) -> None:
    told.setenv(variable, value) if value is not None else told.delenv(variable)
    assert main(["step", stage.name]) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert printed.out == ""


@pytest.mark.usefixtures("told")
def test_a_model_that_is_not_there_is_said_by_the_real_command() -> None:
    command = [sys.executable, "-m", "lifecycle.rollout", "step", "nobodys-model"]
    reply = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True)
    assert reply.returncode == 1
    (line,) = (line for line in reply.stderr.splitlines() if "Warning" not in line)
    assert line.startswith("error: there is no model 'nobodys-model' in the registry http://127.0.0.1:")
    assert line.endswith("give the name it has there")


def test_the_rows_that_a_run_held_out_are_read_once(models: Models, lineage: Lineage, tmp_path: Path) -> None:
    keep(models, lineage.run_id, tmp_path)
    rows = held_out(Registry(models.uri))
    assert rows(lineage, 5) == [{"a": number, "b": 0.5, "target": 1} for number in range(5)]
    assert rows(lineage, 5) is rows(lineage, 5)


def test_a_run_that_held_nothing_out_is_said(models: Models, lineage: Lineage) -> None:
    with pytest.raises(LifecycleError, match=rf"runs:/{lineage.run_id}/evaluation/held-out.parquet is missing"):
        held_out(Registry(models.uri))(lineage, 5)


def test_rows_that_cannot_be_read_are_said(models: Models, lineage: Lineage) -> None:
    models.client.log_text(lineage.run_id, "no parquet", "evaluation/held-out.parquet")
    with pytest.raises(LifecycleError, match=r"held-out\.parquet is no Parquet file that can be read"):
        held_out(Registry(models.uri))(lineage, 5)
