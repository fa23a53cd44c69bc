"""CUPED: the part that a covariate explains is subtracted, and values from after the assignment are never used."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lifecycle.experiment import covariate
from lifecycle.experiment.comparison import Comparison, compare
from lifecycle.experiment.covariate import CovariateError, Observation
from support.experiment import TIME
from support.experiment_simulation import Simulation, experiment

OF = experiment("continuous")


def simulate(seed: int, effect: float, correlation: float = 0.8) -> tuple[Comparison, Comparison]:
    """The comparisons without and with a covariate."""
    simulation = Simulation(OF, 4000, 10, seed)
    before = simulation.generator.standard_normal(4000)
    noise = simulation.generator.standard_normal(4000)
    after = correlation * before + math.sqrt(1 - correlation**2) * noise + effect * simulation.is_challenger
    users, measure = simulation.create(converted=after), simulation.measures[0]
    return compare(measure, users, 0.05), compare(measure, users, 0.05, 7 + 3 * before)


def width(comparison: Comparison) -> float:
    assert comparison.any_time is not None
    return comparison.any_time.high - comparison.any_time.low


def test_a_covariate_narrows_the_interval_by_the_part_it_explains() -> None:
    without, with_covariate = simulate(1, effect=0.1)
    assert width(with_covariate) == pytest.approx(math.sqrt(1 - 0.8**2) * width(without), rel=0.05)
    assert with_covariate.means is not None
    assert with_covariate.means[0] - with_covariate.means[1] == pytest.approx(0.1, abs=0.05)


def test_a_covariate_adds_no_difference_to_equal_variants() -> None:
    wrong = 0
    for seed in range(200):
        _, found = simulate(seed, effect=0)
        assert found.once is not None
        wrong += not found.once.low <= 0 <= found.once.high
    assert 2 <= wrong <= 20, "of 200 at a level of 5 %, looked at once"


def test_users_without_a_covariate_are_unchanged() -> None:
    values, known = np.array([1.0, 2.0, 3.0, 4.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0, math.nan])
    assert covariate.adjust(values, known).tolist() == [2.5, 2.5, 2.5, 2.5, 9.0]
    values[1] = math.nan
    assert math.isnan(covariate.adjust(values, known)[1])


@pytest.mark.parametrize("known", [[math.nan] * 4, [5.0] * 4, [1.0, 2.0, math.nan, math.nan]])
def test_an_uninformative_covariate_changes_nothing(known: list[float]) -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert covariate.adjust(values, np.array(known)).tolist() == values.tolist()


def test_only_values_from_before_the_first_prediction_count() -> None:
    simulation = Simulation(OF, 2, 1, seed=1)
    users = simulation.create()
    users = type(users)(["a", "b"], *(users.share, users.is_challenger), *(np.full(2, TIME),) * 2, users.values)
    found = covariate.match(
        users,
        [
            Observation("a", TIME - 5, 1.0),
            Observation("a", TIME - 4, 2.0),
            Observation("a", TIME, 100.0),
            Observation("b", TIME + 60, 100.0),
            Observation("somebody else", TIME - 9, 100.0),
        ],
    )
    assert found.values[0] == 1.5
    assert math.isnan(found.values[1])
    assert (found.users, found.late) == (1, 2)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "before.csv"
    file.write_text("user,time,value\nu1,1790000000,2.5\nu2,1790000000.5,-1e3\n")
    assert covariate.read(file) == [Observation("u1", TIME, 2.5), Observation("u2", TIME + 0.5, -1000.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must begin with the line user,time,value"),
        (b"user,value\nu1,1\n", "must begin with the line user,time,value"),
        (b"user,time,value\nu1,1\n", "line 2: 'u1,1' is not a user, a time and a number"),
        (b"user,time,value\nu1,1,1\nu2,1,x\n", "line 3: 'u2,1,x' is not a user, a time and a number"),
        (b"user,time,value\nu1,1,nan\n", "line 2: 'u1,1,nan' has a number that is not finite"),
        (b"\xff\xfe", "is not a CSV file in UTF-8"),
    ],
)
def test_an_invalid_covariate_file_has_a_clear_message(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "before.csv"
    file.write_bytes(content)
    with pytest.raises(CovariateError) as error:
        covariate.read(file)
    assert message in str(error.value)


def test_a_file_that_is_missing_has_a_clear_message(tmp_path: Path) -> None:
    with pytest.raises(CovariateError, match="cannot be read: No such file or directory; pass the path"):
        covariate.read(tmp_path / "none.csv")
