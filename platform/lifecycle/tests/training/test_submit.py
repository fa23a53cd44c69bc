"""Jobs for Azure ML and SageMaker have every task, value and folder of the compiled pipeline.

Simulated: `az` by a script, and SageMaker's API by an HTTP server, which botocore's own client calls. Not proven: that
the services accept and run the jobs, which needs accounts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifecycle.core import LifecycleError
from lifecycle.gate import GateSettings
from lifecycle.training import pipeline, steps, submit
from lifecycle.training.settings import SubmitSettings, Target, TrainingSettings
from support.network import HttpRequest, HttpResponse, serve_http

pytestmark = pytest.mark.process

IMAGE = "registry.example/lifecycle-training-python:1.2.3"
TASKS = "ingest validate split tune tune-2 train train-2 evaluate gate register".split()
TRAINING = TrainingSettings(tracking_uri="https://mlflow.example", data_remote="s3://artifacts/data")
TO = SubmitSettings(
    image=IMAGE,
    azure_workspace="ml",
    azure_resource_group="rg",
    sagemaker_role="arn:aws:iam::111122223333:role/training",
    sagemaker_bucket="artifacts",
)


@pytest.fixture(scope="module")
def tasks() -> list[submit.Task]:
    return submit.read_tasks(pipeline.specification(IMAGE))


def dry_run(target: Target) -> str:
    return submit.submit(target, TRAINING, GateSettings(), TO, dry_run=True)


def test_each_task_passes_every_argument_of_its_step(tasks: list[submit.Task]) -> None:
    assert sorted(task.name for task in tasks) == sorted(TASKS)
    for task in tasks:
        arguments = [*task.inputs, *task.parameters, *task.constants, *task.outputs]
        assert sorted(arguments) == sorted(steps.parameters(task.step))


def test_tasks_follow_their_inputs(tasks: list[submit.Task]) -> None:
    seen: set[str] = set()
    for task in tasks:
        assert {producer for producer, _ in task.inputs.values()} <= seen
        seen.add(task.name)


def test_the_azure_job_follows_its_schema() -> None:
    job = yaml.safe_load(dry_run("azure-ml"))
    assert job["type"] == "pipeline"
    assert job["settings"]["default_compute"] == "azureml:cpu"
    assert job["inputs"]["margin"] == 0.02
    tune = job["jobs"]["tune_2"]
    assert tune["environment"] == {"image": IMAGE}
    assert tune["inputs"] == {
        "run": "${{parent.jobs.ingest.outputs.run}}",
        "partitions": "${{parent.jobs.split.outputs.partitions}}",
        "trials": "${{parent.inputs.trials}}",
        "family": "gradient-boosting",
    }
    assert tune["outputs"] == {"tuning": {"type": "uri_folder"}}
    assert tune["command"].startswith("python -m lifecycle.training step tune --")
    assert "--tuning ${{outputs.tuning}}" in tune["command"]


def test_the_sagemaker_definition_follows_its_schema() -> None:
    definition = json.loads(dry_run("sagemaker"))
    assert {"Name": "margin", "Type": "String", "DefaultValue": "0.02"} in definition["Parameters"]
    (train,) = [step for step in definition["Steps"] if step["Name"] == "train-2"]
    arguments = train["Arguments"]
    assert arguments["AppSpecification"]["ImageUri"] == IMAGE
    assert arguments["AppSpecification"]["ContainerEntrypoint"][-2:] == ["step", "train"]
    assert arguments["AppSpecification"]["ContainerArguments"][-2:] == [
        "--candidate",
        "/opt/ml/processing/output/candidate",
    ]
    (tuning,) = [each for each in arguments["ProcessingInputs"] if each["InputName"] == "tuning"]
    assert tuning["S3Input"]["S3Uri"] == {"Get": "Steps.tune-2.ProcessingOutputConfig.Outputs['tuning'].S3Output.S3Uri"}


def test_a_job_is_submitted_to_azure_with_az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_az(
        tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/arguments; cp "$5" {tmp_path}/job.yaml; echo calm_sail_123'
    )
    assert submit.submit("azure-ml", TRAINING, GateSettings(), TO, dry_run=False) == "calm_sail_123"
    assert "--workspace-name ml --resource-group rg" in (tmp_path / "arguments").read_text()
    assert yaml.safe_load((tmp_path / "job.yaml").read_text()) == yaml.safe_load(dry_run("azure-ml"))


def test_an_error_of_az_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_az(tmp_path, monkeypatch, "echo 'ERROR: Please run az login' >&2; exit 1")
    with pytest.raises(LifecycleError, match="Azure ML rejects the job: ERROR: Please run az login"):
        submit.submit("azure-ml", TRAINING, GateSettings(), TO, dry_run=False)


def test_without_az_the_message_has_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(LifecycleError, match=r"`az`, which is not on PATH. Install the Azure CLI"):
        submit.submit("azure-ml", TRAINING, GateSettings(), TO, dry_run=False)


@pytest.mark.parametrize("exists", [True, False])
def test_a_pipeline_is_submitted_to_sagemaker_and_started(sagemaker: SimulatedSageMaker, exists: bool) -> None:
    sagemaker.exists = exists
    arn = submit.submit("sagemaker", TRAINING, GateSettings(), TO, dry_run=False)
    assert arn == "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/groundwork-training/execution/abc"
    operations = [name for name, _ in sagemaker.calls]
    assert operations == ["UpdatePipeline", *([] if exists else ["CreatePipeline"]), "StartPipelineExecution"]
    assert json.loads(sagemaker.calls[0][1]["PipelineDefinition"]) == json.loads(dry_run("sagemaker"))


def test_without_a_region_sagemaker_reports_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(LifecycleError, match="SageMaker rejects the pipeline: You must specify a region"):
        submit.submit("sagemaker", TRAINING, GateSettings(), TO, dry_run=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_remote": "data"}, "TRAINING_DATA_REMOTE is the folder data, which a cloud's machines cannot reach"),
        ({"source": "new.csv"}, "TRAINING_SOURCE is the file new.csv, which a cloud's machines cannot reach"),
        ({"tracking_uri": "http://mlflow.mlflow.svc.cluster.local"}, "MLFLOW_TRACKING_URI is http://mlflow.mlflow.svc"),
        ({"tracking_uri": "http://127.0.0.1:5000"}, "MLFLOW_TRACKING_URI is http://127.0.0.1:5000, which"),
    ],
)
@pytest.mark.parametrize("target", ["azure-ml", "sagemaker"])
def test_settings_that_are_valid_only_on_this_machine_are_rejected(
    target: Target, change: dict[str, str], message: str
) -> None:
    with pytest.raises(LifecycleError, match=message):
        submit.submit(target, TRAINING.model_copy(update=change), GateSettings(), TO, dry_run=False)


@pytest.mark.parametrize(
    ("target", "missing"),
    [
        ("azure-ml", "SUBMIT_AZURE_WORKSPACE and SUBMIT_AZURE_RESOURCE_GROUP"),
        ("sagemaker", "SUBMIT_SAGEMAKER_ROLE and SUBMIT_SAGEMAKER_BUCKET"),
    ],
)
def test_missing_settings_are_named(target: Target, missing: str) -> None:
    with pytest.raises(LifecycleError, match=f"Set {missing} to submit"):
        submit.submit(target, TRAINING, GateSettings(), SubmitSettings(), dry_run=False)


def install_az(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Install a script as the Azure CLI."""
    path = folder / "az"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


class SimulatedSageMaker:
    """As much of SageMaker's JSON protocol as a submission needs."""

    def __init__(self) -> None:
        self.exists = True
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def respond(self, request: HttpRequest) -> HttpResponse:
        operation = request.headers["x-amz-target"].removeprefix("SageMaker.")
        self.calls.append((operation, request.json()))
        if operation == "UpdatePipeline" and not self.exists:
            return HttpResponse(400, {"__type": "ResourceNotFound", "message": "no"})
        arn = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/groundwork-training"
        if operation == "StartPipelineExecution":
            return HttpResponse(200, {"PipelineExecutionArn": f"{arn}/execution/abc"})
        return HttpResponse(200, {"PipelineArn": arn})


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedSageMaker]:
    simulated = SimulatedSageMaker()
    with serve_http(simulated.respond) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        yield simulated
