"""The steps of training. Each reads folders, writes folders, and knows nothing of what runs it.

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

from lifecycle.contract import LifecycleError
from lifecycle.training import data

_TABLE = "table.csv"
_TRAIN, _HELD_OUT, _SLICES = "train.parquet", "held-out.parquet", "slices.json"
_TUNING, _WEIGHTS, _EVALUATION, _VERSION = "tuning.json", "model.skops", "evaluation.json", "version.json"


def ingest(
    *, source: str, remote: str, tracking_uri: str, experiment: str, model: str, git_commit: str, table: Path, run: Path
) -> None:
    """Bring the data, give it a version, start the run.

    Raises UnreachableError when MLflow does not answer, LifecycleError when the data or its remote cannot be used.
    """
    from lifecycle import contract
    from lifecycle.training import lineage, versions

    client = contract.connect(tracking_uri)
    table.mkdir(parents=True, exist_ok=True)
    file = table / _TABLE
    if source.startswith("dvc:"):
        version = source.removeprefix("dvc:")
        versions.fetch(version, file, remote)
    else:
        frame = data.shipped() if source == "shipped" else data.read(Path(source))
        frame.to_csv(file, index=False)
        version = versions.record(file, remote)
    started = lineage.start(client, experiment, model, version, git_commit)
    with contract.asking(client):
        client.log_artifact(started.run_id, str(versions.pointer(file)), "data")
    started.save(run)


def validate(*, run: Path, table: Path, valid: Path) -> None:  # noqa: ARG001 (every step names its run)
    """Let the data pass that keeps its schema. Raises LifecycleError listing the rules it breaks."""
    frame = data.validate(data.read(table / _TABLE))
    valid.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(valid / "table.parquet")


def split(*, run: Path, valid: Path, parts: Path) -> None:  # noqa: ARG001
    """Part the rows into those to train on and those held out."""
    train_on, held_out = data.split(pd.read_parquet(valid / "table.parquet"))
    parts.mkdir(parents=True, exist_ok=True)
    train_on.to_parquet(parts / _TRAIN)
    held_out.to_parquet(parts / _HELD_OUT)
    (parts / _SLICES).write_text(json.dumps([each.column for each in data.SLICES]))


def tune(*, run: Path, parts: Path, family: str, trials: int, tuning: Path) -> None:  # noqa: ARG001
    """Search the family's parameters on the training rows."""
    from lifecycle.training import models

    found = models.tune(models.FAMILIES[family], pd.read_parquet(parts / _TRAIN), trials)
    tuning.mkdir(parents=True, exist_ok=True)
    (tuning / _TUNING).write_text(json.dumps(asdict(found)))


def train(*, run: Path, parts: Path, tuning: Path, candidate: Path) -> None:  # noqa: ARG001
    """Train one model with the parameters found."""
    import skops.io

    from lifecycle.training import models

    found = json.loads((tuning / _TUNING).read_text())
    model = models.FAMILIES[found["family"]].fit(pd.read_parquet(parts / _TRAIN), found["parameters"])
    candidate.mkdir(parents=True, exist_ok=True)
    skops.io.dump(model, candidate / _WEIGHTS)
    shutil.copy(tuning / _TUNING, candidate)


def evaluate(*, run: Path, parts: Path, forest: Path, boosting: Path, evaluation: Path) -> None:
    """Log both candidates' searches, and the better one as the run's model with its metrics and its held-out data.

    The better one is better in cross-validation: choosing by the held-out rows would use them up.
    """
    from lifecycle.training import logbook
    from lifecycle.training.lineage import Lineage

    logged = logbook.write(
        Lineage.read(run),
        [json.loads((folder / _TUNING).read_text()) for folder in (forest, boosting)],
        [folder / _WEIGHTS for folder in (forest, boosting)],
        pd.read_parquet(parts / _TRAIN),
        {"evaluation/held-out.parquet": parts / _HELD_OUT, "evaluation/slices.json": parts / _SLICES},
    )
    evaluation.mkdir(parents=True, exist_ok=True)
    (evaluation / _EVALUATION).write_text(json.dumps(asdict(logged)))


def gate(*, run: Path, evaluation: Path, min_accuracy: float, min_recall: float, margin: float, verdict: Path) -> None:
    """Judge the model as `gate.judge` will again before it is promoted. Raises LifecycleError when it does not pass."""
    from lifecycle.training.gate import judge_model, record
    from lifecycle.training.lineage import Lineage
    from lifecycle.training.settings import GateSettings

    lineage, logged = Lineage.read(run), json.loads((evaluation / _EVALUATION).read_text())
    settings = GateSettings(min_accuracy=min_accuracy, min_recall=min_recall, margin=margin)
    client = lineage.connect()
    report = judge_model(client, lineage.model, logged["uri"], lineage.run_id, settings)
    record(client, lineage.run_id, report)
    if not report.passed:
        reasons = "\n".join(f"  - {reason}" for reason in report.reasons)
        raise LifecycleError(f"The gate rejects the {logged['family']} of run {lineage.run_id}:\n{reasons}")
    verdict.mkdir(parents=True, exist_ok=True)
    (verdict / "report.json").write_text(json.dumps(asdict(report)))


def register(*, run: Path, evaluation: Path, verdict: Path, version: Path) -> None:
    """Register the model that passed, tell its lineage in tags, and make it the challenger."""
    from lifecycle.training import logbook
    from lifecycle.training.gate import GateReport
    from lifecycle.training.lineage import Lineage

    report = GateReport(**json.loads((verdict / "report.json").read_text()))
    logged = logbook.Logged(**json.loads((evaluation / _EVALUATION).read_text()))
    registered = logbook.register(Lineage.read(run), logged, report)
    version.mkdir(parents=True, exist_ok=True)
    (version / _VERSION).write_text(json.dumps(asdict(registered)))


STEPS: Mapping[str, Callable[..., None]] = {
    step.__name__: step for step in (ingest, validate, split, tune, train, evaluate, gate, register)
}


def perform(name: str, **arguments: str | int | float) -> None:
    """Do one step; what runs it passes paths as text. Ends the process with status 1 and a message when it fails."""
    from lifecycle.training import lineage
    from lifecycle.training.console import report

    step = STEPS[name]
    converted = {key: _convert(str(step.__annotations__[key]), value) for key, value in arguments.items()}
    began = time.monotonic()
    try:
        step(**converted)
    except LifecycleError as error:
        lineage.fail(Path(str(arguments["run"])), error)
        report(name, str(error))
        raise SystemExit(1) from None
    report(name, f"done in {time.monotonic() - began:.1f} s")


def parameters(name: str) -> list[str]:
    """The arguments that a step takes, all of them by name."""
    return list(inspect.signature(STEPS[name]).parameters)


def _convert(kind: str, value: str | int | float) -> Any:
    return {"Path": Path, "str": str, "int": int, "float": float}[kind](value)
