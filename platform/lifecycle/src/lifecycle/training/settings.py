"""Settings of a training run, and of its submission to a cloud."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TrainingSettings(BaseSettings):
    """One training run; from `TRAINING_*`, and `MLFLOW_TRACKING_URI` as everywhere."""

    model_config = SettingsConfigDict(env_prefix="TRAINING_", populate_by_name=True)

    tracking_uri: str = Field(
        "http://127.0.0.1:5000", validation_alias="MLFLOW_TRACKING_URI", description="the MLflow server"
    )
    experiment: str = Field("breast-cancer", min_length=1, description="the MLflow experiment")
    model: str = Field(
        "breast-cancer", pattern=r"^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$", description="the registered model"
    )
    source: str = Field(
        "shipped", description="the data: `shipped`, a CSV file, or `dvc:<hash>` for a version in the remote"
    )
    data_remote: str = Field(
        ".groundwork/lifecycle/data",
        description="the remote for versions of the data: a folder, s3://bucket/path, or "
        "wasbs://container@account.../path",
    )
    trials: int = Field(5, ge=1, le=1000, description="Optuna trials per family of models")


class SubmitSettings(BaseSettings):
    """Where a pipeline is submitted to; from `SUBMIT_*`. The values are outputs of the stack."""

    model_config = SettingsConfigDict(env_prefix="SUBMIT_")

    image: str = Field("groundwork/lifecycle-training-python:0.1.0", description="the training image, with its tag")
    azure_workspace: str = Field("", description="the Azure ML workspace")
    azure_resource_group: str = Field("", description="its resource group")
    azure_compute: str = Field("cpu", description="its compute cluster")
    sagemaker_role: str = Field("", description="ARN of the role that SageMaker's jobs assume")
    sagemaker_bucket: str = Field("", description="the bucket for the outputs of steps")
    sagemaker_instance: str = Field("ml.m5.large", description="the instance type of a step")


Target = Literal["azure-ml", "sagemaker"]
