"""One set of queries, on DuckDB and on a real local Spark, returns the numbers that NumPy counts.

Not proven: a cluster of several machines, and its access to a cloud's store.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lifecycle.core.reference_profile import ReferenceProfile, profile_table
from lifecycle.drift import layout, queries
from lifecycle.drift.analysis import analyse
from lifecycle.drift.comparison import arrange
from lifecycle.drift.engines import Engine
from lifecycle.drift.report import DriftReport
from lifecycle.drift.store import ArtifactStore
from lifecycle.drift.window import WindowReader, log_columns
from support.drift import DAY, NOW, WINDOW, make_rows, settings, to_log, write_log, write_outcomes
from support.drift_simulation import count


@pytest.fixture(params=["duckdb", pytest.param("spark", marks=pytest.mark.process)])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def test_counts_equal_numpys(
    engine: Engine, tmp_path: Path, generator: np.random.Generator, reference: ReferenceProfile
) -> None:
    rows = make_rows(generator)
    rows.loc[:4, "alcohol"] = [np.nan, 1e300, -1e300, 0.0, -0.0]
    rows.loc[5, "colour"] = None
    table = engine.read([str(write_log(tmp_path, to_log(rows)))])
    profiles = log_columns(reference)
    counted = engine.run(queries.count_bins(table, profiles))
    by_place = dict(iter(counted.groupby("column")))
    alcohol = arrange(by_place[0], profiles["input_alcohol"])
    expected = count(profiles["input_alcohol"], rows["alcohol"].dropna().to_numpy())
    assert alcohol.counts.tolist() == expected.counts.tolist()
    assert alcohol.totals == pytest.approx(expected.totals)
    assert alcohol.missing.tolist() == [1]
    colour = arrange(by_place[2], profiles["input_colour"])
    names = profiles["input_colour"].categories
    assert colour.counts[0].tolist() == [*(rows["colour"].value_counts()[name] for name in names), 0]


def test_hours_of_the_week_are_seasons(engine: Engine, tmp_path: Path) -> None:
    times = pd.Series(pd.date_range("2026-11-02", periods=168, freq="h", tz="UTC").repeat(200))
    profiles = profile_table(pd.DataFrame({"input_x": np.arange(len(times)) * 0.5}), times)
    # Wednesday, 25 November; 1 January 1970 was a Thursday.
    log = to_log(pd.DataFrame({"x": np.full(48, 0.5)}))
    counted = engine.run(queries.count_bins(engine.read([str(write_log(tmp_path, log))]), profiles))
    found = arrange(counted, profiles["input_x"])
    assert np.flatnonzero(found.counts.sum(axis=1)).tolist() == list(range(6 * 24, 7 * 24))
    assert set(found.counts.sum(axis=1)) == {0, 2}


def test_a_window_has_its_first_and_not_its_last_moment(engine: Engine, tmp_path: Path) -> None:
    log = to_log(pd.DataFrame({"x": [0.1, 0.2, 0.3]}), hours=3)  # at 0, 1 and 2 o'clock
    table = engine.read([str(write_log(tmp_path, log))])
    selected = queries.select_window(table, DAY + timedelta(hours=1), DAY + timedelta(hours=2))
    assert engine.run(selected.select("input_x"))["input_x"].tolist() == [0.2]


def test_outcomes_are_joined_late_doubled_and_missing(engine: Engine, tmp_path: Path) -> None:
    log = to_log(pd.DataFrame({"predict": [1.0, 1.0, 1.0, 0.0, 0.0]}))
    log.loc[4, layout.REQUEST_ID] = "r-3"  # a client used an ID twice
    predictions = engine.read([str(write_log(tmp_path, log))])
    first = write_outcomes(tmp_path, {"r-0": 1.0, "r-1": 1.0, "r-3": 0.0}, NOW)
    second = write_outcomes(tmp_path, {"r-1": 0.0, "unknown": 1.0}, NOW + timedelta(days=3), "corrected")
    outcomes = engine.read([str(first), str(second)])
    found = engine.run(queries.count_correct(predictions, "output_predict", outcomes, 60)).iloc[0]
    assert found.astype(int).to_dict() == {"rows": 2, "correct": 1, "early": 0, "reused": 2}
    early = engine.read([str(write_outcomes(tmp_path, {"r-0": 1.0}, DAY - timedelta(minutes=2), "early"))])
    found = engine.run(queries.count_correct(predictions, "output_predict", early, 60)).iloc[0]
    assert found["early"] == 1


@pytest.mark.process
def test_both_engines_write_the_same_report(
    duckdb: Engine, spark: Engine, tmp_path: Path, generator: np.random.Generator, reference: ReferenceProfile
) -> None:
    rows = make_rows(generator)
    write_log(tmp_path, to_log(rows.assign(alcohol=rows["alcohol"] + 0.5)))
    write_outcomes(tmp_path, {f"r-{number}": rows["predict"][number] for number in range(0, 2000, 2)}, NOW)

    def report(engine: Engine) -> DriftReport:
        reader = WindowReader(ArtifactStore(str(tmp_path)), engine, tmp_path, timedelta(minutes=5))
        inferences = reader.read_inferences(WINDOW, reference, NOW)
        outcomes = reader.read_outcomes(WINDOW, reference.outputs["predict"], NOW)
        return analyse(engine, WINDOW, inferences, outcomes, reference, settings(tmp_path))

    first, second = report(duckdb), report(spark)
    assert first.reasons == second.reasons != []
    assert first.accuracy == second.accuracy
    assert first.accuracy is not None
    assert first.accuracy.rows == first.accuracy.correct == 1000
    for one, other in zip(first.columns, second.columns, strict=True):
        assert (one.psi, one.p_value, one.window_shares) == (other.psi, other.p_value, other.window_shares)
        assert (one.wasserstein is None) == (other.wasserstein is None)
        assert (one.wasserstein or 0) == pytest.approx(other.wasserstein or 0, rel=1e-9)
