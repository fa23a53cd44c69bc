"""The notice of each run's end, on simulated Jobs: its text, and that it is sent once.

Proves the text for each outcome, and that with concurrent processes, a process that dies, and an unavailable API server
exactly one notice is sent (after a death at most one more). That it reaches Slack is proven for the notifier.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any, cast

import pytest

from lifecycle.core import Notification, Notifier
from lifecycle.core.training_report import TrainingOutcome, TrainingReport
from lifecycle.retraining.jobs import NOTICE, OUTCOME
from lifecycle.retraining.kubernetes_client import KubernetesClient, UnavailableError
from lifecycle.retraining.notices import NoticeSender
from retraining.conftest import Service, event


class Receiver:
    """Stands in for a notifier; `before` is called before a notice is accepted."""

    def __init__(self) -> None:
        self.notices: list[Notification] = []
        self.before: Any = lambda: None

    def send(self, notification: Notification) -> None:
        self.before()
        self.notices.append(notification)

    @property
    def lines(self) -> list[str]:
        return [line for notice in self.notices for line in notice.lines]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def create_sender(service: Service, receiver: Receiver) -> NoticeSender:
    client, notifier = cast("KubernetesClient", service.jobs), cast("Notifier", receiver)
    return NoticeSender(service.settings, client, notifier, service.clock)


@pytest.fixture
def sender(service: Service, receiver: Receiver) -> NoticeSender:
    service.answers("/events", event("dev.groundwork.drift", reasons=["age has drifted"]))
    return create_sender(service, receiver)


def report(outcome: TrainingOutcome, *reasons: str, version: str = "") -> str:
    return TrainingReport(outcome=outcome, version=version, run_id="abc", reasons=[*reasons]).to_line()


def test_a_running_run_has_no_notice(sender: NoticeSender, receiver: Receiver) -> None:
    sender.run_turn()
    assert receiver.lines == []


def test_a_registered_version_has_a_notice(service: Service, sender: NoticeSender, receiver: Receiver) -> None:
    service.jobs.end("retrain-churn-1", message=report(TrainingOutcome.RETRAINED, version="7"), exitCode=0)
    sender.run_turn()
    assert receiver.lines == [
        "churn version 7 (aws-dev): retrained",
        "• retraining was started by drift: age has drifted",
        "• the gate passed; the version is now the challenger, and its promotion follows",
        "• https://mlflow.example.com/#/runs/abc",
    ]


def test_a_refusal_of_the_gate_has_a_notice_with_its_reasons(
    service: Service, sender: NoticeSender, receiver: Receiver
) -> None:
    reason = "accuracy is 0.8000, the threshold is 0.9"
    service.jobs.end("retrain-churn-1", "Failed", message=report(TrainingOutcome.GATE_REFUSED, reason), exitCode=1)
    sender.run_turn()
    assert receiver.lines == [
        "churn (aws-dev): gate-refused",
        "• retraining was started by drift: age has drifted",
        f"• {reason}",
        "• Job retrain-churn-1 in the namespace training",
        "• https://mlflow.example.com/#/runs/abc",
    ]
    assert service.jobs.manifests["retrain-churn-1"]["metadata"]["annotations"][OUTCOME] == "gate-refused"


@pytest.mark.parametrize(
    ("terminated", "reason"),
    [
        ({"message": report(TrainingOutcome.FAILED, "no data"), "exitCode": 1}, "no data"),
        ({"reason": "OOMKilled", "exitCode": 137}, "OOMKilled, exit status 137"),
        ({"reason": "Error", "exitCode": 1, "message": "Traceback\nKeyError: 'a'"}, "exit status 1: KeyError: 'a'"),
        ({"reason": "Error", "exitCode": 1, "message": '{"outcome": "odd"}'}, "exit status 1"),
        ({}, "PodFailurePolicy: the pod failed"),
    ],
    ids=["its report", "out of memory", "the log's end", "no report", "the pod is gone"],
)
def test_a_failure_has_a_notice_with_the_available_reason(
    service: Service, sender: NoticeSender, receiver: Receiver, terminated: dict[str, Any], reason: str
) -> None:
    service.jobs.end("retrain-churn-1", "Failed", **terminated)
    sender.run_turn()
    assert receiver.lines[0] == "churn (aws-dev): training-failed"
    assert any(reason in line for line in receiver.lines), receiver.lines


def test_a_success_whose_pod_is_gone_has_a_notice_that_says_so(
    service: Service, sender: NoticeSender, receiver: Receiver
) -> None:
    service.jobs.end("retrain-churn-1")
    sender.run_turn()
    assert receiver.lines[0] == "churn (aws-dev): retrained"
    assert any("its pod is gone; look for the run in MLflow" in line for line in receiver.lines)


def test_a_notice_is_sent_once(service: Service, sender: NoticeSender, receiver: Receiver) -> None:
    service.jobs.end("retrain-churn-1")
    for _ in range(3):
        sender.run_turn()
        service.clock.move(hours=1)
    create_sender(service, receiver).run_turn()
    assert len(receiver.notices) == 1


def test_only_one_of_two_processes_sends_the_notice(service: Service, sender: NoticeSender, receiver: Receiver) -> None:
    """Both have read the Job before either has set its annotation."""
    service.jobs.end("retrain-churn-1")
    both, listed = threading.Barrier(2), service.jobs.list_pods

    def wait(job: Any) -> Any:
        both.wait(timeout=30)
        return listed(job)

    service.jobs.list_pods = wait  # type: ignore[method-assign]
    other = create_sender(service, receiver)
    threads = [threading.Thread(target=each.run_turn) for each in (sender, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.notices) == 1


def test_a_process_that_dies_while_sending_leaves_the_notice_to_another(
    service: Service, sender: NoticeSender, receiver: Receiver
) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    service.jobs.end("retrain-churn-1")
    receiver.before = die
    with pytest.raises(Killed):
        sender.run_turn()
    receiver.before = lambda: None
    other = create_sender(service, receiver)
    other.run_turn()
    assert receiver.notices == [], "the claim of the first one holds"
    service.clock.move(minutes=5)
    other.run_turn()
    other.run_turn()
    assert len(receiver.notices) == 1


def test_an_annotation_of_somebody_else_does_not_hide_the_end(
    service: Service, sender: NoticeSender, receiver: Receiver
) -> None:
    service.jobs.end("retrain-churn-1")
    service.jobs.manifests["retrain-churn-1"]["metadata"]["annotations"][NOTICE] = "claimed some day"
    sender.run_turn()
    assert len(receiver.notices) == 1


def test_without_the_api_server_the_notice_is_sent_later(
    service: Service, sender: NoticeSender, receiver: Receiver
) -> None:
    service.jobs.end("retrain-churn-1")
    service.jobs.is_away = True
    with pytest.raises(UnavailableError):
        sender.run_turn()
    stop, beats = threading.Event(), [0]

    def beat() -> None:
        beats[0] += 1
        if beats[0] == 2:
            service.jobs.is_away = False
        if beats[0] == 3:
            stop.set()

    fast = service.settings.model_copy(update={"poll_interval": 0.01})
    client, notifier = cast("KubernetesClient", service.jobs), cast("Notifier", receiver)
    NoticeSender(fast, client, notifier, service.clock).run(stop, beat)
    assert len(receiver.notices) == 1


def test_a_report_fits_a_termination_message() -> None:
    worst = TrainingReport(outcome=TrainingOutcome.GATE_REFUSED, run_id="a" * 32, reasons=["\x00" * 10_000] * 100)
    assert len(worst.to_line().encode()) <= 4096
    assert TrainingReport.model_validate_json(worst.to_line()).outcome is TrainingOutcome.GATE_REFUSED


def test_a_finished_job_is_kept_longer_than_the_cool_down_and_an_outage(service: Service) -> None:
    assert service.settings.job_retention - service.settings.cool_down >= timedelta(days=7)
