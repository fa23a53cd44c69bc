"""The steps of training. Each reads folders and writes folders, independently of the service that runs it.

A step's name, its folders and its values are the same on Kubeflow, on Azure ML, on SageMaker and on a command line.
"""

from __future__ import annotations

import inspect
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from lifecycle.core import LifecycleError, ModelRegistry
from lifecycle.core.names import HELD_OUT_PATH, SLICES_PATH
from lifecycle.training import data

_TABLE, _VALIDATED = "table.csv", "table.parquet"
_TRAIN, _HELD_OUT, _SLICES = "train.parquet", "held-out.parquet", "slices.json"
_TUNING, _WEIGHTS, _EVALUATION, _REPORT, _VERSION = (
    "tuning.json",
    "model.skops",
    "evaluation.json",
    "report.json",
    "version.json",
)


def ingest(
    *, source: str, remote: str, tracking_uri: str, experiment: str, model: str, git_commit: str, table: Path, run: Path
) -> None:
    """Fetch the data, record its version, and start the run.

    Raises UnreachableError if MLflow does not answer, LifecycleError if the data or its remote cannot be used.
    """
    from lifecycle.training import data_versions
    from lifecycle.training import run as runs

    registry = ModelRegistry.connect(tracking_uri)
    table.mkdir(parents=True, exist_ok=True)
    file = table / _TABLE
    if source.startswith("dvc:"):
        version = source.removeprefix("dvc:")
        data_versions.fetch(version, file, remote)
    elif source.startswith("remote:"):
        data_versions.download(source.removeprefix("remote:"), file, remote)
        version = data_versions.record(file, remote)
    else:
        frame = data.load_shipped() if source == "shipped" else data.read(Path(source))
        frame.to_csv(file, index=False)
        version = data_versions.record(file, remote)
    training_run = runs.start(registry, experiment, model, version, git_commit)
    with registry.translate_errors():
        registry.client.log_artifact(training_run.id, str(data_versions.pointer_path(file)), "data")
    training_run.save(run)


def validate(*, run: Path, table: Path, validated: Path) -> None:  # noqa: ARG001 (every step has the run's folder)
    """Check the data against its schema. Raises LifecycleError listing the rules that it breaks."""
    frame = data.validate(data.read(table / _TABLE))
    validated.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(validated / _VALIDATED)


def split(*, run: Path, validated: Path, partitions: Path) -> None:  # noqa: ARG001
    """Split the rows into those to train on and those held out."""
    train_on, held_out = data.split(pd.read_parquet(validated / _VALIDATED))
    partitions.mkdir(parents=True, exist_ok=True)
    train_on.to_parquet(partitions / _TRAIN)
    held_out.to_parquet(partitions / _HELD_OUT)
    (partitions / _SLICES).write_text(json.dumps([each.column for each in data.SLICES]))


def tune(*, run: Path, partitions: Path, family: str, trials: int, tuning: Path) -> None:  # noqa: ARG001
    """Search one family's hyperparameters on the training rows."""
    from lifecycle.training import models

    result = models.tune(models.FAMILIES[family], pd.read_parquet(partitions / _TRAIN), trials)
    tuning.mkdir(parents=True, exist_ok=True)
    (tuning / _TUNING).write_text(json.dumps(asdict(result)))


def train(*, run: Path, partitions: Path, tuning: Path, candidate: Path) -> None:  # noqa: ARG001
    """Train one model with the best hyperparameters of its family."""
    import skops.io

    from lifecycle.training import models

    result = json.loads((tuning / _TUNING).read_text())
    model = models.FAMILIES[result["family"]].fit(pd.read_parquet(partitions / _TRAIN), result["parameters"])
    candidate.mkdir(parents=True, exist_ok=True)
    skops.io.dump(model, candidate / _WEIGHTS)
    shutil.copy(tuning / _TUNING, candidate)


def evaluate(*, run: Path, partitions: Path, forest: Path, boosting: Path, evaluation: Path) -> None:
    """Log both candidates' searches, and the better one as the run's model with its metrics and its held-out data.

    Cross-validation decides which is better: a choice by the held-out rows would bias their scores.
    """
    from lifecycle.training import tracking
    from lifecycle.training.run import TrainingRun

    logged = tracking.log_candidates(
        TrainingRun.read(run),
        [json.loads((folder / _TUNING).read_text()) for folder in (forest, boosting)],
        [folder / _WEIGHTS for folder in (forest, boosting)],
        pd.read_parquet(partitions / _TRAIN),
        {HELD_OUT_PATH: partitions / _HELD_OUT, SLICES_PATH: partitions / _SLICES},
    )
    evaluation.mkdir(parents=True, exist_ok=True)
    (evaluation / _EVALUATION).write_text(json.dumps(asdict(logged)))


def gate(*, run: Path, evaluation: Path, min_accuracy: float, min_recall: float, margin: float, report: Path) -> None:
    """Evaluate the model, as promotion will do again later. Raises LifecycleError if it does not pass."""
    from lifecycle.gate import GateSettings, evaluate_model, log_report
    from lifecycle.training.run import TrainingRun

    training_run, logged = TrainingRun.read(run), json.loads((evaluation / _EVALUATION).read_text())
    settings = GateSettings(min_accuracy=min_accuracy, min_recall=min_recall, margin=margin)
    registry = training_run.connect()
    gate_report = evaluate_model(registry, training_run.model, logged["uri"], training_run.id, settings)
    log_report(registry, training_run.id, gate_report)
    if not gate_report.passed:
        reasons = "\n".join(f"  - {reason}" for reason in gate_report.reasons)
        raise LifecycleError(f"The gate rejects the {logged['family']} of run {training_run.id}:\n{reasons}")
    report.mkdir(parents=True, exist_ok=True)
    (report / _REPORT).write_text(json.dumps(asdict(gate_report)))


def register(*, run: Path, evaluation: Path, report: Path, version: Path) -> None:
    """Register the model that passed, with its lineage as tags, and make it the challenger."""
    from lifecycle.gate import GateReport
    from lifecycle.training import tracking
    from lifecycle.training.run import TrainingResult, TrainingRun

    gate_report = GateReport(**json.loads((report / _REPORT).read_text()))
    logged = tracking.LoggedModel(**json.loads((evaluation / _EVALUATION).read_text()))
    registered = tracking.register(TrainingRun.read(run), logged, gate_report)
    result = TrainingResult(
        registered.model,
        registered.version,
        registered.lineage.run_id,
        registered.lineage.data_version,
        logged.metrics,
    )
    version.mkdir(parents=True, exist_ok=True)
    (version / _VERSION).write_text(json.dumps(asdict(result)))


STEPS: Mapping[str, Callable[..., None]] = {
    step.__name__: step for step in (ingest, validate, split, tune, train, evaluate, gate, register)
}


def run_step(name: str, **arguments: str | int | float) -> None:
    """Run one step; paths are passed as strings. Ends the process with status 1 and a message if the step fails."""
    from lifecycle.training import run as runs
    from lifecycle.training.console import report_step

    step = STEPS[name]
    converted = {key: _convert(str(step.__annotations__[key]), value) for key, value in arguments.items()}
    started = time.monotonic()
    try:
        step(**converted)
    except LifecycleError as error:
        runs.fail(Path(str(arguments["run"])), error)
        report_step(name, str(error))
        raise SystemExit(1) from None
    report_step(name, f"done in {time.monotonic() - started:.1f} s")


def parameters(name: str) -> list[str]:
    """The arguments of a step, all of them keyword arguments."""
    return list(inspect.signature(STEPS[name]).parameters)


def _convert(type_name: str, value: str | int | float) -> Any:
    return {"Path": Path, "str": str, "int": int, "float": float}[type_name](value)
