"""The worker keeps its webhook registered in a real MLflow, and finds the challengers that it missed.

Proves that exactly one webhook remains, regardless of earlier ones, and that a version is added to the inbox once. That
MLflow calls it is proven by test_end_to_end.
"""

from __future__ import annotations

import threading

import pytest

from lifecycle.core import ModelRegistry, Status
from lifecycle.promotion import __main__ as command
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.reconciliation import WEBHOOK_NAME, Reconciliation, add_missed_events
from lifecycle.promotion.settings import WorkerSettings
from support.network import UNUSED_URL, TcpProxy
from support.registered_models import RegisteredModels
from support.waiting import eventually

URL = "http://receiver.lifecycle.svc.cluster.local/webhooks/mlflow"
SETTINGS = WorkerSettings(
    webhook_url=URL, webhook_secret="the-webhooks-own-secret", retry_delay=0.05, max_retry_delay=0.1
)


def list_webhooks(models: RegisteredModels) -> list[tuple[str, str]]:
    return [(hook.url, str(hook.status)) for hook in models.client.list_webhooks() if hook.name == WEBHOOK_NAME]


def test_the_webhook_is_registered_once(models: RegisteredModels, inbox: Inbox) -> None:
    for url in ("http://old.example.com", "http://older.example.com"):
        models.client.create_webhook(WEBHOOK_NAME, url, ["model_version.created"], secret="another", status="DISABLED")
    reconciliation = Reconciliation(SETTINGS, ModelRegistry(models.uri), inbox)
    for _ in range(2):
        reconciliation.reconcile()
        assert list_webhooks(models) == [(URL, "ACTIVE")]
    (webhook,) = (hook for hook in models.client.list_webhooks() if hook.name == WEBHOOK_NAME)
    assert [str(event) for event in webhook.events] == ["model_version_alias.created"]
    models.client.delete_webhook(webhook.webhook_id)


def test_it_waits_for_a_registry_that_does_not_answer_yet(
    models: RegisteredModels, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    with TcpProxy.running(models.uri) as proxy:
        proxy.is_down = True
        reconciliation = Reconciliation(SETTINGS, ModelRegistry(proxy.url, fail_fast=True), inbox)
        thread = threading.Thread(target=reconciliation.run, args=(stop,))
        thread.start()
        try:
            eventually(lambda: "MLflow does not answer" in caplog.text, "the failure is logged")
            proxy.is_down = False
            eventually(lambda: list_webhooks(models), "the webhook is registered")
        finally:
            stop.set()
            thread.join()
    for hook in models.client.list_webhooks():
        models.client.delete_webhook(hook.webhook_id)


@pytest.mark.parametrize("outcome", ["waiting", "requested", "unchanged"])
def test_a_version_is_missed_once(models: RegisteredModels, inbox: Inbox, outcome: str) -> None:
    """A pull request leaves the status as it was; the version must not get another one with each look."""
    registry, name = ModelRegistry(models.uri), models.create()
    version = models.create_version(name)
    registry.set_status(name, version, Status.REGISTERED)
    assert [str(missed) for missed in add_missed_events(registry, inbox) if missed.model == name] == [
        f"{name} version {version}"
    ]
    (added,) = (event for event in inbox.latest(100) if event.model == name)
    if outcome != "waiting":
        inbox.finish(added, outcome, "")
    assert name not in [missed.model for missed in add_missed_events(registry, inbox)]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (URL, "error: PROMOTION_WEBHOOK_URL needs PROMOTION_WEBHOOK_SECRET, which MLflow signs with: set both"),
        ("receiver:8080", "error: PROMOTION_WEBHOOK_URL is 'receiver:8080': string should match pattern"),
    ],
)
def test_an_incomplete_registration_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, message: str
) -> None:
    monkeypatch.setenv("PROMOTION_WEBHOOK_URL", url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", UNUSED_URL)
    assert command.main(["work"]) == 1
    assert capsys.readouterr().err.startswith(message)
