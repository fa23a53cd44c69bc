"""Which outcomes are accepted, and the message of each refusal; an outcome is on disk before it is acknowledged.

Whether an outcome has a prediction, is late, or was reported before, is only known in the store: see test_results.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from lifecycle.experiment.records import Outcome
from lifecycle.experiment.spool import Spool
from support.experiment import EXPERIMENT, RunningRouter, fill, metric, run_router

PATH = "/ab-test/outcomes"
VALID = {"experiment": EXPERIMENT, "request_id": "r1", "name": "converted", "value": 1}


def test_an_outcome_is_on_disk_when_it_is_acknowledged(router: RunningRouter) -> None:
    before = time.time()
    response = router.client.post(PATH, json=VALID)
    assert (response.status_code, response.json()) == (202, {"accepted": 1})
    (record,) = (entry.record for entry in Spool(router.folder, 1 << 22).read(10))
    assert isinstance(record, Outcome)
    assert (record.request_id, record.name, record.value) == ("r1", "converted", 1.0)
    assert before <= record.time <= time.time(), "the time is the router's"


def test_several_outcomes_are_accepted_at_once_or_not_at_all(router: RunningRouter) -> None:
    revenue = {**VALID, "name": "revenue", "value": -12.5}
    assert router.client.post(PATH, json=[VALID, revenue]).json() == {"accepted": 2}
    assert router.client.post(PATH, json=[VALID, {**revenue, "name": "profit"}]).status_code == 422
    assert len(router.recorded("outcome", 2)) == 2


def test_an_ended_experiment_still_accepts_outcomes(router: RunningRouter) -> None:
    assert router.client.post(PATH, json={**VALID, "experiment": "last-year"}).status_code == 202


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"experiment": "of-another"}, 404, f"known experiments: {EXPERIMENT}, last-year"),
        ({"name": "profit"}, 422, "it has: converted, revenue"),
        ({"value": 0.5}, 422, "its value must be 0 or 1"),
        ({"value": "1"}, 422, "value: Input should be a valid number"),
        ({"value": True}, 422, "value: Input should be a valid number"),
        ({"value": None}, 422, "value: Input should be a valid number"),
        ({"request_id": ""}, 422, "request_id"),
        ({"request_id": "x" * 129}, 422, "request_id"),
        ({"request_id": "a\nb"}, 422, "request_id"),
        ({"user": "Zoë"}, 422, "user: Extra inputs are not permitted"),
    ],
)
def test_a_refusal_names_the_rule(router: RunningRouter, change: dict[str, Any], status: int, message: str) -> None:
    response = router.client.post(PATH, json={**VALID, **change})
    assert response.status_code == status
    assert message in response.json()["error"]
    assert not Spool(router.folder, 1 << 22).read(10)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "nan"])
def test_an_outcome_that_is_not_a_finite_number_is_refused(router: RunningRouter, number: str) -> None:
    body = json.dumps({**VALID, "name": "revenue"}).replace('"value": 1', f'"value": {number}')
    response = router.client.post(PATH, content=body)
    assert response.status_code in (400, 422)
    assert not Spool(router.folder, 1 << 22).read(10)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'"x"', b"\xff", b"[" * 10_000])
def test_an_invalid_outcome_is_refused(router: RunningRouter, body: bytes) -> None:
    assert router.client.post(PATH, content=body).status_code in (400, 422)


def test_an_outcome_from_the_future_is_refused_beyond_the_clocks_tolerance(tmp_path: Path) -> None:
    with run_router(tmp_path, max_clock_difference=60) as router:
        response = router.client.post(PATH, json={**VALID, "time": time.time() + 3600})
        assert response.status_code == 422
        assert "from the future" in response.json()["error"]
        for difference in (-3 * 24 * 3600, 0, 30):  # days late, on time, clocks apart
            assert router.client.post(PATH, json={**VALID, "time": time.time() + difference}).status_code == 202
        assert all(record.time <= time.time() for record in router.recorded("outcome", 3))


def test_with_a_full_spool_the_sender_has_to_repeat(router: RunningRouter) -> None:
    spool = Spool(router.folder, 1 << 22)
    fill(spool)
    lost = metric("groundwork_experiment_lost_records_total", kind="outcome", reason="spool-full")
    statuses = [router.client.post(PATH, json=VALID).status_code for _ in range(50)]
    assert statuses[-1] == 503, "the rest of the last page is soon full"
    refused = router.client.post(PATH, json=VALID)
    assert refused.headers["retry-after"]
    assert "send them again" in refused.json()["error"]
    spool.remove(spool.read(100))
    assert router.client.post(PATH, json=VALID).status_code == 202, "there is room again"
    assert metric("groundwork_experiment_lost_records_total", kind="outcome", reason="spool-full") == lost, (
        "a record that its sender repeats is not lost"
    )
