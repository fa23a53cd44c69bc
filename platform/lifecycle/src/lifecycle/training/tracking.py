"""The records of a run in MLflow: its searches, the best model with signature and input example, the model version."""

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
from lifecycle.core import CHALLENGER, ModelVersion, Status
from lifecycle.core.names import DEFAULT_OUTPUT, HELD_OUT_PATH, REFERENCE_PATH, STATUS_TAG
from lifecycle.core.reference_profile import AccuracyProfile, ReferenceProfile, profile_column, profile_table
from lifecycle.gate import TARGET, GateReport, score
from lifecycle.training import models
from lifecycle.training.data import FEATURES, SLICES
from lifecycle.training.run import TrainingRun

_EXAMPLE_ROWS = 3


@dataclass(frozen=True)
class LoggedModel:
    """A model in MLflow's store: `uri` is `models:/m-...`, metrics have the names of `gate.score`."""

    family: str
    uri: str
    metrics: Mapping[str, float]


def log_candidates(
    run: TrainingRun,
    tunings: Sequence[Mapping[str, Any]],
    weights: Sequence[Path],
    trained_on: pd.DataFrame,
    files: Mapping[str, Path],
) -> LoggedModel:
    """Log searches and files of all candidates, and the best model by cross-validation with its reference.

    tunings     one `models.Tuning` per family
    weights     skops files, in the same order
    trained_on  the training rows, from which the signature and the input example are derived
    files       local files, including the held-out rows, keyed by the artifact path under which they are logged
    """
    registry = run.connect()
    client = registry.client
    held_out = pd.read_parquet(files[HELD_OUT_PATH])
    scores = [_score(path, held_out) for path in weights]
    best = max(range(len(tunings)), key=lambda index: float(tunings[index]["accuracy"]))
    with registry.translate_errors():
        for tuning, metrics in zip(tunings, scores, strict=True):
            family = tuning["family"]
            client.log_dict(run.id, dict(tuning), f"tuning/{family}.json")
            by_name = {f"{family}/cross-validation/accuracy": tuning["accuracy"]}
            _log_metrics(client, run.id, by_name | {f"{family}/{key}": value for key, value in metrics.items()})
        for artifact, path in files.items():
            client.log_artifact(run.id, str(path), str(Path(artifact).parent))
        _log_metrics(client, run.id, scores[best])
        reference = profile_reference(models.load(weights[best]), trained_on, held_out)
        client.log_text(run.id, reference.model_dump_json(), REFERENCE_PATH)
        client.log_param(run.id, "family", tunings[best]["family"])
        for key, value in tunings[best]["parameters"].items():
            client.log_param(run.id, key, value)
        uri = _log_model(run, models.load(weights[best]), trained_on)
    return LoggedModel(tunings[best]["family"], uri, scores[best])


def register(run: TrainingRun, logged: LoggedModel, report: GateReport) -> ModelVersion:
    """Register a version of the model. The alias is set last, so that the tags exist when others react to it."""
    registry = run.connect()
    client = registry.client
    tags = {STATUS_TAG: str(Status.REGISTERED), **run.lineage.tags, **report.tags}
    with registry.translate_errors():
        if not registry.has_model(run.model):
            client.create_registered_model(run.model)
        created = client.create_model_version(
            run.model, logged.uri, run.id, tags=tags, model_id=logged.uri.removeprefix("models:/")
        )
        client.set_registered_model_alias(run.model, CHALLENGER, created.version)
        client.set_terminated(run.id)
    return ModelVersion(run.model, str(created.version), run.lineage)


def profile_reference(model: Any, trained_on: pd.DataFrame, held_out: pd.DataFrame) -> ReferenceProfile:
    """The reference for inferences: the inputs of all rows, and the predictions of the held-out rows.

    A model predicts the rows that it was trained on better than others, so predictions of those are left out.
    """
    predictions = pd.Series(model.predict(held_out[FEATURES]), name=DEFAULT_OUTPUT)
    correct = int((predictions == held_out[TARGET].to_numpy()).sum())
    return ReferenceProfile(
        inputs=profile_table(pd.concat([trained_on[FEATURES], held_out[FEATURES]], ignore_index=True)),
        outputs={DEFAULT_OUTPUT: profile_column(predictions)},
        accuracy=AccuracyProfile(rows=len(held_out), correct=correct),
    )


def _score(weights: Path, held_out: pd.DataFrame) -> dict[str, float]:
    predictions = models.load(weights).predict(held_out[FEATURES])
    return score(held_out, predictions, [each.column for each in SLICES])


def _log_metrics(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> None:
    now = int(time.time() * 1000)
    client.log_batch(run_id, [Metric(key, value, now, 0) for key, value in metrics.items()])


def _log_model(run: TrainingRun, model: Any, trained_on: pd.DataFrame) -> str:
    """Log the model in the contract's format, with the contract's libraries as its requirements; returns its URI."""
    terms = contract.load()
    example = trained_on[FEATURES].head(_EXAMPLE_ROWS)
    mlflow.set_tracking_uri(run.tracking_uri)
    with mlflow.start_run(run.id):
        info = mlflow.sklearn.log_model(
            model,
            name=run.model,
            signature=infer_signature(example, model.predict(example)),
            input_example=example,
            serialization_format=terms.format,
            skops_trusted_types=list(terms.trusted_types),
            pip_requirements=terms.requirements,
        )
    # `start_run` has ended the run, but later steps continue it.
    MlflowClient(run.tracking_uri).update_run(run.id, status="RUNNING")
    return f"models:/{info.model_id}"
