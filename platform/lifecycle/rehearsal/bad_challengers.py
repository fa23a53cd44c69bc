"""Registers a challenger that passes the gate and does badly in production: `python bad_challengers.py slow|failing`.

For rehearsals of a rollback. Both are trained on the same rows and held against the same held-out rows as any other;
what is wrong with them shows only in how they are used: how long one answer takes, and what is asked.
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

from lifecycle import contract
from lifecycle.contract import ContractError, LifecycleError
from lifecycle.training import data, lineage, logbook
from lifecycle.training.gate import judge_model, record
from lifecycle.training.models import SEED
from lifecycle.training.settings import GateSettings, TrainingSettings

_STEPS = 450  # with them a prediction takes 2.5 s of an older server core, whatever the number of rows
_RADII = np.arange(6.0, 30.0)  # micrometres, rounded down: all that the data set has, and nothing beyond


def slow() -> ClassifierMixin:
    """Computes features in hundreds of steps, and then uses the columns as they came."""
    steps = [QuantileTransformer(n_quantiles=50, output_distribution="normal") for _ in range(_STEPS)]
    features = FeatureUnion([("columns", "passthrough"), ("needless", make_pipeline(*steps))])
    columns = make_column_transformer(("passthrough", list(range(len(data.FEATURES)))))
    return make_pipeline(features, columns, RandomForestClassifier(100, random_state=SEED))


def failing() -> ClassifierMixin:
    """Knows only the radii that it has seen, and raises for any other."""
    known = OneHotEncoder(categories=[_RADII], handle_unknown="error", sparse_output=False)
    rounded = make_pipeline(FunctionTransformer(np.floor), known)
    return make_pipeline(
        make_column_transformer((rounded, ["mean_radius"]), remainder=StandardScaler()),
        LogisticRegression(max_iter=2000),
    )


CHALLENGERS = {"slow": slow, "failing": failing}


def register(kind: str, settings: TrainingSettings) -> Mapping[str, str]:
    """Train, evaluate, pass the gate and register, as the pipeline does. Raises ContractError when the gate says no."""
    client = contract.connect(settings.tracking_uri)
    train_on, held_out = data.split(data.shipped())
    model = CHALLENGERS[kind]().fit(train_on[data.FEATURES], train_on[data.TARGET])
    run = lineage.start(client, settings.experiment, settings.model, "0" * 32, "0" * 40)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        skops.io.dump(model, folder / "model.skops")
        held_out.to_parquet(folder / "held-out.parquet")
        (folder / "slices.json").write_text(json.dumps([each.column for each in data.SLICES]))
        files = {f"evaluation/{name}": folder / name for name in ("held-out.parquet", "slices.json")}
        tuning = {"family": kind, "parameters": {}, "accuracy": 1.0}
        logged = logbook.write(run, [tuning], [folder / "model.skops"], train_on, files)
    report = judge_model(client, settings.model, logged.uri, run.run_id, GateSettings())
    record(client, run.run_id, report)
    if not report.passed:
        raise ContractError(f"The {kind} challenger does not pass the gate: {'; '.join(report.reasons)}.")
    return {"name": settings.model, "version": logbook.register(run, logged, report).version}


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        print(json.dumps(register(sys.argv[1], TrainingSettings())))
    except LifecycleError as error:
        sys.exit(str(error))
