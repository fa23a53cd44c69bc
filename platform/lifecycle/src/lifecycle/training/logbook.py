"""What MLflow is told of a run: its searches, its model with signature and input example, the version made of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.models import infer_signature

from lifecycle import contract
from lifecycle.training import models
from lifecycle.training.data import FEATURES, SLICES
from lifecycle.training.gate import GateReport
from lifecycle.training.lineage import Lineage
from lifecycle.training.scores import score

CHALLENGER = "challenger"
_EXAMPLE_ROWS = 3


@dataclass(frozen=True)
class Logged:
    """A model in MLflow's store: `uri` is `models:/m-...`, metrics as `scores.score` names them."""

    family: str
    uri: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Registered:
    """A model version, and what it was made from."""

    name: str
    version: str
    run_id: str
    data_version: str
    metrics: Mapping[str, float]


def write(
    lineage: Lineage,
    tunings: Sequence[Mapping[str, Any]],
    weights: Sequence[Path],
    trained_on: pd.DataFrame,
    files: Mapping[str, Path],
) -> Logged:
    """Log searches, files and the best model by cross-validation.

    tunings     one per family, as `models.Tuning` has it
    weights     skops files, in the same order
    trained_on  the training rows, of which the signature and the input example are made
    files       local files by the artifact path they are logged under; the held-out rows among them
    """
    client = lineage.connect()
    held_out = pd.read_parquet(files["evaluation/held-out.parquet"])
    scores = [_score(path, held_out) for path in weights]
    best = max(range(len(tunings)), key=lambda index: float(tunings[index]["accuracy"]))
    with contract.asking(client):
        for tuning, metrics in zip(tunings, scores, strict=True):
            client.log_dict(lineage.run_id, dict(tuning), f"tuning/{tuning['family']}.json")
            named = {f"{tuning['family']}/cross-validation/accuracy": tuning["accuracy"]}
            _log(client, lineage.run_id, named | {f"{tuning['family']}/{key}": value for key, value in metrics.items()})
        for artifact, path in files.items():
            client.log_artifact(lineage.run_id, str(path), str(Path(artifact).parent))
        _log(client, lineage.run_id, scores[best])
        client.log_param(lineage.run_id, "family", tunings[best]["family"])
        for key, value in tunings[best]["parameters"].items():
            client.log_param(lineage.run_id, key, value)
        uri = _log_model(lineage, models.load(weights[best]), trained_on)
    return Logged(tunings[best]["family"], uri, scores[best])


def register(lineage: Lineage, logged: Logged, report: GateReport) -> Registered:
    """Make a version of the model. The alias comes last: whoever hears of it finds the tags already there."""
    client = lineage.connect()
    tags = {"groundwork.status": "registered", **lineage.tags, **report.tags}
    with contract.asking(client):
        if not client.search_registered_models(filter_string=f"name = '{lineage.model}'"):
            client.create_registered_model(lineage.model)
        version = client.create_model_version(
            lineage.model, logged.uri, lineage.run_id, tags=tags, model_id=logged.uri.removeprefix("models:/")
        )
        client.set_registered_model_alias(lineage.model, CHALLENGER, version.version)
        client.set_terminated(lineage.run_id)
    return Registered(lineage.model, str(version.version), lineage.run_id, lineage.data_version, logged.metrics)


def _score(weights: Path, held_out: pd.DataFrame) -> dict[str, float]:
    predictions = models.load(weights).predict(held_out[FEATURES])
    return score(held_out, predictions, [each.column for each in SLICES])


def _log(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> None:
    now = int(time.time() * 1000)
    client.log_batch(run_id, [Metric(key, value, now, 0) for key, value in metrics.items()])


def _log_model(lineage: Lineage, model: Any, trained_on: pd.DataFrame) -> str:
    """In the contract's format, and with the contract's libraries as what it needs."""
    agreed = contract.load()
    example = trained_on[FEATURES].head(_EXAMPLE_ROWS)
    mlflow.set_tracking_uri(lineage.tracking_uri)
    with mlflow.start_run(lineage.run_id):
        info = mlflow.sklearn.log_model(
            model,
            name=lineage.model,
            signature=infer_signature(example, model.predict(example)),
            input_example=example,
            serialization_format=agreed.format,
            skops_trusted_types=list(agreed.trusted_types),
            pip_requirements=agreed.requirements,
        )
    MlflowClient(lineage.tracking_uri).update_run(lineage.run_id, status="RUNNING")  # its model is logged; it goes on
    return f"models:/{info.model_id}"
