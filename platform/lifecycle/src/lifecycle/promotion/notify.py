"""Telling people: a Slack-compatible incoming webhook, and plain JSON. Not being heard never stops a promotion."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import httpx
from pydantic import SecretStr

from lifecycle.promotion.settings import NotifySettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """What happened to a version of a model: `outcome` in one word, and why or where in `details`."""

    model: str
    version: str
    environment: str
    outcome: str
    details: Sequence[str] = ()

    @property
    def text(self) -> str:
        lines = [f"*{self.model}* version {self.version} ({self.environment}): {self.outcome}"]
        return "\n".join([*lines, *(f"• {detail}" for detail in self.details)])


class Notifier:
    """Sends news to every address that the settings name."""

    def __init__(self, settings: NotifySettings) -> None:
        self._settings = settings
        self._client = httpx.Client(timeout=settings.patience)

    def tell(self, news: News) -> None:
        _log.info("%s", news.text)
        self._post("Slack", self._settings.slack_url, {"text": news.text})
        self._post("the webhook", self._settings.url, asdict(news))

    def _post(self, whom: str, url: SecretStr | None, content: object) -> None:
        if url is None:
            return
        try:
            self._client.post(url.get_secret_value(), json=content).raise_for_status()
        except httpx.HTTPStatusError as error:
            _log.warning("%s did not take the news: status %d", whom, error.response.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The address is a secret in itself, and httpx's messages quote it.
            _log.warning("%s could not be told: %s", whom, type(error).__name__)
