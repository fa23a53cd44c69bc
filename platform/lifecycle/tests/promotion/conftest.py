"""The real parts that these tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.core import NotificationSettings
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion import __main__ as command
from lifecycle.promotion.inbox import Inbox
from support.fixtures import gitops, inbox, models, notifications, remote
from support.git_remote import GitRemote
from support.network import JsonReceiver
from support.promotion import Promotion, passing_gate
from support.registered_models import RegisteredModels

__all__ = ["gitops", "inbox", "models", "notifications", "remote"]


@pytest.fixture
def promotion(inbox: Inbox, gitops: GitopsSettings, models: RegisteredModels, notifications: JsonReceiver) -> Promotion:
    """A worker whose gate passes, and the parts that it needs."""
    settings = NotificationSettings(slack_url=notifications.url, url=notifications.url)
    return Promotion(inbox, gitops, models.uri, passing_gate, settings)


@pytest.fixture
def configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, remote: GitRemote, models: RegisteredModels
) -> pytest.MonkeyPatch:
    """The environment that the command line reads; the gate lets everything pass."""
    monkeypatch.setenv("PROMOTION_INBOX", f"sqlite:///{tmp_path}/inbox.db")
    monkeypatch.setenv("GITOPS_REPOSITORY", str(remote.path))
    monkeypatch.setenv("GITOPS_STACK", "dev")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", models.uri)
    monkeypatch.setattr(command, "evaluate_version", passing_gate)
    return monkeypatch
