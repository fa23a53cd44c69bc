"""The settings and the command line: what they refuse, and calls of a service that is ready, busy or unavailable.

Proves the messages for people. That `serve` works with a real API server is proven by the project's tests/cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tenacity import wait_none

from lifecycle.core import SettingsError, read_settings
from lifecycle.retraining import __main__ as command
from lifecycle.retraining.settings import RetrainingSettings
from lifecycle.retraining.triggers import Trigger, parse_event
from support.network import UNUSED_URL, HttpRequest, HttpResponse, serve_http

TOKEN = "a-token-of-these-tests"
VALID = {
    "RETRAINING_TOKEN": TOKEN,
    "RETRAINING_MODELS": "churn, fraud",
    "RETRAINING_SCHEDULED": "churn",
    "RETRAINING_TEMPLATE": "/missing/job.json",
    "RETRAINING_STACK": "aws-dev",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VALID.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(command, "wait_exponential", lambda **_: wait_none())


def test_lists_are_separated_by_commas() -> None:
    settings = read_settings(RetrainingSettings)
    assert (settings.models, settings.scheduled) == (("churn", "fraud"), ("churn",))
    assert settings.alerts == ("ModelDrifted", "ModelAccuracyDropped")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RETRAINING_TOKEN", "short", "RETRAINING_TOKEN is set: value should have at least 16"),
        ("RETRAINING_MODELS", "", "RETRAINING_MODELS is"),
        ("RETRAINING_MODELS", "Churn", "'Churn' cannot be in the name of a Job"),
        ("RETRAINING_MODELS", "c" * 43, "cannot be in the name of a Job"),
        ("RETRAINING_SCHEDULED", "churn,other", "RETRAINING_SCHEDULED has other, which RETRAINING_MODELS lacks"),
        ("RETRAINING_COOL_DOWN_HOURS", "-1", "RETRAINING_COOL_DOWN_HOURS is '-1'"),
        ("RETRAINING_API_SERVER", "http://api", "RETRAINING_API_SERVER is 'http://api'"),
        ("RETRAINING_RUN_URL", "https://mlflow", "RETRAINING_RUN_URL is 'https://mlflow'"),
    ],
)
def test_a_setting_that_is_invalid_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        read_settings(RetrainingSettings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("kind: Pod", "is not the manifest of a Job with a container"),
        ("{kind: Job, spec: {template: {spec: {containers: []}}}}", "is not the manifest of a Job with a container"),
        ("{kind: Job, spec: {template: {spec: {containers: [x]}}}}", "is not the manifest of a Job with a container"),
    ],
)
def test_the_service_does_not_start_with_an_invalid_template(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    message: str,
) -> None:
    template = tmp_path / "job.yaml"
    if content is not None:
        template.write_text(content)
    monkeypatch.setenv("RETRAINING_TEMPLATE", str(template))
    assert command.main(["serve"]) == 1
    assert message in capsys.readouterr().err


def test_missing_credentials_of_a_service_account_are_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RETRAINING_API_CREDENTIALS", str(tmp_path))
    assert command.main(["start", "churn"]) == 1
    assert "ca.crt cannot be used" in capsys.readouterr().err


@contextmanager
def serve(monkeypatch: pytest.MonkeyPatch, *statuses: int) -> Iterator[list[HttpRequest]]:
    """A service that answers with these statuses, one after the other."""
    requests: list[HttpRequest] = []
    decision = {"model": "churn", "answer": "running", "reason": "the run retrain-churn-1 has not ended"}

    def respond(request: HttpRequest) -> HttpResponse:
        requests.append(request)
        return HttpResponse(statuses[min(len(requests), len(statuses)) - 1], {"requests": [decision]})

    with serve_http(respond) as url:
        monkeypatch.setenv("RETRAINING_URL", url)
        yield requests


def test_the_timer_retries_until_the_service_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(monkeypatch, 503, 503, 202) as requests:
        assert command.main(["schedule"]) == 0
    assert [request.path for request in requests] == ["/schedule"] * 3
    assert requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert capsys.readouterr().out == "churn: running: the run retrain-churn-1 has not ended\n"


def test_new_data_are_one_event_even_if_reported_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(monkeypatch, 503, 202) as requests:
        assert command.main(["new-data", "churn", "--source", "/pipelines", "--id", "7"]) == 0
    assert [request.path for request in requests] == ["/events"] * 2
    assert requests[0].body == requests[1].body
    parsed = parse_event(requests[0].body)
    assert (parsed.model, parsed.trigger, parsed.event) == ("churn", Trigger.NEW_DATA, "/pipelines 7")
    assert capsys.readouterr().out == "churn: running: the run retrain-churn-1 has not ended\n"


def test_the_timer_fails_if_the_service_refuses_or_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(monkeypatch, 401):
        assert command.main(["schedule"]) == 1
    assert "did not accept the request (401): see its log" in capsys.readouterr().err
    monkeypatch.setenv("RETRAINING_URL", UNUSED_URL)
    assert command.main(["schedule"]) == 1
    assert "(ConnectError)" in capsys.readouterr().err
