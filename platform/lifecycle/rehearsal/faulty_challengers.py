"""Registers a challenger that passes the gate and fails in production: `python faulty_challengers.py slow|failing`.

For rehearsals of a rollback. Both are trained and evaluated on the same rows as any other model; their faults show only
in use: in the time of one prediction, and for values that the data set does not have.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import skops.io
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, QuantileTransformer, StandardScaler

from lifecycle.core import LifecycleError, ModelRegistry, read_settings
from lifecycle.core.names import HELD_OUT_PATH, SLICES_PATH
from lifecycle.gate import GateSettings, evaluate_model, log_report
from lifecycle.training import data, run, tracking
from lifecycle.training.models import SEED
from lifecycle.training.settings import TrainingSettings

_STEPS = 1200  # a prediction then takes 7 s on an older server core, whatever the number of rows
_RADII = np.arange(6.0, 30.0)  # micrometres, rounded down: those in the data set


def slow() -> ClassifierMixin:
    """Computes features in more than a thousand steps, and then ignores them."""
    steps = [QuantileTransformer(n_quantiles=50, output_distribution="normal") for _ in range(_STEPS)]
    features = FeatureUnion([("columns", "passthrough"), ("unused", make_pipeline(*steps))])
    columns = make_column_transformer(("passthrough", list(range(len(data.FEATURES)))))
    return make_pipeline(features, columns, RandomForestClassifier(100, random_state=SEED))


def failing() -> ClassifierMixin:
    """Raises for radii that are not in the data set."""
    known = OneHotEncoder(categories=[_RADII], handle_unknown="error", sparse_output=False)
    rounded = make_pipeline(FunctionTransformer(np.floor), known)
    return make_pipeline(
        make_column_transformer((rounded, ["mean_radius"]), remainder=StandardScaler()),
        LogisticRegression(max_iter=2000),
    )


CHALLENGERS = {"slow": slow, "failing": failing}


def register(kind: str, settings: TrainingSettings) -> Mapping[str, str]:
    """Train, evaluate and register, as the pipeline does. Raises LifecycleError when the gate rejects the model."""
    registry = ModelRegistry.connect(settings.tracking_uri)
    train_on, held_out = data.split(data.load_shipped())
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
        print(json.dumps(register(sys.argv[1], read_settings(TrainingSettings))))
    except LifecycleError as error:
        sys.exit(str(error))
