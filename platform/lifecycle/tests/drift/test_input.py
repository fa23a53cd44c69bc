"""Broken, empty or foreign input is an error that names the problem. None of it looks like a window without drift.

Each case changes one thing in a log that is otherwise analysed without an error.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lifecycle.core.reference_profile import ReferenceProfile
from lifecycle.drift import layout
from lifecycle.drift.analysis import analyse
from lifecycle.drift.engines import Engine
from lifecycle.drift.errors import InputError
from lifecycle.drift.report import DriftReport, Outcome
from lifecycle.drift.store import ArtifactStore
from lifecycle.drift.window import Window, WindowReader
from support.drift import DAY, NOW, VERSION, WINDOW, make_rows, settings, to_log, write_log, write_outcomes

Analysis = Callable[..., DriftReport]


@pytest.fixture
def log(generator: np.random.Generator) -> pd.DataFrame:
    return to_log(make_rows(generator))


@pytest.fixture
def run(duckdb: Engine, tmp_path: Path, reference: ReferenceProfile) -> Analysis:
    """Analyses the log in the store."""

    def analysis(window: Window = WINDOW) -> DriftReport:
        reader = WindowReader(ArtifactStore(str(tmp_path)), duckdb, tmp_path / "scratch", timedelta(minutes=5))
        inferences = reader.read_inferences(window, reference, NOW)
        outcomes = reader.read_outcomes(window, reference.outputs["predict"], NOW)
        return analyse(duckdb, window, inferences, outcomes, reference, settings(tmp_path))

    return analysis


def test_a_log_like_the_reference_has_no_drift(run: Analysis, log: pd.DataFrame, tmp_path: Path) -> None:
    write_log(tmp_path, log)
    report = run()
    assert (report.outcome, report.rows, report.reasons) == (Outcome.NO_DRIFT, 2000, [])
    assert [column.name for column in report.columns] == ["alcohol", "acidity", "colour", "predict"]


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("input_alcohol", lambda column: column + 0.5),
        ("input_colour", lambda column: column.replace("white", "orange")),
        ("output_predict", lambda column: 1 - column),
    ],
)
def test_a_changed_column_has_drifted(
    run: Analysis, log: pd.DataFrame, tmp_path: Path, column: str, change: Callable[[pd.Series], pd.Series]
) -> None:
    log[column] = change(log[column])
    write_log(tmp_path, log)
    report = run()
    role, _, name = column.partition("_")
    assert report.outcome == Outcome.DRIFT
    assert [(each.role, each.name) for each in report.columns if each.has_drifted] == [(role, name)]
    assert len(report.reasons) == 1
    assert report.reasons[0].startswith(f"{role} {name} has drifted: PSI ")


def test_a_lower_accuracy_is_drift(run: Analysis, log: pd.DataFrame, tmp_path: Path) -> None:
    write_log(tmp_path, log)
    truth = log["output_predict"].where(np.arange(2000) % 4 > 0, 1 - log["output_predict"])
    write_outcomes(tmp_path, dict(zip(log[layout.REQUEST_ID], truth, strict=True)), NOW)
    report = run()
    assert report.accuracy is not None
    assert report.accuracy.has_dropped
    assert report.reasons[0].startswith("the accuracy is 0.7500 over 2000 known outcomes, the reference's is 0.9000")


def test_few_outcomes_are_not_evaluated(run: Analysis, log: pd.DataFrame, tmp_path: Path) -> None:
    write_log(tmp_path, log)
    write_outcomes(tmp_path, {f"r-{number}": 1 - log["output_predict"][number] for number in range(99)}, NOW)
    report = run()
    assert report.accuracy is not None
    assert (report.accuracy.rows, report.accuracy.correct, report.accuracy.p_value) == (99, 0, None)
    assert report.outcome == Outcome.NO_DRIFT


def test_a_small_window_is_inconclusive(run: Analysis, log: pd.DataFrame, tmp_path: Path) -> None:
    write_log(tmp_path, log.head(499).assign(input_alcohol=0.0))
    report = run()
    assert (report.outcome, report.columns) == (Outcome.INCONCLUSIVE, [])
    assert report.reasons == ["the window has 499 inferences; DRIFT_MIN_ROWS requires 500"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda log: log.assign(input_alcohol=log["input_alcohol"].where(log.index != 7)),
            "lacks a value in 1 of 2000",
        ),
        (lambda log: log.assign(input_alcohol=None).astype({"input_alcohol": float}), "has no values at all"),
        (lambda log: log.assign(input_colour=pd.Series(None, log.index, "string")), "input_colour .* no values at all"),
        (lambda log: log.drop(columns="input_acidity"), "schema has changed: .* lacks input_acidity"),
        (lambda log: log.drop(columns=layout.REQUEST_ID), "schema has changed: .* lacks request_id"),
        (lambda log: log.assign(input_sugar=1.0), "schema has changed: .* has input_sugar"),
        (lambda log: log.assign(output_score=1.0), "schema has changed: .* has output_score"),
        (lambda log: log.assign(input_alcohol="13"), "input_alcohol is string in .* must be float64"),
        (lambda log: log.assign(input_colour=1.0), "input_colour is float64 in .* must be string"),
        (lambda log: log.assign(time=log["time"].astype(str)), "time is string in .* must be timestamp"),
        (lambda log: log.assign(time=log["time"].where(log.index != 7)), "1 rows .* have no time"),
        (lambda log: log.head(0), "have no rows"),
        (lambda log: log.assign(time=log["time"] - pd.Timedelta(days=1)), "rows from other days than their folders"),
        (lambda log: log.assign(time=log["time"] + pd.Timedelta(days=1)), "rows from the future"),
    ],
)
def test_a_broken_log_is_an_error(
    run: Analysis, log: pd.DataFrame, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    write_log(tmp_path, change(log))
    with pytest.raises(InputError, match=message):
        run()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_serving_never_accepts_is_an_error(
    run: Analysis, log: pd.DataFrame, tmp_path: Path, value: float
) -> None:
    """Written by PyArrow from an array: from a data frame, NaN would become null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = write_log(tmp_path, log)
    values = log["input_alcohol"].to_numpy().copy()
    values[7] = value
    table = pq.read_table(path)
    pq.write_table(
        table.set_column(table.schema.get_field_index("input_alcohol"), "input_alcohol", pa.array(values)), path
    )
    with pytest.raises(InputError, match="input_alcohol of the inference log has NaN or infinite values"):
        run()


def test_a_missing_log_is_an_error(run: Analysis) -> None:
    with pytest.raises(
        InputError, match="There is nothing in the inference log of wine version 3 from 2026-11-25 00:00"
    ):
        run()


def test_a_window_between_the_rows_is_an_error(run: Analysis, log: pd.DataFrame, tmp_path: Path) -> None:
    write_log(tmp_path, log[log["time"] < pd.Timestamp(DAY) + pd.Timedelta(hours=12)])
    with pytest.raises(InputError, match="There are no rows in the inference log of wine version 3"):
        run(Window(VERSION, DAY + timedelta(hours=13), DAY + timedelta(hours=14)))


@pytest.mark.parametrize("kept", [0, 3, 1000, -1, -8])
def test_a_truncated_file_is_an_error(run: Analysis, log: pd.DataFrame, tmp_path: Path, kept: int) -> None:
    write_log(tmp_path, log)
    path = write_log(tmp_path, log.head(100), name="truncated")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"truncated\.parquet is truncated or corrupt"):
        run()


def test_a_file_whose_data_is_corrupt_is_an_error(run: Analysis, log: pd.DataFrame, tmp_path: Path) -> None:
    path = write_log(tmp_path, log)
    content = bytearray(path.read_bytes())
    content[4 : len(content) * 3 // 4] = b"\xff" * (len(content) * 3 // 4 - 4)
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as one table"):
        run()


def test_files_of_one_window_with_different_schemas_are_an_error(
    run: Analysis, log: pd.DataFrame, tmp_path: Path
) -> None:
    write_log(tmp_path, log.head(1000))
    write_log(tmp_path, log.tail(1000).drop(columns="input_acidity"), name="second")
    with pytest.raises(InputError, match=r"input_acidity .* lacks a value in 1000 of 2000 rows"):
        run()


def test_a_folder_of_a_future_day_is_an_error(run: Analysis, log: pd.DataFrame, tmp_path: Path) -> None:
    write_log(tmp_path, log)
    write_log(tmp_path, log, NOW + timedelta(days=400))
    with pytest.raises(InputError, match="rows from the future: it has a folder 2027-"):
        run()


def test_outcomes_before_their_predictions_are_an_error(run: Analysis, log: pd.DataFrame, tmp_path: Path) -> None:
    write_log(tmp_path, log)
    write_outcomes(tmp_path, {"r-1999": 1.0}, DAY + timedelta(hours=1))
    with pytest.raises(InputError, match=r"1 outcomes of .* are older than their predictions: clocks differ"):
        run()


def test_outcomes_of_another_type_are_an_error(run: Analysis, log: pd.DataFrame, tmp_path: Path) -> None:
    write_log(tmp_path, log)
    write_outcomes(tmp_path, {"r-1": "benign"}, NOW)  # type: ignore[dict-item]
    with pytest.raises(InputError, match=r"outcome is string in .* must be float64"):
        run()
