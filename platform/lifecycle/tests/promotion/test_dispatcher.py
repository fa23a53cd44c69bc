"""Promotion by a forge's workflow: what is sent for an event, how often, and the effect of the workflow's command.

Proves, with a real inbox, repository and MLflow, that each challenger is sent until the forge accepts it, at most as
often as the settings allow, that no message has the token, and that the command promotes the version that was sent,
once. The forge is simulated, with GitHub's responses:
https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event
Not proven: that a workflow starts there; the project's tests/unit/workflows runs its steps.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from lifecycle.core import NotificationSettings, Notifier, SettingsError, read_settings
from lifecycle.promotion import __main__ as command
from lifecycle.promotion.deferral import Deferral
from lifecycle.promotion.dispatcher import COMMAND_PREFIX, Dispatcher
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.reconciliation import add_missed_events
from lifecycle.promotion.settings import DispatchSettings, WorkerSettings
from support.git_remote import GitRemote
from support.network import UNUSED_URL, HttpRequest, HttpResponse, JsonReceiver, serve_http
from support.promotion import FAILED
from support.registered_models import RegisteredModels
from support.waiting import eventually

TOKEN = "a-dispatch-token"
WORKER = WorkerSettings(retry_delay=0.01, max_retry_delay=0.02, poll_interval=0.02, max_attempts=4, stuck_after=2)


class Forge:
    """Records requests, and answers with `statuses` in turn, repeating the last one."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = statuses
        self.received: list[HttpRequest] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[Forge]:
        with serve_http(self._respond) as self.url:
            yield self

    def _respond(self, request: HttpRequest) -> HttpResponse:
        self.received.append(request)
        status = self._statuses[min(len(self.received), len(self._statuses)) - 1]
        return HttpResponse(status, b"" if status == 204 else {"message": "Not Found"})


def create_dispatcher(inbox: Inbox, url: str, notifications: str = "") -> Dispatcher:
    settings = DispatchSettings(project="acme/platform", token=SecretStr(TOKEN), url=url)
    notifier = Notifier(NotificationSettings(url=SecretStr(notifications) if notifications else None))
    return Dispatcher(settings, WORKER, inbox, Deferral(WORKER, inbox, notifier, "dev"), "dev")


def dispatch(inbox: Inbox, url: str, notifications: str = "") -> None:
    """Run until no event waits any more."""
    dispatcher, stop = create_dispatcher(inbox, url, notifications), threading.Event()
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: not inbox.count_waiting(), "every event is finished")
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def waiting(inbox: Inbox) -> Inbox:
    """An inbox with one event."""
    inbox.add("e1", "churn", "3")
    return inbox


def test_an_event_is_sent_once_with_the_version_and_the_token(waiting: Inbox) -> None:
    with Forge(204).running() as forge:
        for _ in range(2):
            create_dispatcher(waiting, forge.url).run(threading.Event(), until_idle=True)
    (request,) = forge.received
    assert (request.method, request.path) == ("POST", "/repos/acme/platform/dispatches")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    payload = {"model": "churn", "version": "3", "stack": "dev", "event": "e1"}
    assert request.json() == {"event_type": "model-promotion", "client_payload": payload}
    assert waiting.counts() == {"dispatched": 1}


def test_an_event_is_sent_until_the_forge_accepts_it(waiting: Inbox) -> None:
    with Forge(503, 502, 204).running() as forge:
        dispatch(waiting, forge.url)
    assert (len(forge.received), waiting.counts()) == (3, {"dispatched": 1})


@pytest.mark.parametrize("is_away", [True, False])
def test_attempts_are_bounded_and_people_are_notified_without_the_token(
    waiting: Inbox, notifications: JsonReceiver, caplog: pytest.LogCaptureFixture, is_away: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    with Forge(401).running() as forge:
        dispatch(waiting, UNUSED_URL if is_away else forge.url, notifications.url)
    assert waiting.counts() == {"failed": 1}
    assert len(forge.received) == (0 if is_away else WORKER.max_attempts)
    assert [message["outcome"] for message in notifications.received] == ["stuck", "failed"]
    event = waiting.find("e1")
    assert event is not None
    assert ("does not answer: ConnectError" if is_away else "(status 401); check that the repository") in event.detail
    assert TOKEN not in caplog.text + event.detail + str(notifications.received)


def test_an_event_of_a_command_is_not_sent(inbox: Inbox) -> None:
    """The workflow's own command adds to the same inbox: sent, it would start the workflow again, without end."""
    inbox.add(f"{COMMAND_PREFIX}e1", "churn", "3")
    with Forge(204).running() as forge:
        create_dispatcher(inbox, forge.url).run(threading.Event(), until_idle=True)
    assert forge.received == []


def test_a_project_without_a_token_is_refused() -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PROMOTION_DISPATCH_PROJECT", "acme/platform")
        with pytest.raises(SettingsError, match="needs PROMOTION_DISPATCH_TOKEN"):
            read_settings(DispatchSettings)


@pytest.fixture
def dispatching(configured: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of the worker's pod, which dispatches."""
    configured.setenv("PROMOTION_DISPATCH_PROJECT", "acme/platform")
    configured.setenv("PROMOTION_DISPATCH_TOKEN", TOKEN)
    return configured


@dataclass(frozen=True)
class Sent:
    """A challenger, and the events that the forge received about it."""

    name: str
    version: str
    received: list[HttpRequest]


@pytest.fixture
def sent(dispatching: pytest.MonkeyPatch, inbox: Inbox, models: RegisteredModels) -> Sent:
    """A challenger that the worker has sent, as event e1."""
    name = models.create()
    version = models.create_version(name)
    inbox.add("e1", name, version)
    with Forge(204).running() as forge:
        dispatching.setenv("PROMOTION_DISPATCH_URL", forge.url)
        assert command.main(["work", "--once"]) == 0
    return Sent(name, version, forge.received)


def test_the_worker_sends_and_the_workflows_command_promotes_once(
    sent: Sent, remote: GitRemote, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (len(sent.received), remote.events()) == (1, []), "the worker promotes nothing itself"
    for _ in range(2):
        assert command.main(["promote", sent.name, sent.version, "--keep-alias", "--event", "e1"]) == 0
        assert f"{sent.name} version {sent.version}: promoted " in capsys.readouterr().out
    assert remote.events() == ["manual-e1"]


@pytest.mark.usefixtures("dispatching")
def test_a_version_that_is_no_longer_the_challenger_is_not_promoted(
    models: RegisteredModels, remote: GitRemote, capsys: pytest.CaptureFixture[str]
) -> None:
    name = models.create()
    older, newer = models.create_version(name), models.create_version(name)
    assert command.main(["promote", name, older, "--keep-alias", "--event", "e1"]) == 0
    assert f"superseded alias `challenger` points to version {newer} now" in capsys.readouterr().out
    assert (models.alias(name, "challenger"), remote.events()) == (newer, [])


def test_the_daily_retry_promotes_what_a_failed_workflow_has_left(
    sent: Sent, inbox: Inbox, models: RegisteredModels, remote: GitRemote, capsys: pytest.CaptureFixture[str]
) -> None:
    name, version = sent.name, sent.version
    registry = command.ModelRegistry(models.uri)
    assert name not in [missed.model for missed in add_missed_events(registry, inbox)], "it is not sent again and again"
    assert command.main(["retry"]) == 0
    assert f"{name} version {version}: promoted " in capsys.readouterr().out
    assert command.main(["retry"]) == 0
    assert name not in capsys.readouterr().out
    assert [subject for subject in remote.subjects() if name in subject] == [
        f"Promote {name} version {version} to challenger"
    ]


def test_a_retry_fails_with_a_version_that_the_gate_rejects(
    dispatching: pytest.MonkeyPatch, models: RegisteredModels, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatching.setattr(command, "evaluate_version", lambda *_, **__: FAILED)
    name = models.create()
    version = models.create_version(name)
    assert command.main(["retry"]) == 1
    assert f"{name} version {version}: rejected accuracy 0.61" in capsys.readouterr().out


@pytest.mark.parametrize("event", ["", "../main", "a b", "x" * 101])
def test_an_id_that_could_not_be_part_of_a_branch_is_refused(event: str) -> None:
    with pytest.raises(SystemExit):
        command.main(["promote", "churn", "3", "--event", event])
