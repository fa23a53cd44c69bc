"""The same steps on Azure ML and on SageMaker: the compiled pipeline, translated into the job format of either.

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

from lifecycle.contract import LifecycleError
from lifecycle.training import pipeline
from lifecycle.training.settings import GateSettings, SubmitSettings, Target, TrainingSettings

_COMMAND = ("python", "-m", "lifecycle.training", "step")
_INPUT, _OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"  # SageMaker's folders in a container
_VOLUME_GB = 30  # SageMaker's disk per step; the data takes less than a megabyte


@dataclass(frozen=True)
class Task:
    """A step in the pipeline.

    name        of the task: `tune-2`
    step        what it does: `tune`
    constants   values by argument
    parameters  names of the pipeline's parameters by argument
    inputs      (task, output) by argument
    outputs     arguments that are folders it writes
    """

    name: str
    step: str
    constants: Mapping[str, Any]
    parameters: Mapping[str, str]
    inputs: Mapping[str, tuple[str, str]]
    outputs: Sequence[str]


def submit(target: Target, training: TrainingSettings, gate: GateSettings, to: SubmitSettings, *, dry_run: bool) -> str:
    """Start the pipeline on a cloud's service; returns the job's name, or with `dry_run` what would be submitted.

    Raises LifecycleError for settings that are missing or that only this machine understands, for a missing `az`, and
    for what the cloud refuses.
    """
    tasks, values = read(pipeline.specification(to.image)), pipeline.arguments(training, gate)
    if target == "azure-ml":
        job = yaml.safe_dump(azure_ml(tasks, values, training, to), sort_keys=False, width=1000)
        return job if dry_run else _submit_azure(job, training, to)
    definition = json.dumps(sagemaker(tasks, values, to), indent=2)
    return definition if dry_run else _submit_sagemaker(definition, training, to)


def read(specification: Mapping[str, Any]) -> list[Task]:
    """The tasks of a compiled pipeline, producers before consumers."""
    return [_task(name, task, specification) for name, task in _ordered(specification["root"]["dag"]["tasks"])]


def azure_ml(
    tasks: Sequence[Task], values: Mapping[str, str | int | float], training: TrainingSettings, to: SubmitSettings
) -> dict[str, Any]:
    """A pipeline job for `az ml job create`."""
    return {
        "$schema": "https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json",
        "type": "pipeline",
        "display_name": pipeline.NAME,
        "experiment_name": training.experiment,
        "settings": {"default_compute": f"azureml:{to.azure_compute}", "continue_on_step_failure": False},
        "inputs": dict(values),
        "jobs": {_azure_name(task.name): _azure_job(task, to.image) for task in tasks},
    }


def sagemaker(tasks: Sequence[Task], values: Mapping[str, str | int | float], to: SubmitSettings) -> dict[str, Any]:
    """A pipeline definition for CreatePipeline. All parameters are strings: they end as a container's arguments."""
    return {
        "Version": "2020-12-01",
        "Parameters": [{"Name": name, "Type": "String", "DefaultValue": str(value)} for name, value in values.items()],
        "Steps": [_sagemaker_step(task, to) for task in tasks],
    }


def _ordered(tasks: Mapping[str, Any]) -> list[tuple[str, Any]]:
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
    given = task.get("inputs", {})
    parameters = given.get("parameters", {})
    produced = {key: value["taskOutputArtifact"] for key, value in given.get("artifacts", {}).items()}
    return Task(
        name,
        container["args"][container["args"].index("--function_to_execute") + 1],
        {key: value["runtimeValue"]["constant"] for key, value in parameters.items() if "runtimeValue" in value},
        {
            key: value["componentInputParameter"]
            for key, value in parameters.items()
            if "componentInputParameter" in value
        },
        {key: (value["producerTask"], value["outputArtifactKey"]) for key, value in produced.items()},
        list(component["outputDefinitions"]["artifacts"]),
    )


def _azure_name(task: str) -> str:
    return task.replace("-", "_")  # a job's name takes no hyphen


def _azure_job(task: Task, image: str) -> dict[str, Any]:
    taken = [f"--{name} ${{{{inputs.{name}}}}}" for name in (*task.inputs, *task.parameters, *task.constants)]
    made = [f"--{name} ${{{{outputs.{name}}}}}" for name in task.outputs]
    return {
        "type": "command",
        "command": " ".join([*_COMMAND, task.step, *taken, *made]),
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


def _sagemaker_step(task: Task, to: SubmitSettings) -> dict[str, Any]:
    arguments: list[Any] = []
    for name in task.inputs:
        arguments += [f"--{name}", f"{_INPUT}/{name}"]
    for name, parameter in task.parameters.items():
        arguments += [f"--{name}", {"Get": f"Parameters.{parameter}"}]
    for name, value in task.constants.items():
        arguments += [f"--{name}", str(value)]
    for name in task.outputs:
        arguments += [f"--{name}", f"{_OUTPUT}/{name}"]
    cluster = {"InstanceType": to.sagemaker_instance, "InstanceCount": 1, "VolumeSizeInGB": _VOLUME_GB}
    return {
        "Name": task.name,
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": {"ClusterConfig": cluster},
            "AppSpecification": {
                "ImageUri": to.image,
                "ContainerEntrypoint": [*_COMMAND, task.step],
                "ContainerArguments": arguments,
            },
            "RoleArn": to.sagemaker_role,
            "ProcessingInputs": [_sagemaker_input(*item) for item in task.inputs.items()],
            "ProcessingOutputConfig": {"Outputs": [_sagemaker_output(task, name, to) for name in task.outputs]},
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


def _sagemaker_output(task: Task, name: str, to: SubmitSettings) -> dict[str, Any]:
    execution = {"Get": "Execution.PipelineExecutionId"}
    prefix = f"s3://{to.sagemaker_bucket}/{pipeline.NAME}"
    return {
        "OutputName": name,
        "S3Output": {
            "S3Uri": {"Std:Join": {"On": "/", "Values": [prefix, execution, task.name, name]}},
            "LocalPath": f"{_OUTPUT}/{name}",
            "S3UploadMode": "EndOfJob",
        },
    }


def _submit_azure(job: str, training: TrainingSettings, to: SubmitSettings) -> str:
    _refuse_local(training)
    _refuse_missing(to, "azure_workspace", "azure_resource_group")
    if shutil.which("az") is None:
        raise LifecycleError(
            "Azure ML is reached through `az`, which is not on PATH. Install the Azure CLI with its extension ml "
            "(https://learn.microsoft.com/cli/azure/install-azure-cli), or print the job with --dry-run."
        )
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "job.yaml")
        file.write_text(job)
        place = ["--workspace-name", to.azure_workspace, "--resource-group", to.azure_resource_group]
        command = ["az", "ml", "job", "create", "--file", str(file), *place, "--query", "name", "--output", "tsv"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LifecycleError(f"Azure ML refuses the job: {done.stderr.strip()[-1000:]}")
    return done.stdout.strip()


def _submit_sagemaker(definition: str, training: TrainingSettings, to: SubmitSettings) -> str:
    """Credentials and region come from the environment, as botocore finds them."""
    import botocore.session
    from botocore.exceptions import BotoCoreError, ClientError

    _refuse_local(training)
    _refuse_missing(to, "sagemaker_role", "sagemaker_bucket")
    wanted = {"PipelineName": pipeline.NAME, "PipelineDefinition": definition, "RoleArn": to.sagemaker_role}
    try:
        client = botocore.session.get_session().create_client("sagemaker")
        try:
            client.update_pipeline(**wanted)
        except client.exceptions.ResourceNotFound:
            client.create_pipeline(**wanted)
        started = client.start_pipeline_execution(PipelineName=pipeline.NAME)
    except (BotoCoreError, ClientError) as error:
        raise LifecycleError(f"SageMaker refuses the pipeline: {error}") from None
    return str(started["PipelineExecutionArn"])


def _refuse_missing(to: SubmitSettings, *names: str) -> None:
    missing = [f"SUBMIT_{name.upper()}" for name in names if not getattr(to, name)]
    if missing:
        raise LifecycleError(f"Set {' and '.join(missing)} to submit; the stack's outputs say the values.")


def _refuse_local(training: TrainingSettings) -> None:
    """A cloud's machines see neither this machine's folders nor its loopback address."""
    if "://" not in training.data_remote:
        raise LifecycleError(
            f"TRAINING_DATA_REMOTE is the folder {training.data_remote}, which a cloud's machines do not see. "
            "Set it to the stack's artifact store."
        )
    if training.source != "shipped" and not training.source.startswith("dvc:"):
        raise LifecycleError(
            f"TRAINING_SOURCE is the file {training.source}, which a cloud's machines do not see. "
            "Run the pipeline here once, and name the version it reports: dvc:<hash>."
        )
    if any(host in training.tracking_uri for host in ("//127.", "//localhost", "//[::1]")):
        raise LifecycleError(
            f"MLFLOW_TRACKING_URI is {training.tracking_uri}, which a cloud's machines do not see. "
            "Set it to the stack's MLflow."
        )
