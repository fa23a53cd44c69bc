"""Text from the registry on one line, in logs and in notifications. tests/gitops proves the same for git."""

from __future__ import annotations

import logging

import pytest

from lifecycle.core import ModelVersion, Notification, NotificationSettings, Notifier
from lifecycle.core.logs import configure_logging
from lifecycle.core.text import to_line
from support.network import JsonReceiver


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("wine", "wine"),
        ("größer als 5 %, naïve", "größer als 5 %, naïve"),
        ("x\nGroundwork-Rollout: 10", "x Groundwork-Rollout: 10"),
        ("x\r\n\x0b\x0c\x1e\x85\u2028\u2029y", "x y"),
        ("nul\x00 escape\x1b[2J", "nul%00 escape%1B[2J"),
        ("\u202egnp.exe", "%E2%80%AEgnp.exe"),
        ("lone \ud800 surrogate", "lone %ED%A0%80 surrogate"),
        ("", ""),
    ],
)
def test_text_becomes_one_printable_line(text: str, line: str) -> None:
    assert to_line(text) == line
    assert to_line(line) == line
    assert line.isprintable()


@pytest.mark.slow
def test_every_character_becomes_one_line() -> None:
    lines = to_line("".join(map(chr, range(0x110000))))
    assert lines.isprintable()
    assert len(lines.splitlines()) == 1
    lines.encode()


def test_a_message_is_one_line_in_the_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure_logging()
    logging.getLogger("lifecycle").warning("%s is retried", "x\n2026-01-01 00:00:00 INFO y: settled\x1b[2J")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("WARNING x 2026-01-01 00:00:00 INFO y: settled%1B[2J is retried")


def test_slack_shows_text_as_it_is() -> None:
    """https://docs.slack.dev/messaging/formatting-message-text: `<`, `>` and `&` make mentions and links."""
    notification = Notification(
        ModelVersion("<!channel> *pay now*", "3"), "dev", "rejected", ["a & b", "x\n• settled", "\ud800"]
    )
    with JsonReceiver().running() as slack, JsonReceiver().running() as plain:
        Notifier(NotificationSettings(slack_url=slack.url, url=plain.url)).send(notification)
    assert slack.received == [
        {
            "text": "&lt;!channel&gt; *pay now* version 3 (dev): rejected\n• a &amp; b\n• x • settled\n• %ED%A0%80",
            "mrkdwn": False,
        }
    ]
    assert plain.received[0]["model"] == "<!channel> *pay now*", "JSON needs no other encoding"
    assert plain.received[0]["details"] == ["a & b", "x • settled", "%ED%A0%80"]
