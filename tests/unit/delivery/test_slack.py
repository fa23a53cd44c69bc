"""Messages to a Slack-compatible webhook are sent as text, and no part of its address is printed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from delivery import slack


class Webhook(HTTPServer):
    """Records what it receives, and responds with `status`."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[object] = []


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Webhook)
        self.server.received.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv(slack.VARIABLE, f"http://127.0.0.1:{server.server_port}/services/secret-part")
        yield server
        server.shutdown()
        thread.join()


def test_a_message_is_sent_as_text(webhook: Webhook) -> None:
    assert slack.notify("train of <churn> & co: failed") == "The message was sent."
    assert webhook.received == [{"text": "train of &lt;churn&gt; &amp; co: failed", "mrkdwn": False}]


def test_a_rejected_message_is_not_an_error_and_the_address_is_hidden(webhook: Webhook) -> None:
    webhook.status = 404
    assert slack.notify("x") == "The message was rejected: status 404."


def test_an_unreachable_address_is_not_an_error_and_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(slack.VARIABLE, "http://127.0.0.1:9/services/secret-part")
    assert slack.notify("x") == "The message could not be sent: ConnectionError."


def test_a_missing_address_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(slack.VARIABLE, raising=False)
    assert slack.notify("x") == "SLACK_WEBHOOK_URL is not set, so no notification is sent."
