"""Registers a challenger of a rehearsal: `python challengers.py sound|slow|failing POPULATION`.

This is quick, since it searches no hyperparameters. The challenger is trained and evaluated on the rows of a
population, and passes the gate and the rollout's test predictions. A sound one is as good as its population resembles
the users'; the faults of the others affect only users: slow responses, and values that the data set does not have.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import populations
import skops.io
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, QuantileTransformer

from lifecycle.core import LifecycleError, ModelRegistry, read_settings
from lifecycle.core.names import HELD_OUT_PATH, SLICES_PATH
from lifecycle.gate import GateSettings, evaluate_model, log_report
from lifecycle.training import data, run, tracking
from lifecycle.training.models import SEED
from lifecycle.training.settings import TrainingSettings

_TREES = 60
_SECONDS = 7.0  # of a slow prediction, regardless of the number of rows; more than the scenario's ROLLOUT_MAX_P95
_TIMED_STEPS = 100


def sound() -> ClassifierMixin:
    return RandomForestClassifier(_TREES, random_state=SEED)


def slow() -> ClassifierMixin:
    """Computes features in hundreds of steps or more, and then ignores them."""
    features = FeatureUnion([("columns", "passthrough"), ("unused", _transform_repeatedly(_count_slow_steps()))])
    return make_pipeline(features, _first_columns(), RandomForestClassifier(_TREES, random_state=SEED))


def _transform_repeatedly(steps: int) -> Pipeline:
    return make_pipeline(
        *(QuantileTransformer(n_quantiles=50, output_distribution="normal") for _ in range(steps)),
    )


def _count_slow_steps() -> int:
    """So many that a prediction takes its time on this machine."""
    rows = data.load_shipped()[data.FEATURES]
    timed = _transform_repeatedly(_TIMED_STEPS).fit(rows)
    durations = []
    for _ in range(3):
        started = time.perf_counter()
        timed.transform(rows.head(1))
        durations.append(time.perf_counter() - started)
    return math.ceil(_SECONDS / min(durations) * _TIMED_STEPS)


def failing() -> ClassifierMixin:
    """Raises for radii far beyond those in the data set, whose arc sine is not a number."""
    arc_sine = make_pipeline(MinMaxScaler((0, 0.5)), FunctionTransformer(np.arcsin))
    features = make_column_transformer(("passthrough", data.FEATURES), (arc_sine, ["mean_radius"]))
    finite = FunctionTransformer(validate=True)
    return make_pipeline(features, finite, _first_columns(), RandomForestClassifier(_TREES, random_state=SEED))


def _first_columns() -> ColumnTransformer:
    """Keeps the columns of the data set, and drops the ones computed from them."""
    return make_column_transformer(("passthrough", list(range(len(data.FEATURES)))))


CHALLENGERS = {"sound": sound, "slow": slow, "failing": failing}


def register(kind: str, population: str, settings: TrainingSettings) -> Mapping[str, str]:
    """Train, evaluate and register, as the pipeline does. Raises LifecycleError if the gate rejects the model."""
    registry = ModelRegistry.connect(settings.tracking_uri)
    train_on, held_out = data.split(populations.load(population))
    model = CHALLENGERS[kind]().fit(train_on[data.FEATURES], train_on[data.TARGET])
    training_run = run.start(registry, settings.experiment, settings.model, "0" * 32, "0" * 40)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {HELD_OUT_PATH: folder / "held-out.parquet", SLICES_PATH: folder / "slices.json"}
        held_out.to_parquet(files[HELD_OUT_PATH])
        files[SLICES_PATH].write_text(json.dumps([each.column for each in data.SLICES]))
        skops.io.dump(model, folder / "model.skops")
        tuning = {"family": kind, "parameters": {}, "accuracy": 1.0}
        logged = tracking.log_candidates(training_run, [tuning], [folder / "model.skops"], train_on, files)
    report = evaluate_model(registry, settings.model, logged.uri, training_run.id, GateSettings())
    log_report(registry, training_run.id, report)
    if not report.passed:
        raise LifecycleError(f"The gate rejects the {kind} challenger: {'; '.join(report.reasons)}.")
    version = tracking.register(training_run, logged, report)
    return {"name": version.model, "version": version.version}


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        print(json.dumps(register(sys.argv[1], sys.argv[2], read_settings(TrainingSettings))))
    except LifecycleError as error:
        sys.exit(str(error))
