"""When a worker waits for company: never for a lone client, and only where sharing a call is worth the wait.

A clock of numbers, no model: what is proved is the rule. That it pays is the benchmark's to show.
"""

from __future__ import annotations

import itertools

from lifecycle.serving.pace import Pace


def test_a_lone_client_never_waits() -> None:
    pace, now = Pace(), 0.0
    for _ in range(100):
        pace.arrived(now)
        assert pace.patience(1) == 0
        pace.took(1, 0.010)
        now += 0.010 + 0.001  # its next request comes after its answer


def test_a_crowd_after_a_long_pause_is_soon_waited_for() -> None:
    pace = crowd(clients=8, fixed=0.010, each=0.0)
    now = 1000.0
    for _ in range(20):
        pace.arrived(now)
        now += 0.0005
    assert pace.patience(1) > 0


def test_one_call_that_hung_does_not_teach_everyone_to_wait() -> None:
    pace = Pace()
    pace.arrived(0.0)
    pace.took(1, 11.0)
    pace.arrived(8.0)
    assert pace.patience(1) > 1, "by the rule alone it would be long"
    assert pace.longest <= 0.02


def test_nobody_waits_before_anything_is_known() -> None:
    pace = Pace()
    pace.arrived(1.0)
    assert pace.patience(1) == 0


def test_a_crowd_waits_until_as_many_are_there_as_come_during_a_call() -> None:
    pace = crowd(clients=8, fixed=0.010, each=0.0)
    waits = [pace.patience(waiting) > 0 for waiting in range(1, 12)]
    assert waits[:5] == [True] * 5
    assert waits[9:] == [False] * 2
    assert sum(1 for before, after in itertools.pairwise(waits) if before != after) == 1


def test_a_model_whose_cost_is_all_in_its_rows_is_not_waited_for() -> None:
    pace = crowd(clients=8, fixed=0.0, each=0.002)
    assert pace.fixed < 0.0005
    assert pace.patience(1) == 0


def test_the_fixed_part_of_a_call_is_found_behind_its_rows() -> None:
    assert abs(crowd(clients=8, fixed=0.010, each=0.001).fixed - 0.010) < 0.001


def crowd(clients: int, fixed: float, each: float) -> Pace:
    """What a worker sees of clients who come again as soon as they are answered, in calls of changing sizes."""
    pace, now = Pace(), 0.0
    for number in range(200):
        rows = 1 + (number * 5) % clients
        for _ in range(rows):
            now += 0.0001
            pace.arrived(now)
        seconds = fixed + each * rows
        pace.took(rows, seconds)
        now += seconds * rows / clients
    return pace
