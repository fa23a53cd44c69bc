"""The run that a pipeline's steps share, handed from step to step as a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput

from lifecycle import contract
from lifecycle.contract import LifecycleError

_FILE = "run.json"


@dataclass(frozen=True)
class Lineage:
    """Where a run is, and what it is made from.

    data_version  DVC's hash of the data, 32 hexadecimal digits
    git_commit    of the code; ends in `-dirty` where files were changed
    """

    tracking_uri: str
    run_id: str
    model: str
    data_version: str
    git_commit: str

    @property
    def tags(self) -> dict[str, str]:
        return {"groundwork.data_version": self.data_version, "groundwork.git_commit": self.git_commit}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Lineage:
        return cls(**json.loads((folder / _FILE).read_text()))

    def connect(self) -> MlflowClient:
        return contract.connect(self.tracking_uri)


def start(client: MlflowClient, experiment: str, model: str, data_version: str, git_commit: str) -> Lineage:
    """Start a run that says what it is made from and in which environment.

    Raises UnreachableError when MLflow does not answer, LifecycleError when the experiment was deleted.
    """
    with contract.asking(client):
        found = client.get_experiment_by_name(experiment)
        experiment_id = found.experiment_id if found else client.create_experiment(experiment)
        run_id = client.create_run(experiment_id, run_name=f"{model} {data_version[:7]}").info.run_id
        lineage = Lineage(client.tracking_uri, run_id, model, data_version, git_commit)
        for key, value in lineage.tags.items():
            client.set_tag(run_id, key, value)
        client.log_text(run_id, contract.text(), "environment/contract.yaml")
        client.log_inputs(run_id, [DatasetInput(Dataset(model, data_version, "dvc", "dvc"))])
    return lineage


def fail(folder: Path, error: LifecycleError) -> None:
    """Say in the run, if there is one and MLflow answers, why it ended."""
    if not (folder / _FILE).is_file():
        return
    lineage = Lineage.read(folder)
    try:
        client = lineage.connect()
        with contract.asking(client):
            client.set_tag(lineage.run_id, "groundwork.failure", str(error)[:1000])
            client.set_terminated(lineage.run_id, "FAILED")
    except LifecycleError:
        return  # the first error is the one to show
