"""The MLflow run that a pipeline's steps share, passed from step to step as a file, and its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lifecycle import contract
from lifecycle.core import LifecycleError, Lineage, ModelRegistry
from lifecycle.core.names import CONTRACT_PATH, FAILURE_TAG

_FILE = "run.json"
_MAX_TAG = 1000  # characters


@dataclass(frozen=True)
class TrainingRun:
    """A run at an MLflow server, the registered model that it trains, and the lineage."""

    tracking_uri: str
    model: str
    lineage: Lineage

    @property
    def id(self) -> str:
        return self.lineage.run_id

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> TrainingRun:
        content = json.loads((folder / _FILE).read_text())
        return cls(content["tracking_uri"], content["model"], Lineage(**content["lineage"]))

    def connect(self) -> ModelRegistry:
        return ModelRegistry.connect(self.tracking_uri)


@dataclass(frozen=True)
class TrainingResult:
    """The result of a pipeline, as JSON: the model version, its lineage and its metrics."""

    name: str
    version: str
    run_id: str
    data_version: str
    metrics: Mapping[str, float]


def start(registry: ModelRegistry, experiment: str, model: str, data_version: str, git_commit: str) -> TrainingRun:
    """Start a run, with its lineage as tags and the serving contract as an artifact.

    Raises UnreachableError if MLflow does not answer, RegistryError if the experiment was deleted.
    """
    from mlflow.entities import Dataset, DatasetInput  # every step imports this module, but few need MLflow

    client = registry.client
    with registry.translate_errors():
        existing = client.get_experiment_by_name(experiment)
        experiment_id = existing.experiment_id if existing else client.create_experiment(experiment)
        run_id = client.create_run(experiment_id, run_name=f"{model} {data_version[:7]}").info.run_id
        run = TrainingRun(registry.uri, model, Lineage(run_id, data_version, git_commit))
        for key, value in run.lineage.tags.items():
            client.set_tag(run_id, key, value)
        client.log_text(run_id, contract.read_text(), CONTRACT_PATH)
        client.log_inputs(run_id, [DatasetInput(Dataset(model, data_version, "dvc", "dvc"))])
    return run


def fail(folder: Path, error: LifecycleError) -> None:
    """End the run that is saved in `folder` as failed, with the reason, if there is one and MLflow answers."""
    if not (folder / _FILE).is_file():
        return
    run = TrainingRun.read(folder)
    try:
        registry = run.connect()
        with registry.translate_errors():
            registry.client.set_tag(run.id, FAILURE_TAG, str(error)[:_MAX_TAG])
            registry.client.set_terminated(run.id, "FAILED")
    except LifecycleError:
        return  # the first error is the one to show
