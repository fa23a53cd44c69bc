"""Trained models for tests of the gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import skops.io

from lifecycle.core import ModelRegistry, ModelVersion
from lifecycle.core.names import HELD_OUT_PATH, SLICES_PATH
from lifecycle.gate import GateReport
from lifecycle.training import data, models, run, tracking

HYPERPARAMETERS = {"n_estimators": 60, "max_depth": 8}
EXPERIMENT, DATA_VERSION, GIT_COMMIT = "gate", "0" * 32, "c0ffee"


def train_and_register(
    registry: ModelRegistry,
    folder: Path,
    name: str,
    spoil: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
) -> ModelVersion:
    """Train a forest on rows that `spoil` has changed, evaluate it on true ones, and register it."""
    train_on, held_out = data.split(data.load_shipped())
    files = {HELD_OUT_PATH: folder / "held-out.parquet", SLICES_PATH: folder / "slices.json"}
    held_out.to_parquet(files[HELD_OUT_PATH])
    files[SLICES_PATH].write_text(json.dumps([each.column for each in data.SLICES]))
    weights = folder / "model.skops"
    skops.io.dump(models.FAMILIES["random-forest"].fit(spoil(train_on), HYPERPARAMETERS), weights)
    training_run = run.start(registry, EXPERIMENT, name, DATA_VERSION, GIT_COMMIT)
    tuning = {"family": "random-forest", "parameters": HYPERPARAMETERS, "accuracy": 0.95}
    logged = tracking.log_candidates(training_run, [tuning], [weights], train_on, files)
    return tracking.register(training_run, logged, GateReport(True, [], {}))
