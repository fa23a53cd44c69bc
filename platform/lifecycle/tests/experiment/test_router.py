"""Which variant answers a request, what is passed on, the response, the records; and bad input.

Real: the router with its HTTP clients, and the spool. Simulated: champion and challenger.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from lifecycle.core.http_requests import pseudonym
from lifecycle.experiment.records import Assignment, Prediction
from support.experiment import (
    EXPERIMENT,
    FILE,
    INFER,
    KEY,
    RunningRouter,
    metric,
    run_router,
    user_of,
)
from support.network import UNUSED_URL, HttpResponse

BODY = b'{"inputs":  [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}'


@pytest.mark.parametrize("role", ["champion", "challenger"])
def test_a_user_is_answered_by_the_assigned_variant_with_its_own_bodies(router: RunningRouter, role: str) -> None:
    response = router.client.post(INFER, content=BODY, headers={"x-user-id": user_of(role), "traceparent": "00-1"})
    assert response.status_code == 200
    assert response.content == router.services[role].response.body
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["x-experiment"], response.headers["x-variant"]) == (EXPERIMENT, role)
    assert "x-fallback" not in response.headers
    (received,) = router.services[role].received
    assert (received.method, received.path) == ("POST", f"/churn-{role}-predictor{INFER}")
    assert received.body == BODY
    assert received.headers["traceparent"] == "00-1"
    assert received.headers["x-request-id"] == response.headers["x-request-id"]


def test_a_query_and_a_compressed_body_are_passed_unchanged(router: RunningRouter) -> None:
    headers = {"content-encoding": "gzip", "x-user-id": user_of("champion")}
    router.client.post(f"{INFER}?a=%2F&b", content=b"\x1f\x8b\x00", headers=headers)
    (received,) = router.services["champion"].received
    assert received.path.endswith("/infer?a=%2F&b")
    assert received.body == b"\x1f\x8b\x00"
    assert received.headers["content-encoding"] == "gzip"


def test_a_services_cookie_is_only_passed_to_its_client(router: RunningRouter) -> None:
    router.services["champion"].response = HttpResponse(200, b"{}", headers={"Set-Cookie": "session=one; Path=/"})
    response = router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("champion")})
    assert response.headers["set-cookie"] == "session=one; Path=/"
    router.client.cookies.clear()
    router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("champion")})
    assert "cookie" not in router.services["champion"].received[-1].headers


def test_a_users_prediction_and_assignment_are_recorded_without_the_users_id(router: RunningRouter) -> None:
    user = user_of("challenger")
    for request_id in ("first", "second"):
        router.client.post(INFER, content=BODY, headers={"x-user-id": user, "x-request-id": request_id})
    predictions = router.recorded("prediction", 2)
    (assigned,) = router.recorded("assignment", 1)
    assert isinstance(assigned, Assignment)
    assert (assigned.user, assigned.variant) == (pseudonym(KEY.encode(), user), "challenger")
    for record, request_id in zip(predictions, ("first", "second"), strict=True):
        assert isinstance(record, Prediction)
        assert (record.request_id, record.user, record.variant) == (request_id, assigned.user, "challenger")
        assert record.share == 5000, "the one that was in force"
        assert (record.served_by, record.fallback, record.status) == ("challenger", "", 200)
        assert record.response == router.services["challenger"].response.body.decode()
        assert 0 < record.seconds < 60


def test_a_long_response_is_passed_on_and_not_stored(router: RunningRouter) -> None:
    router.services["champion"].response = HttpResponse(200, b"x" * (Prediction.MAX_RESPONSE + 1))
    response = router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("champion")})
    assert len(response.content) == Prediction.MAX_RESPONSE + 1
    (record,) = router.recorded("prediction", 1)
    assert isinstance(record, Prediction)
    assert record.response == ""


@pytest.mark.parametrize("status", [500, 503, 404, 429])
def test_the_champion_answers_for_a_challenger_that_fails(router: RunningRouter, status: int) -> None:
    router.services["challenger"].response = HttpResponse(status, {"error": "broken"})
    counted = metric("groundwork_experiment_fallbacks_total", experiment=EXPERIMENT, reason="status")
    response = router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("challenger")})
    assert response.status_code == 200
    assert response.content == router.services["champion"].response.body
    assert (response.headers["x-variant"], response.headers["x-fallback"]) == ("challenger", "status")
    assert router.services["champion"].received[0].body == BODY
    assert metric("groundwork_experiment_fallbacks_total", experiment=EXPERIMENT, reason="status") == counted + 1
    (record,) = router.recorded("prediction", 1)
    assert isinstance(record, Prediction)
    assert (record.variant, record.served_by, record.fallback) == ("challenger", "champion", "status")


def test_the_champion_answers_for_a_challenger_that_is_slow(tmp_path: Path) -> None:
    with run_router(tmp_path, FILE.replace("challenger_timeout: 5", "challenger_timeout: 0.2")) as router:
        router.services["challenger"].delay = 3
        counted = metric("groundwork_experiment_fallbacks_total", experiment=EXPERIMENT, reason="timeout")
        response = router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("challenger")})
        assert (response.status_code, response.headers["x-fallback"]) == (200, "timeout")
        assert metric("groundwork_experiment_fallbacks_total", experiment=EXPERIMENT, reason="timeout") == counted + 1
        (record,) = router.recorded("prediction", 1)
        assert isinstance(record, Prediction)
        assert 0.2 <= record.seconds < 3, "the user waited for the deadline, not for the challenger"


def test_the_champion_answers_for_a_challenger_that_closes_connections(router: RunningRouter) -> None:
    router.services["challenger"].is_dead = True
    response = router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("challenger")})
    assert (response.status_code, response.headers["x-fallback"]) == (200, "connection")
    assert response.content == router.services["champion"].response.body


def test_the_response_reports_that_both_have_failed(tmp_path: Path) -> None:
    with run_router(tmp_path, service_url=f"{UNUSED_URL}/{{service}}") as router:
        response = router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("challenger")})
        assert (response.status_code, response.headers["x-fallback"]) == (502, "connection")
        assert "the champion cannot be reached" in response.text
        (record,) = router.recorded("prediction", 1)
        assert isinstance(record, Prediction)
        assert record.status == 502


def test_an_error_of_the_request_is_the_challengers_answer(router: RunningRouter) -> None:
    router.services["challenger"].response = HttpResponse(400, {"error": "x is missing"})
    response = router.client.post(INFER, content=b"{}", headers={"x-user-id": user_of("challenger")})
    assert (response.status_code, response.json()) == (400, {"error": "x is missing"})
    assert not router.services["champion"].received


def test_a_slow_champion_is_a_timeout(tmp_path: Path) -> None:
    with run_router(tmp_path, timeout=0.2) as router:
        router.services["champion"].delay = 3
        response = router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("champion")})
        assert response.status_code == 504
        assert "did not respond within 0.2 s" in response.text


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "missing"), (b"", "empty"), (b"\xc2\xa0", "empty"), (b"x" * 2000, "too-long"), (b"\xff\xfe", "invalid")],
)
def test_without_a_usable_user_id_the_champion_answers_outside_of_the_experiment(
    router: RunningRouter, value: bytes | None, reason: str
) -> None:
    counted = metric("groundwork_experiment_unassigned_total", experiment=EXPERIMENT, reason=reason)
    headers = {} if value is None else {b"x-user-id": value}
    response = router.client.post(INFER, content=BODY, headers=headers)
    assert response.content == router.services["champion"].response.body
    assert "x-variant" not in response.headers
    assert response.headers["x-request-id"]
    assert metric("groundwork_experiment_unassigned_total", experiment=EXPERIMENT, reason=reason) == counted + 1


def test_a_unicode_user_is_one_user_in_either_normal_form(router: RunningRouter) -> None:
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Zoë 李🙂")
        router.client.post(INFER, content=BODY, headers={b"x-user-id": name.encode()})
    first, second = router.recorded("prediction", 2)
    assert isinstance(first, Prediction)
    assert isinstance(second, Prediction)
    assert first.user == second.user
    assert len(router.recorded("assignment", 1)) == 1


def test_a_model_without_an_experiment_is_served_by_the_champion(router: RunningRouter) -> None:
    response = router.client.post("/v2/models/fraud/infer", content=BODY, headers={"x-user-id": "1"})
    assert response.status_code == 200
    assert "x-experiment" not in response.headers
    assert router.services["champion"].received[0].path == "/fraud-champion-predictor/v2/models/fraud/infer"


@pytest.mark.parametrize("model", ["..", "Churn", "a.example.com%2F", "x" * 200, "-"])
def test_a_name_that_is_not_valid_for_a_service_is_not_a_model(router: RunningRouter, model: str) -> None:
    assert router.client.post(f"/v2/models/{model}/infer", content=BODY).status_code == 404
    assert not router.services["champion"].received


def test_metadata_and_readiness_come_from_the_champion(router: RunningRouter) -> None:
    for path in ("/v2/models/churn", "/v2/models/churn/ready"):
        assert router.client.get(path).content == router.services["champion"].response.body
    assert [request.method for request in router.services["champion"].received] == ["GET", "GET"]


def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with run_router(tmp_path, max_body_bytes=100) as router:
        response = router.client.post(INFER, content=b"x" * 101, headers={"x-user-id": "1"})
        assert response.status_code == 413
        assert "EXPERIMENT_MAX_BODY_BYTES" in response.json()["error"]


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, "é"])
def test_a_malformed_request_id_is_replaced(router: RunningRouter, request_id: str) -> None:
    headers = {b"x-request-id": request_id.encode()}
    replaced = router.client.post(INFER, content=BODY, headers=headers).headers["x-request-id"]
    assert len(replaced) == 32
    assert replaced != request_id


@pytest.mark.parametrize("role", ["champion", "challenger"])
def test_the_api_shows_the_assignment_that_requests_get(router: RunningRouter, role: str) -> None:
    path = f"/ab-test/experiments/{EXPERIMENT}/assignment"
    shown = router.client.get(path, headers={"x-user-id": user_of(role)}).json()
    assert (shown["variant"], shown["experiment"], shown["challenger_buckets"]) == (role, EXPERIMENT, 5000)
    assert (shown["bucket"] < 5000) == (role == "challenger")
    assert not router.services[role].received


def test_the_api_explains_what_is_wrong(router: RunningRouter) -> None:
    unknown = router.client.get("/ab-test/experiments/of-another/assignment", headers={"x-user-id": "1"})
    assert unknown.status_code == 404
    assert EXPERIMENT in unknown.json()["error"]
    missing = router.client.get(f"/ab-test/experiments/{EXPERIMENT}/assignment")
    assert missing.status_code == 400
    assert "set the header x-user-id" in missing.json()["error"]


def test_users_of_an_ended_experiment_get_the_champion(router: RunningRouter) -> None:
    shown = router.client.get("/ab-test/experiments/last-year/assignment", headers={"x-user-id": "1"}).json()
    assert (shown["variant"], shown["state"]) == ("champion", "ended")


def test_the_stats_count_requests_errors_and_fallbacks(router: RunningRouter) -> None:
    before = router.client.get("/ab-test/stats").json()["experiments"][EXPERIMENT]
    router.services["challenger"].response = HttpResponse(500, {})
    router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("challenger")})
    router.services["champion"].response = HttpResponse(500, {})
    router.client.post(INFER, content=BODY, headers={"x-user-id": user_of("champion")})
    router.client.post(INFER, content=BODY)
    after = router.client.get("/ab-test/stats").json()["experiments"][EXPERIMENT]

    def change(*path: str) -> int:
        values = []
        for stats in (before, after):
            for key in path:
                stats = stats.get(key, {}) or 0
            values.append(stats)
        return values[1] - values[0]

    assert [change("variants", role, "requests") for role in ("champion", "challenger")] == [1, 1]
    assert [change("variants", role, "errors") for role in ("champion", "challenger")] == [1, 0]
    assert change("fallbacks", "status") == 1
    assert change("unassigned", "missing") == 1
    assert after["variants"]["champion"]["mean_seconds"] > 0


def test_metrics_and_health_are_served(router: RunningRouter) -> None:
    assert router.client.get("/health").status_code == router.client.get("/ready").status_code == 200
    assert "groundwork_experiment_definitions_valid 1.0" in router.client.get("/metrics").text
