"""Notifications to people: to a Slack-compatible incoming webhook, and as JSON. Failing to send one stops nothing."""

from __future__ import annotations

import html
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from lifecycle.core.model_version import ModelVersion
from lifecycle.core.settings import NotificationSettings
from lifecycle.core.text import to_line

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notification:
    """What happened to a model version: `outcome` in one word, reasons and addresses in `details`.

    The version is empty if there is none because the training failed.
    """

    model_version: ModelVersion
    stack: str
    outcome: str
    details: Sequence[str] = ()

    @property
    def lines(self) -> Sequence[str]:
        """What happened, and one line for each detail."""
        version = self.model_version
        subject = str(version) if version.version else version.model
        first = f"{subject} ({self.stack}): {self.outcome}"
        return [to_line(line) for line in (first, *(f"• {detail}" for detail in self.details))]

    @property
    def slack_message(self) -> dict[str, object]:
        """The notification for a Slack-compatible incoming webhook, escaped so that it cannot mention anyone.

        https://docs.slack.dev/messaging/formatting-message-text
        """
        return {"text": html.escape("\n".join(self.lines), quote=False), "mrkdwn": False}

    @property
    def content(self) -> dict[str, object]:
        """The notification as JSON."""
        return {
            "model": to_line(self.model_version.model),
            "version": to_line(self.model_version.version),
            "stack": self.stack,
            "outcome": self.outcome,
            "details": [to_line(detail) for detail in self.details],
        }


class Notifier:
    """Sends notifications to every address in the settings."""

    def __init__(self, settings: NotificationSettings) -> None:
        self._settings = settings
        self._client = httpx.Client(timeout=settings.timeout)

    def send(self, notification: Notification) -> None:
        _log.info("%s", " ".join(notification.lines))
        self._post("Slack", self._settings.slack_url, notification.slack_message)
        self._post("NOTIFY_URL", self._settings.url, notification.content)

    def _post(self, receiver: str, url: SecretStr | None, content: object) -> None:
        if url is None:
            return
        try:
            self._client.post(url.get_secret_value(), json=content).raise_for_status()
        except httpx.HTTPStatusError as error:
            _log.warning("%s rejected a notification: status %d", receiver, error.response.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The address is itself a secret, and httpx's messages quote it.
            _log.warning("A notification could not be sent to %s: %s", receiver, type(error).__name__)
