"""Which requests start a training run, over the service's HTTP interface.

Proves each trigger, the answers to repeated, simultaneous, early and forced requests, and that responses distinguish
malformed messages from an unavailable API server. Jobs are simulated: the project's tests/cluster/test_retraining.py
has the real API server, and processes of the service.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from lifecycle.drift import events
from lifecycle.drift.report import DriftReport, Outcome
from lifecycle.retraining.jobs import MODEL_LABEL, REASON, TRIGGER_LABEL
from lifecycle.retraining.starter import Answer
from lifecycle.retraining.triggers import TrainingRequest, Trigger
from retraining.conftest import Service, alert, event, notification


def only_job(service: Service) -> Any:
    (manifest,) = service.jobs.manifests.values()
    return manifest


@pytest.mark.parametrize(
    ("path", "content", "trigger"),
    [
        ("/alerts", notification(alert(model="churn")), "alert"),
        ("/alerts", notification(alert("ModelAccuracyDropped", model="churn")), "alert"),
        ("/events", event("dev.groundwork.drift", reasons=["age has drifted"]), "drift"),
        ("/events", event(), "new-data"),
    ],
)
def test_each_trigger_starts_a_run_of_its_model(service: Service, path: str, content: Any, trigger: str) -> None:
    assert service.answers(path, content) == {"churn": "started"}
    job = only_job(service)
    assert job["metadata"]["name"] == "retrain-churn-1"
    assert job["metadata"]["labels"][MODEL_LABEL] == "churn"
    assert job["metadata"]["labels"][TRIGGER_LABEL] == trigger
    assert job["metadata"]["labels"]["app.kubernetes.io/name"] == "training-run", "the template's labels are kept"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "TRAINING_MODEL", "value": "churn"}, {"name": "A", "value": "b"}]
    assert job["spec"]["ttlSecondsAfterFinished"] > service.settings.cool_down.total_seconds()


def test_the_schedule_starts_a_run_of_each_of_its_models(service: Service) -> None:
    assert service.answers("/schedule", b"") == {"churn": "started", "fraud": "started"}
    assert service.jobs.models == ["churn", "fraud"]


def test_the_reason_of_an_alert_is_kept_on_one_line(service: Service) -> None:
    sent = alert(model="churn")
    sent["annotations"]["description"] = "two\nlines \x1b[31m" + "x" * 1000
    service.answers("/alerts", notification(sent))
    reason = only_job(service)["metadata"]["annotations"][REASON]
    assert reason.startswith("ModelDrifted: two lines %1B[31mx")
    assert len(reason) == 500


def test_the_event_that_the_check_for_drift_sends_is_understood(service: Service) -> None:
    names = dict.fromkeys(DriftReport.__dataclass_fields__, "")
    found: dict[str, Any] = {**names, "model": "churn", "version": "7", "rows": 1000, "columns": (), "accuracy": None}
    report = DriftReport(**{**found, "outcome": Outcome.DRIFT, "reasons": ("age has drifted",)})
    assert service.answers("/events", events.describe(report, "s3://b/report.json")) == {"churn": "started"}


@pytest.mark.parametrize(
    "ignored",
    [
        alert("ModelLatencyHigh", model="churn"),
        alert("ModelDrifted"),
        alert("ModelDrifted", status="resolved", model="churn"),
    ],
    ids=["another alert", "no model", "resolved"],
)
def test_other_alerts_start_nothing(service: Service, ignored: dict[str, Any]) -> None:
    assert service.answers("/alerts", notification(ignored)) == {}
    assert service.jobs.models == []


def test_alerts_on_two_versions_of_a_model_start_one_run(service: Service) -> None:
    sent = notification(alert(model="churn", version="1"), alert(model="churn", version="2"), alert(model="fraud"))
    assert service.answers("/alerts", sent) == {"churn": "started", "fraud": "started"}


def test_a_model_that_is_not_retrained_here_is_refused(service: Service) -> None:
    for name in ("other", "Churn", "churn,fraud", "é" * 200, "../churn"):
        assert service.answers("/events", event(model=name)) == {name: "unknown-model"}
        assert service.answers("/alerts", notification(alert(model=name))) == {name: "unknown-model"}
    assert service.jobs.models == []


def test_a_model_has_one_run_at_a_time(service: Service) -> None:
    service.answers("/events", event(id_="1"))
    service.clock.move(days=30)
    reply = service.post("/events", event(id_="2"))
    assert reply.status_code == 202
    (answer,) = reply.json()["requests"]
    assert (answer["answer"], answer["reason"]) == ("running", "the run retrain-churn-1 has not ended")
    assert service.answers("/events", event(id_="3", model="fraud")) == {"fraud": "started"}


def test_two_requests_at_once_start_one_run(service: Service) -> None:
    """Both have seen that there is no Job before either creates one."""
    both = threading.Barrier(2)
    service.jobs.before_create = lambda: both.wait(timeout=30)
    answers: list[Answer] = []

    def ask(trigger: Trigger) -> None:
        answers.append(service.starter.start(TrainingRequest("churn", trigger)).answer)

    threads = [threading.Thread(target=ask, args=(trigger,)) for trigger in (Trigger.ALERT, Trigger.DRIFT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [Answer.RUNNING, Answer.STARTED]
    assert service.jobs.models == ["churn"]


def test_a_model_cools_down_from_the_start_of_its_last_run(service: Service) -> None:
    service.answers("/schedule", b"")
    service.jobs.end("retrain-churn-1", "Failed")
    service.clock.move(hours=19.9)
    (answer,) = service.post("/alerts", notification(alert(model="churn"))).json()["requests"]
    assert answer["answer"] == "cooling-down"
    assert answer["reason"].endswith("no run starts before 2026-11-30 22:00 UTC")
    service.clock.move(hours=0.2)
    assert service.answers("/alerts", notification(alert(model="churn"))) == {"churn": "started"}
    assert [*service.jobs.manifests] == ["retrain-churn-1", "retrain-fraud-1", "retrain-churn-2"]


def test_the_schedule_of_one_night_does_not_block_the_next_one(service: Service) -> None:
    """It starts a second earlier than the one before."""
    service.answers("/schedule", b"")
    service.jobs.end("retrain-churn-1")
    service.clock.move(hours=24, seconds=-1)
    assert service.answers("/schedule", b"") == {"churn": "started", "fraud": "running"}


def test_an_event_that_is_delivered_twice_starts_one_run(service: Service) -> None:
    service.answers("/events", event(id_="1"))
    service.jobs.end("retrain-churn-1")
    service.clock.move(days=2)
    assert service.answers("/events", event(id_="1")) == {"churn": "duplicate"}
    assert service.answers("/events", event(id_="2")) == {"churn": "started"}


def test_people_may_force_a_run_but_not_a_second_one_at_a_time(service: Service) -> None:
    request = TrainingRequest("churn", Trigger.PERSON)
    service.answers("/events", event())
    assert service.starter.start(request, is_forced=True).answer is Answer.RUNNING
    service.jobs.end("retrain-churn-1")
    assert service.starter.start(request).answer is Answer.COOLING_DOWN
    assert service.starter.start(request, is_forced=True).answer is Answer.STARTED
    assert service.starter.start(TrainingRequest("x", Trigger.PERSON), is_forced=True).answer is Answer.UNKNOWN


def test_without_the_api_server_the_sender_has_to_repeat(service: Service) -> None:
    service.jobs.is_away = True
    for path, content in (("/alerts", notification(alert(model="churn"))), ("/events", event()), ("/schedule", b"")):
        reply = service.post(path, content)
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) > 0
        assert "send the request again" in reply.json()["error"]
    service.jobs.is_away = False
    assert service.answers("/alerts", notification(alert(model="churn"))) == {"churn": "started"}


def test_an_invalid_template_is_not_a_refusal(service: Service) -> None:
    service.settings.template.write_text("kind: Pod")
    assert service.post("/events", event()).status_code == 503


@pytest.mark.parametrize("token", ["", "another-token", f"{'a' * 5000}", "é"])
def test_a_request_without_the_token_starts_nothing(service: Service, token: str) -> None:
    for path in ("/alerts", "/events", "/schedule"):
        headers = {"authorization": f"Bearer {token}".encode()}
        assert service.http.post(path, content=json.dumps(event()), headers=headers).status_code == 401
        assert service.http.post(path, content=json.dumps(event())).status_code == 401
    assert service.jobs.models == []


def without(content: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != key}


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        *(
            (path, content, reason)
            for path in ("/alerts", "/events")
            for content, reason in (
                (b"", "Invalid JSON"),
                (b"{", "Invalid JSON"),
                (b"\xff\xfe", "Invalid JSON"),
                (b"null", "Input should be an object"),
                (b"[]", "Input should be an object"),
                (b"[" * 100_000, "Invalid JSON"),
                (b'{"version": "4", "alerts": ["\\ud800"]}', "Invalid JSON"),
            )
        ),
        ("/alerts", without(notification(), "alerts"), "alerts: Field required"),
        ("/alerts", {**notification(), "version": "5"}, "version: Input should be '4'"),
        ("/alerts", {**notification(), "alerts": {"a": 1}}, "alerts: Input should be a valid array"),
        ("/alerts", {**notification(), "alerts": [7] * 10}, "alerts.0: Input should be an object"),
        ("/alerts", notification({**alert(model="churn"), "status": "odd"}), "alerts.0.status: Input should be"),
        ("/alerts", notification({**alert(), "labels": {"model": 7}}), "alerts.0.labels.model: Input should be"),
        ("/alerts", notification(*[alert()] * 1001), "alerts: List should have at most 1000"),
        ("/events", event("dev.groundwork.other"), "type: Input should be 'dev.groundwork.drift' or"),
        ("/events", {**event(), "specversion": "0.3"}, "specversion: Input should be '1.0'"),
        ("/events", without(event(), "id"), "id: Field required"),
        ("/events", without(event(), "data"), "data: Field required"),
        ("/events", event(model=None), "data.model: Input should be a valid string"),
        ("/events", event(model=""), "data.model: String should have at least 1"),
        ("/events", event(model="m" * 257), "data.model: String should have at most 256"),
        ("/events", event(reasons="many"), "data.reasons: Input should be a valid array"),
    ],
)
def test_a_malformed_message_is_answered_with_a_reason(service: Service, path: str, content: Any, reason: str) -> None:
    reply = service.post(path, content)
    assert reply.status_code == 400, reply.text
    assert reason in reply.json()["error"]
    assert service.jobs.models == []


def test_a_body_that_is_too_large_is_not_read(service: Service) -> None:
    reply = service.post("/alerts", b"x" * (service.settings.max_body_bytes + 1))
    assert reply.status_code == 413
    assert "RETRAINING_MAX_BODY_BYTES" in reply.json()["error"]


def test_answers_are_counted(service: Service) -> None:
    service.answers("/events", event())
    service.answers("/events", event(id_="2"))
    text = service.http.get("/metrics").text
    for answer in ("started", "running"):
        assert f'groundwork_retraining_requests_total{{answer="{answer}",trigger="new-data"}}' in text
    assert service.http.get("/health").status_code == service.http.get("/ready").status_code == 200
