"""The real parts that these tests share."""

from __future__ import annotations

import pytest

from lifecycle.core import NotificationSettings
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from support.fixtures import gitops, inbox, models, notifications, remote
from support.network import JsonReceiver
from support.promotion import Promotion, passing_gate
from support.registered_models import RegisteredModels

__all__ = ["gitops", "inbox", "models", "notifications", "remote"]


@pytest.fixture
def promotion(inbox: Inbox, gitops: GitopsSettings, models: RegisteredModels, notifications: JsonReceiver) -> Promotion:
    """A worker whose gate passes, and what it needs."""
    settings = NotificationSettings(slack_url=notifications.url, url=notifications.url)
    return Promotion(inbox, gitops, models.uri, passing_gate, settings)
