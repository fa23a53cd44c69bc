"""When a worker waits for more requests: never with a single client, and only if sharing a call pays.

Proves the rule, with simulated times and without a model. The benchmark measures its effect.
"""

from __future__ import annotations

import itertools

from lifecycle.serving.batch_pacing import BatchPacing


def test_a_single_client_never_waits() -> None:
    pacing, now = BatchPacing(), 0.0
    for _ in range(100):
        pacing.record_arrival(now)
        assert pacing.wait(1) == 0
        pacing.record_call(1, 0.010)
        now += 0.010 + 0.001  # its next request follows the response


def test_many_clients_after_a_long_pause_are_waited_for() -> None:
    pacing = observe(clients=8, fixed=0.010, per_row=0.0)
    now = 1000.0
    for _ in range(20):
        pacing.record_arrival(now)
        now += 0.0005
    assert pacing.wait(1) > 0


def test_one_slow_call_does_not_cause_long_waits() -> None:
    pacing = BatchPacing()
    pacing.record_arrival(0.0)
    pacing.record_call(1, 11.0)
    pacing.record_arrival(8.0)
    assert pacing.wait(1) > 1, "without the limit, the wait would be long"
    assert pacing.max_wait <= 0.02


def test_no_request_waits_before_there_are_observations() -> None:
    pacing = BatchPacing()
    pacing.record_arrival(1.0)
    assert pacing.wait(1) == 0


def test_requests_wait_until_as_many_are_queued_as_arrive_during_a_call() -> None:
    pacing = observe(clients=8, fixed=0.010, per_row=0.0)
    waits = [pacing.wait(waiting) > 0 for waiting in range(1, 12)]
    assert waits[:5] == [True] * 5
    assert waits[9:] == [False] * 2
    assert sum(1 for before, after in itertools.pairwise(waits) if before != after) == 1


def test_a_model_whose_cost_is_only_per_row_causes_no_wait() -> None:
    pacing = observe(clients=8, fixed=0.0, per_row=0.002)
    assert pacing.fixed < 0.0005
    assert pacing.wait(1) == 0


def test_the_fixed_part_of_a_call_is_estimated() -> None:
    assert abs(observe(clients=8, fixed=0.010, per_row=0.001).fixed - 0.010) < 0.001


def observe(clients: int, fixed: float, per_row: float) -> BatchPacing:
    """The observations of a worker whose clients send a request after each response, in calls of varying size."""
    pacing, now = BatchPacing(), 0.0
    for number in range(200):
        rows = 1 + (number * 5) % clients
        for _ in range(rows):
            now += 0.0001
            pacing.record_arrival(now)
        seconds = fixed + per_row * rows
        pacing.record_call(rows, seconds)
        now += seconds * rows / clients
    return pacing
