"""Inference logs and references for tests of drift: a model with two numbers and a category as inputs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lifecycle.core import Lineage, ModelVersion
from lifecycle.core.reference_profile import AccuracyProfile, ReferenceProfile, profile_column, profile_table
from lifecycle.drift import layout
from lifecycle.drift.settings import DriftSettings
from lifecycle.drift.window import Window

VERSION = ModelVersion("wine", "3", Lineage("run-1"))
DAY = datetime(2026, 11, 25, tzinfo=UTC)
NOW = DAY + timedelta(days=1, hours=2)
WINDOW = Window(VERSION, DAY, DAY + timedelta(days=1))


def settings(store: Path, **changes: Any) -> DriftSettings:
    return DriftSettings.model_validate({"store": str(store), **changes})


def make_rows(generator: np.random.Generator, rows: int = 2000, **columns: Any) -> pd.DataFrame:
    """Inputs and predictions of the model; `columns` replaces some of them."""
    table = pd.DataFrame(
        {
            "alcohol": generator.normal(13, 1, rows),
            "acidity": generator.lognormal(0, 1, rows),
            "colour": generator.choice(["red", "white", "rose"], rows, p=[0.6, 0.3, 0.1]),
            "predict": generator.choice([0.0, 1.0], rows, p=[0.7, 0.3]),
        }
    )
    return table.assign(**columns)


def make_reference(generator: np.random.Generator, rows: int = 5000) -> ReferenceProfile:
    table = make_rows(generator, rows)
    return ReferenceProfile(
        inputs=profile_table(table[["alcohol", "acidity", "colour"]]),
        outputs={"predict": profile_column(table["predict"])},
        accuracy=AccuracyProfile(rows=1000, correct=900),
    )


def to_log(rows: pd.DataFrame, start: datetime = DAY, hours: float = 24) -> pd.DataFrame:
    """Rows with the log's column names, spread evenly over some hours."""
    names = {name: f"{layout.OUTPUT if name == 'predict' else layout.INPUT}{name}" for name in rows.columns}
    log = rows.rename(columns=names)
    steps = pd.to_timedelta(np.arange(len(rows)) * hours * 3600 / max(len(rows), 1), unit="s")
    log[layout.TIME] = (pd.Timestamp(start) + steps).astype("datetime64[us, UTC]")
    log[layout.REQUEST_ID] = [f"r-{number}" for number in range(len(rows))]
    log[layout.EVENT_ID] = log[layout.REQUEST_ID]
    log[layout.ROW] = np.zeros(len(rows), np.int32)
    return log


def write_log(store: Path, log: pd.DataFrame, day: datetime = DAY, name: str = "part") -> Path:
    """Write one file of the log; returns its path."""
    return _write(store / layout.log_folder(VERSION.model, VERSION.version), log, day, name)


def write_outcomes(store: Path, outcomes: Mapping[str, float], time: datetime, name: str = "part") -> Path:
    """Write outcomes by request ID, all of which became known at `time`."""
    table = pd.DataFrame({layout.REQUEST_ID: list(outcomes), layout.OUTCOME: list(outcomes.values())})
    table[layout.ROW] = np.zeros(len(table), np.int32)
    table[layout.TIME] = pd.Series(pd.Timestamp(time), index=table.index).astype("datetime64[us, UTC]")
    return _write(store / layout.outcome_folder(VERSION.model), table, time, name)


def _write(folder: Path, table: pd.DataFrame, day: datetime, name: str) -> Path:
    path = folder / f"{day:%Y-%m-%d}" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path)
    return path
