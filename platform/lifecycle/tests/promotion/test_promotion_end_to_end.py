"""A real MLflow server fires its webhook at the real receiver, and the worker commits.

Proves that MLflow 3's signature, headers and body are what the receiver takes, over real HTTP, and how the command
line asks for a promotion. Nothing is simulated but the gate, which lets everything pass.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion import __main__ as command
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.notify import Notifier
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.receiver import PATH, create_app
from lifecycle.promotion.registry import Registry
from lifecycle.promotion.settings import NotifySettings, ReceiverSettings, WorkerSettings
from lifecycle.promotion.worker import Worker
from promotion_parts import Models, Remote, passing

SECRET = "the-webhooks-own-secret"
PATIENCE = 100.0  # seconds; MLflow remembers for 60 that an event had no webhooks, from whichever test asked first


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = Inbox(f"sqlite:///{tmp_path}/inbox.db")
    yield opened
    opened.close()


@pytest.fixture
def address(inbox: Inbox) -> Iterator[str]:
    """The receiver on a real port."""
    app = create_app(ReceiverSettings(webhook_secret=SECRET), inbox)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"
    server.should_exit = True
    thread.join()


def test_setting_the_alias_in_mlflow_becomes_a_commit(
    address: str, inbox: Inbox, models: Models, gitops: GitopsSettings, remote: Remote
) -> None:
    hook = models.client.create_webhook(
        name="promotion", url=address, events=["model_version_alias.created"], secret=SECRET
    )
    publisher = Publisher(gitops)
    worker = Worker(
        WorkerSettings(), inbox, Registry(models.uri), passing, publisher, Notifier(NotifySettings()), "dev"
    )
    stop = threading.Event()
    working = threading.Thread(target=worker.run, args=(stop,))
    working.start()
    try:
        name = models.name()
        version = models.version(name)
        end = time.monotonic() + PATIENCE
        while models.status(name, version) != "rolling-out":
            assert time.monotonic() < end, inbox.counts()
            time.sleep(0.5)
            if not inbox.counts():
                models.client.set_registered_model_alias(name, "challenger", version)
    finally:
        stop.set()
        working.join()
        publisher.close()
        models.client.delete_webhook(hook.webhook_id)
    assert len(remote.events()) == 1
    assert remote.read(f"dev/{name}/challenger.yaml")[0]["metadata"]["annotations"]["groundwork.dev/version"] == version


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, remote: Remote, models: Models) -> pytest.MonkeyPatch:
    """The environment that the command line reads."""
    monkeypatch.setenv("PROMOTION_INBOX", f"sqlite:///{tmp_path}/inbox.db")
    monkeypatch.setenv("GITOPS_REPOSITORY", str(remote.path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", models.uri)
    monkeypatch.setattr(command, "judge", lambda *_, **__: passing())
    return monkeypatch


@pytest.mark.usefixtures("told")
def test_the_command_line_promotes_a_version_and_says_what_became_of_it(
    models: Models, remote: Remote, capsys: pytest.CaptureFixture[str]
) -> None:
    name = models.name()
    version = models.version(name, alias="")
    assert command.main(["promote", name, version]) == 0
    assert capsys.readouterr().out.startswith(f"{name} version {version}: promoted ")
    assert models.alias(name, "challenger") == version
    assert len(remote.events()) == 1
    assert command.main(["promote", name, version]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert len(remote.events()) == 1
    assert command.main(["status"]) == 0
    assert "1 promoted, 1 unchanged" in capsys.readouterr().out


@pytest.mark.usefixtures("told")
def test_a_timer_finds_what_the_webhooks_missed(
    models: Models, remote: Remote, capsys: pytest.CaptureFixture[str]
) -> None:
    name = models.name()
    version = models.version(name)
    for _ in range(2):
        assert command.main(["scan"]) == 0
    assert capsys.readouterr().out.count(f"{name} version {version} had been missed") == 1
    assert command.main(["work", "--once"]) == 0
    assert remote.files().count(f"dev/{name}/challenger.yaml") == 1
    assert command.main(["scan"]) == 0
    assert name not in capsys.readouterr().out


def test_what_is_missing_is_said_by_name_and_without_values(
    told: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told.setenv("PROMOTION_WEBHOOK_SECRET", "short")
    assert command.main(["serve"]) == 1
    message = capsys.readouterr().err
    assert "error: PROMOTION_WEBHOOK_SECRET is set: value should have at least 16 items" in message
    assert "short" not in message
    told.setenv("PROMOTION_WINDOW", "-3")
    assert command.main(["serve"]) == 1
    assert "PROMOTION_WINDOW is '-3': input should be greater than 0; set it so" in capsys.readouterr().err
    told.delenv("GITOPS_REPOSITORY")
    assert command.main(["work", "--once"]) == 1
    assert "error: GITOPS_REPOSITORY is not set, and there is no default for it" in capsys.readouterr().err


@pytest.mark.usefixtures("told")
def test_a_version_that_is_not_there_is_not_promoted(models: Models, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["promote", models.name(), "7"]) == 1
    assert "there is no version 7" in capsys.readouterr().err
