"""Submits the pipeline to Azure ML or SageMaker: the compiled pipeline, translated into the service's job format.

Azure ML's pipeline job: https://learn.microsoft.com/en-us/azure/machine-learning/reference-yaml-job-pipeline
SageMaker's definition: https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema/
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lifecycle.core import LifecycleError
from lifecycle.gate import GateSettings
from lifecycle.training import pipeline
from lifecycle.training.settings import SubmitSettings, Target, TrainingSettings

_COMMAND = ("python", "-m", "lifecycle.training", "step")
_INPUT, _OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"  # SageMaker's folders in a container
_VOLUME_GB = 30  # SageMaker's disk per step; the data takes less than a megabyte


@dataclass(frozen=True)
class Task:
    """A task of the pipeline, which runs a step.

    name        `tune-2`
    step        `tune`
    constants   values, keyed by argument
    parameters  names of the pipeline's parameters, keyed by argument
    inputs      (task, output), keyed by argument
    outputs     arguments with folders that the step writes
    """

    name: str
    step: str
    constants: Mapping[str, Any]
    parameters: Mapping[str, str]
    inputs: Mapping[str, tuple[str, str]]
    outputs: Sequence[str]


def submit(
    target: Target, training: TrainingSettings, gate: GateSettings, settings: SubmitSettings, *, dry_run: bool
) -> str:
    """Start the pipeline on a cloud's service; returns the job's name, or with `dry_run` the job itself.

    Raises LifecycleError if settings are missing or valid only on this machine, if `az` is missing, or if the cloud
    rejects the job.
    """
    tasks, values = read_tasks(pipeline.specification(settings.image)), pipeline.arguments(training, gate)
    if target == "azure-ml":
        job = yaml.safe_dump(render_azure_ml(tasks, values, training, settings), sort_keys=False, width=1000)
        return job if dry_run else _submit_azure(job, training, settings)
    definition = json.dumps(render_sagemaker(tasks, values, settings), indent=2)
    return definition if dry_run else _submit_sagemaker(definition, training, settings)


def read_tasks(specification: Mapping[str, Any]) -> list[Task]:
    """The tasks of a compiled pipeline, producers before consumers."""
    return [_task(name, task, specification) for name, task in _sort_tasks(specification["root"]["dag"]["tasks"])]


def render_azure_ml(
    tasks: Sequence[Task], values: Mapping[str, str | int | float], training: TrainingSettings, settings: SubmitSettings
) -> dict[str, Any]:
    """A pipeline job for `az ml job create`."""
    return {
        "$schema": "https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json",
        "type": "pipeline",
        "display_name": pipeline.NAME,
        "experiment_name": training.experiment,
        "settings": {"default_compute": f"azureml:{settings.azure_compute}", "continue_on_step_failure": False},
        "inputs": dict(values),
        "jobs": {_azure_name(task.name): _azure_job(task, settings.image) for task in tasks},
    }


def render_sagemaker(
    tasks: Sequence[Task], values: Mapping[str, str | int | float], settings: SubmitSettings
) -> dict[str, Any]:
    """A pipeline definition for CreatePipeline. Parameters are strings, because they become a container's arguments."""
    return {
        "Version": "2020-12-01",
        "Parameters": [{"Name": name, "Type": "String", "DefaultValue": str(value)} for name, value in values.items()],
        "Steps": [_sagemaker_step(task, settings) for task in tasks],
    }


def _sort_tasks(tasks: Mapping[str, Any]) -> list[tuple[str, Any]]:
    done: dict[str, Any] = {}
    while len(done) < len(tasks):
        done |= {
            name: task
            for name, task in tasks.items()
            if name not in done and set(task.get("dependentTasks", ())) <= set(done)
        }
    return list(done.items())


def _task(name: str, task: Mapping[str, Any], specification: Mapping[str, Any]) -> Task:
    component = specification["components"][task["componentRef"]["name"]]
    container = specification["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    inputs = task.get("inputs", {})
    parameters = inputs.get("parameters", {})
    artifacts = {key: value["taskOutputArtifact"] for key, value in inputs.get("artifacts", {}).items()}
    return Task(
        name,
        container["args"][container["args"].index("--function_to_execute") + 1],
        {key: value["runtimeValue"]["constant"] for key, value in parameters.items() if "runtimeValue" in value},
        {
            key: value["componentInputParameter"]
            for key, value in parameters.items()
            if "componentInputParameter" in value
        },
        {key: (value["producerTask"], value["outputArtifactKey"]) for key, value in artifacts.items()},
        list(component["outputDefinitions"]["artifacts"]),
    )


def _azure_name(task: str) -> str:
    return task.replace("-", "_")  # a job's name must not contain a hyphen


def _azure_job(task: Task, image: str) -> dict[str, Any]:
    inputs = [f"--{name} ${{{{inputs.{name}}}}}" for name in (*task.inputs, *task.parameters, *task.constants)]
    outputs = [f"--{name} ${{{{outputs.{name}}}}}" for name in task.outputs]
    return {
        "type": "command",
        "command": " ".join([*_COMMAND, task.step, *inputs, *outputs]),
        "environment": {"image": image},
        "inputs": {
            **{
                key: f"${{{{parent.jobs.{_azure_name(job)}.outputs.{out}}}}}" for key, (job, out) in task.inputs.items()
            },
            **{key: f"${{{{parent.inputs.{parameter}}}}}" for key, parameter in task.parameters.items()},
            **task.constants,
        },
        "outputs": {name: {"type": "uri_folder"} for name in task.outputs},
    }


def _sagemaker_step(task: Task, settings: SubmitSettings) -> dict[str, Any]:
    arguments: list[Any] = []
    for name in task.inputs:
        arguments += [f"--{name}", f"{_INPUT}/{name}"]
    for name, parameter in task.parameters.items():
        arguments += [f"--{name}", {"Get": f"Parameters.{parameter}"}]
    for name, value in task.constants.items():
        arguments += [f"--{name}", str(value)]
    for name in task.outputs:
        arguments += [f"--{name}", f"{_OUTPUT}/{name}"]
    cluster = {"InstanceType": settings.sagemaker_instance, "InstanceCount": 1, "VolumeSizeInGB": _VOLUME_GB}
    return {
        "Name": task.name,
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": {"ClusterConfig": cluster},
            "AppSpecification": {
                "ImageUri": settings.image,
                "ContainerEntrypoint": [*_COMMAND, task.step],
                "ContainerArguments": arguments,
            },
            "RoleArn": settings.sagemaker_role,
            "ProcessingInputs": [_sagemaker_input(*item) for item in task.inputs.items()],
            "ProcessingOutputConfig": {"Outputs": [_sagemaker_output(task, name, settings) for name in task.outputs]},
        },
    }


def _sagemaker_input(name: str, source: tuple[str, str]) -> dict[str, Any]:
    producer, output = source
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": {"Get": f"Steps.{producer}.ProcessingOutputConfig.Outputs['{output}'].S3Output.S3Uri"},
            "LocalPath": f"{_INPUT}/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def _sagemaker_output(task: Task, name: str, settings: SubmitSettings) -> dict[str, Any]:
    execution = {"Get": "Execution.PipelineExecutionId"}
    prefix = f"s3://{settings.sagemaker_bucket}/{pipeline.NAME}"
    return {
        "OutputName": name,
        "S3Output": {
            "S3Uri": {"Std:Join": {"On": "/", "Values": [prefix, execution, task.name, name]}},
            "LocalPath": f"{_OUTPUT}/{name}",
            "S3UploadMode": "EndOfJob",
        },
    }


def _submit_azure(job: str, training: TrainingSettings, settings: SubmitSettings) -> str:
    _reject_local(training)
    _require(settings, "azure_workspace", "azure_resource_group")
    if shutil.which("az") is None:
        raise LifecycleError(
            "Azure ML is reached through `az`, which is not on PATH. Install the Azure CLI with its extension ml "
            "(https://learn.microsoft.com/cli/azure/install-azure-cli), or print the job with --dry-run."
        )
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "job.yaml")
        file.write_text(job)
        workspace = ["--workspace-name", settings.azure_workspace, "--resource-group", settings.azure_resource_group]
        command = ["az", "ml", "job", "create", "--file", str(file), *workspace, "--query", "name", "--output", "tsv"]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise LifecycleError(f"Azure ML rejects the job: {process.stderr.strip()[-1000:]}")
    return process.stdout.strip()


def _submit_sagemaker(definition: str, training: TrainingSettings, settings: SubmitSettings) -> str:
    """Credentials and region come from botocore's usual sources."""
    import botocore.session
    from botocore.exceptions import BotoCoreError, ClientError

    _reject_local(training)
    _require(settings, "sagemaker_role", "sagemaker_bucket")
    arguments = {"PipelineName": pipeline.NAME, "PipelineDefinition": definition, "RoleArn": settings.sagemaker_role}
    try:
        client = botocore.session.get_session().create_client("sagemaker")
        try:
            client.update_pipeline(**arguments)
        except client.exceptions.ResourceNotFound:
            client.create_pipeline(**arguments)
        started = client.start_pipeline_execution(PipelineName=pipeline.NAME)
    except (BotoCoreError, ClientError) as error:
        raise LifecycleError(f"SageMaker rejects the pipeline: {error}") from None
    return str(started["PipelineExecutionArn"])


def _require(settings: SubmitSettings, *names: str) -> None:
    missing = [f"SUBMIT_{name.upper()}" for name in names if not getattr(settings, name)]
    if missing:
        raise LifecycleError(f"Set {' and '.join(missing)} to submit; the values are outputs of the stack.")


def _reject_local(training: TrainingSettings) -> None:
    """A cloud's machines can use neither this machine's folders and loopback address, nor names within a cluster."""
    if "://" not in training.data_remote:
        raise LifecycleError(
            f"TRAINING_DATA_REMOTE is the folder {training.data_remote}, which a cloud's machines cannot reach. "
            "Set it to the stack's artifact store."
        )
    if training.source != "shipped" and not training.source.startswith("dvc:"):
        raise LifecycleError(
            f"TRAINING_SOURCE is the file {training.source}, which a cloud's machines cannot reach. "
            "Run the pipeline here once, and set the version that it prints: dvc:<hash>."
        )
    if any(host in training.tracking_uri for host in ("//127.", "//localhost", "//[::1]", ".svc")):
        raise LifecycleError(
            f"MLFLOW_TRACKING_URI is {training.tracking_uri}, which a cloud's machines cannot reach. "
            "Set it to the stack's MLflow."
        )
