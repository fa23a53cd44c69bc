"""False alarms and missed shifts, on simulated windows of 31 columns; seeded.

The level of false alarms holds by Holm's procedure; here some two hundred windows, and twice as many in `make soak`,
show that no approximation spoils it grossly. The benchmark has tens of thousands.
"""

from __future__ import annotations

import numpy as np
import pytest

from lifecycle.drift.comparison import Limits, decide
from support.drift_simulation import COLUMNS, Simulation

LIMITS = Limits(false_alarm_rate=1e-4, min_psi=0.1, min_accuracy_drop=0.02)
# Not so rare that its simulation would take hours, and without a minimum difference, which would hide the test's level.
LOOSE = Limits(false_alarm_rate=0.05, min_psi=0, min_accuracy_drop=0)


@pytest.mark.slow
@pytest.mark.parametrize("windows", [50, pytest.param(150, marks=pytest.mark.soak)])
def test_windows_without_drift_raise_no_alarm(windows: int) -> None:
    simulation = Simulation(seed=11, reference_rows=430)
    assert sum(simulation.draws_alarm(LIMITS, rows=1000, shift=0) for _ in range(windows)) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("windows", "most"), [(100, 15), pytest.param(200, 25, marks=pytest.mark.soak)])
def test_significance_keeps_its_level(windows: int, most: int) -> None:
    """At a level of 5 %: more alarms are, by chance, 4 in 10^5 runs of 100 windows, and 1 in 10^5 of 200."""
    alarms = 0
    for seed in range(10):  # the level is over references as well as windows
        simulation = Simulation(seed=seed, reference_rows=430)
        alarms += sum(simulation.draws_alarm(LOOSE, rows=1000, shift=0) for _ in range(windows // 10))
    assert alarms <= most


@pytest.mark.slow
@pytest.mark.parametrize(("windows", "least"), [(50, 48), pytest.param(100, 97, marks=pytest.mark.soak)])
def test_a_shift_of_half_a_standard_deviation_in_one_column_is_found_in_750_rows(windows: int, least: int) -> None:
    simulation = Simulation(seed=13, reference_rows=430)
    found = sum(simulation.draws_alarm(LIMITS, rows=750, shift=0.5) for _ in range(windows))
    assert found >= least


def test_each_column_is_named() -> None:
    simulation = Simulation(seed=14, reference_rows=2000)
    columns, _ = decide(simulation.compare(rows=1000, shift=0.5), None, LIMITS)
    assert len(columns) == COLUMNS
    assert [column.name for column in columns if column.has_drifted] == ["x0"]
    assert np.isfinite([column.psi for column in columns]).all()
