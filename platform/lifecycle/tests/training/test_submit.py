"""The same steps reach Azure ML and SageMaker: every task, value and folder of the compiled pipeline is in the job.

Stand-ins, named so: a script in place of `az`, and an HTTP server in place of SageMaker's API, which botocore's own
client talks to. Not proven here: that the services accept and run the jobs; that needs accounts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifecycle.contract import LifecycleError
from lifecycle.training import pipeline, steps, submit
from lifecycle.training.settings import GateSettings, SubmitSettings, Target, TrainingSettings

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
    return submit.read(pipeline.specification(IMAGE))


def dry_run(target: Target) -> str:
    return submit.submit(target, TRAINING, GateSettings(), TO, dry_run=True)


def test_each_task_gives_its_step_every_argument(tasks: list[submit.Task]) -> None:
    assert sorted(task.name for task in tasks) == sorted(TASKS)
    for task in tasks:
        given = [*task.inputs, *task.parameters, *task.constants, *task.outputs]
        assert sorted(given) == sorted(steps.parameters(task.step))


def test_tasks_come_after_what_they_need(tasks: list[submit.Task]) -> None:
    seen: set[str] = set()
    for task in tasks:
        assert {producer for producer, _ in task.inputs.values()} <= seen
        seen.add(task.name)


def test_the_azure_job_names_folders_and_values_as_its_schema_says() -> None:
    job = yaml.safe_load(dry_run("azure-ml"))
    assert job["type"] == "pipeline"
    assert job["settings"]["default_compute"] == "azureml:cpu"
    assert job["inputs"]["margin"] == 0.02
    tune = job["jobs"]["tune_2"]
    assert tune["environment"] == {"image": IMAGE}
    assert tune["inputs"] == {
        "run": "${{parent.jobs.ingest.outputs.run}}",
        "parts": "${{parent.jobs.split.outputs.parts}}",
        "trials": "${{parent.inputs.trials}}",
        "family": "gradient-boosting",
    }
    assert tune["outputs"] == {"tuning": {"type": "uri_folder"}}
    assert tune["command"].startswith("python -m lifecycle.training step tune --")
    assert "--tuning ${{outputs.tuning}}" in tune["command"]


def test_the_sagemaker_definition_names_folders_and_values_as_its_schema_says() -> None:
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


def test_a_job_goes_to_azure_through_az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/said; cp "$5" {tmp_path}/job.yaml; echo calm_sail_123')
    assert submit.submit("azure-ml", TRAINING, GateSettings(), TO, dry_run=False) == "calm_sail_123"
    assert "--workspace-name ml --resource-group rg" in (tmp_path / "said").read_text()
    assert yaml.safe_load((tmp_path / "job.yaml").read_text()) == yaml.safe_load(dry_run("azure-ml"))


def test_what_az_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "echo 'ERROR: Please run az login' >&2; exit 1")
    with pytest.raises(LifecycleError, match="Azure ML refuses the job: ERROR: Please run az login"):
        submit.submit("azure-ml", TRAINING, GateSettings(), TO, dry_run=False)


def test_without_az_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(LifecycleError, match=r"`az`, which is not on PATH. Install the Azure CLI"):
        submit.submit("azure-ml", TRAINING, GateSettings(), TO, dry_run=False)


@pytest.mark.parametrize("exists", [True, False])
def test_a_pipeline_goes_to_sagemaker_and_is_started(sagemaker: SageMaker, exists: bool) -> None:
    sagemaker.exists = exists
    arn = submit.submit("sagemaker", TRAINING, GateSettings(), TO, dry_run=False)
    assert arn == "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/groundwork-training/execution/abc"
    asked = [name for name, _ in sagemaker.asked]
    assert asked == ["UpdatePipeline", *([] if exists else ["CreatePipeline"]), "StartPipelineExecution"]
    assert json.loads(sagemaker.asked[0][1]["PipelineDefinition"]) == json.loads(dry_run("sagemaker"))


def test_without_credentials_sagemaker_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(LifecycleError, match="SageMaker refuses the pipeline: You must specify a region"):
        submit.submit("sagemaker", TRAINING, GateSettings(), TO, dry_run=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_remote": "data"}, "TRAINING_DATA_REMOTE is the folder data, which a cloud's machines do not see"),
        ({"source": "new.csv"}, "TRAINING_SOURCE is the file new.csv, which a cloud's machines do not see"),
        ({"tracking_uri": "http://127.0.0.1:5000"}, "MLFLOW_TRACKING_URI is http://127.0.0.1:5000, which"),
    ],
)
@pytest.mark.parametrize("target", ["azure-ml", "sagemaker"])
def test_what_only_this_machine_understands_is_refused(target: Target, change: dict[str, str], message: str) -> None:
    with pytest.raises(LifecycleError, match=message):
        submit.submit(target, TRAINING.model_copy(update=change), GateSettings(), TO, dry_run=False)


@pytest.mark.parametrize(
    ("target", "missing"),
    [
        ("azure-ml", "SUBMIT_AZURE_WORKSPACE and SUBMIT_AZURE_RESOURCE_GROUP"),
        ("sagemaker", "SUBMIT_SAGEMAKER_ROLE and SUBMIT_SAGEMAKER_BUCKET"),
    ],
)
def test_settings_that_are_missing_are_named(target: Target, missing: str) -> None:
    with pytest.raises(LifecycleError, match=f"Set {missing} to submit"):
        submit.submit(target, TRAINING, GateSettings(), SubmitSettings(), dry_run=False)


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a script in place of the Azure CLI."""
    path = folder / "az"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


class SageMaker(ThreadingHTTPServer):
    """A stand-in that speaks as much of SageMaker's JSON protocol as submitting takes."""

    exists = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []


class _Answers(BaseHTTPRequestHandler):
    server: SageMaker

    def do_POST(self) -> None:
        name = self.headers["X-Amz-Target"].removeprefix("SageMaker.")
        self.server.asked.append((name, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        arn = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/groundwork-training"
        answers = {"StartPipelineExecution": {"PipelineExecutionArn": f"{arn}/execution/abc"}}
        found = self.server.exists or name != "UpdatePipeline"
        answer = answers.get(name, {"PipelineArn": arn}) if found else {"__type": "ResourceNotFound", "message": "no"}
        body = json.dumps(answer).encode()
        self.send_response(200 if found else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMaker]:
    with SageMaker() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        yield server
        server.shutdown()
