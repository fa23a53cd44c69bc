"""Notifies a channel how a pipeline ended, with a Slack-compatible incoming webhook whose URL is a secret."""

from __future__ import annotations

import html
import os

import requests

VARIABLE = "SLACK_WEBHOOK_URL"
_TIMEOUT = 10.0  # seconds


def notify(text: str) -> str:
    """Send a message to the address in `VARIABLE`; returns what was done, in a line that has no part of the address.

    If it cannot be sent, that is not an error: the pipeline has already ended.
    """
    url = os.environ.get(VARIABLE, "")
    if not url:
        return f"{VARIABLE} is not set, so no notification is sent."
    try:
        response = requests.post(url, json={"text": html.escape(text, quote=False), "mrkdwn": False}, timeout=_TIMEOUT)
    except requests.RequestException as error:
        return f"The message could not be sent: {type(error).__name__}."
    return "The message was sent." if response.ok else f"The message was rejected: status {response.status_code}."
