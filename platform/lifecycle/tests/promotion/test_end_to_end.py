"""A real MLflow server calls its webhook, the real receiver accepts the delivery, and the worker commits.

Proves that the receiver accepts MLflow 3's signature, headers and body over real HTTP, and how the command line starts
a promotion. Simulated is the gate, which lets everything pass.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from lifecycle.core import NotificationSettings
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion import __main__ as command
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.receiver import PATH, create_config
from lifecycle.promotion.settings import ReceiverSettings
from support.git_remote import GitRemote
from support.promotion import Promotion, passing_gate
from support.registered_models import RegisteredModels
from support.waiting import eventually

SECRET = "the-webhooks-own-secret"


@pytest.fixture
def address(inbox: Inbox) -> Iterator[str]:
    """The receiver on a real port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(create_config(ReceiverSettings(webhook_secret=SECRET), inbox, "", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
    server.should_exit = True
    thread.join()


def test_setting_the_alias_in_mlflow_becomes_a_commit(
    address: str, inbox: Inbox, models: RegisteredModels, gitops: GitopsSettings, remote: GitRemote
) -> None:
    webhook = models.client.create_webhook(
        name="promotion", url=address, events=["model_version_alias.created"], secret=SECRET
    )
    name = models.create()
    version = models.create_version(name, alias="")

    def is_rolling_out() -> bool:
        # Until its cache has expired, MLflow may not know the webhook.
        if not inbox.counts():
            models.client.set_registered_model_alias(name, "challenger", version)
        return models.status(name, version) == "rolling-out"

    promotion = Promotion(inbox, gitops, models.uri, passing_gate, NotificationSettings())
    try:
        with promotion.working():
            eventually(is_rolling_out)
    finally:
        models.client.delete_webhook(webhook.webhook_id)
        promotion.publisher.close()
    assert len(remote.events()) == 1
    annotations = remote.manifests(f"stacks/dev/{name}/generated/challenger.yaml")[0]["metadata"]["annotations"]
    assert annotations["groundwork.dev/version"] == version


@pytest.mark.usefixtures("configured")
def test_the_command_line_promotes_a_version_and_prints_the_outcome(
    models: RegisteredModels, remote: GitRemote, capsys: pytest.CaptureFixture[str]
) -> None:
    name = models.create()
    version = models.create_version(name, alias="")
    assert command.main(["promote", name, version]) == 0
    assert capsys.readouterr().out.startswith(f"{name} version {version}: promoted ")
    assert models.alias(name, "challenger") == version
    assert len(remote.events()) == 1
    assert command.main(["promote", name, version]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert len(remote.events()) == 1
    assert command.main(["status"]) == 0
    assert "1 promoted, 1 unchanged" in capsys.readouterr().out


@pytest.mark.usefixtures("configured")
def test_a_scan_finds_what_the_webhooks_missed(
    models: RegisteredModels, remote: GitRemote, capsys: pytest.CaptureFixture[str]
) -> None:
    name = models.create()
    version = models.create_version(name)
    for _ in range(2):
        assert command.main(["scan"]) == 0
    assert capsys.readouterr().out.count(f"{name} version {version} was missed") == 1
    assert command.main(["work", "--once"]) == 0
    assert remote.files().count(f"stacks/dev/{name}/generated/challenger.yaml") == 1
    assert command.main(["scan"]) == 0
    assert name not in capsys.readouterr().out


def test_invalid_settings_are_named_without_the_values_of_secrets(
    configured: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.setenv("PROMOTION_WEBHOOK_SECRET", "short")
    assert command.main(["serve"]) == 1
    message = capsys.readouterr().err
    assert "error: PROMOTION_WEBHOOK_SECRET is set: value should have at least 16 items" in message
    assert "short" not in message
    configured.setenv("PROMOTION_TIMESTAMP_TOLERANCE", "-3")
    assert command.main(["serve"]) == 1
    message = capsys.readouterr().err
    assert "PROMOTION_TIMESTAMP_TOLERANCE is '-3': input should be greater than 0; change it" in message
    configured.setenv("PROMOTION_WEBHOOK_SECRET", SECRET)
    configured.delenv("GITOPS_REPOSITORY")
    assert command.main(["work", "--once"]) == 1
    assert "error: GITOPS_REPOSITORY is not set and has no default" in capsys.readouterr().err


@pytest.mark.usefixtures("configured")
def test_a_version_that_does_not_exist_is_not_promoted(
    models: RegisteredModels, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["promote", models.create(), "7"]) == 1
    assert "the registry has no version 7" in capsys.readouterr().err
