"""The receiver over real HTTP messages: what it takes, and everything that it does not.

Proves the checks and their order on signed, unsigned, old, repeated, broken and huge deliveries; that an event is on
disk before it is answered; that a full disk is MLflow's to try again. The signature is checked against MLflow's own
code. That MLflow itself gets through is proven in test_end_to_end.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature
from starlette.testclient import TestClient

from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.receiver import PATH, create_app
from lifecycle.promotion.settings import ReceiverSettings
from lifecycle.promotion.signature import DELIVERY, SIGNATURE, TIMESTAMP, sign

SECRET = "a-secret-of-this-test"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = Inbox(f"sqlite:///{tmp_path}/inbox.db")
    yield opened
    opened.close()


@pytest.fixture
def receiver(inbox: Inbox) -> TestClient:
    return TestClient(create_app(ReceiverSettings(webhook_secret=SECRET), inbox))


def event(alias: str = "challenger", version: object = "3", name: str = "wine") -> bytes:
    data = {"name": name, "alias": alias, "version": version}
    return json.dumps({"entity": "model_version_alias", "action": "created", "timestamp": "now", "data": data}).encode()


def headers(body: bytes, *, delivery: str = "", age: float = 0, secret: str = SECRET) -> dict[str, str]:
    delivery, timestamp = delivery or str(uuid.uuid4()), str(int(time.time() - age))
    return {DELIVERY: delivery, TIMESTAMP: timestamp, SIGNATURE: sign(secret, delivery, timestamp, body)}


def test_the_signature_is_mlflows_own() -> None:
    body = event(name="vin-rouge-é")
    assert sign(SECRET, "id", "1700000000", body) == _generate_hmac_signature(SECRET, "id", "1700000000", body.decode())


def test_a_signed_event_is_in_the_inbox_when_it_is_answered(receiver: TestClient, inbox: Inbox) -> None:
    body = event()
    reply = receiver.post(PATH, content=body, headers=headers(body, delivery="first"))
    assert reply.status_code == 202
    (waiting,) = inbox.waiting(10)
    assert (waiting.id, waiting.model, waiting.version) == ("first", "wine", "3")


def test_an_unsigned_delivery_is_refused(receiver: TestClient, inbox: Inbox) -> None:
    body = event()
    signed = headers(body)
    del signed[SIGNATURE]
    reply = receiver.post(PATH, content=body, headers=signed)
    assert reply.status_code == 401
    assert "give the webhook in MLflow the receiver's secret" in reply.json()["detail"]
    assert not inbox.counts()


@pytest.mark.parametrize("part", ["secret", "body", "delivery", "timestamp", "version of the scheme", "not ASCII"])
def test_a_delivery_signed_otherwise_is_refused(receiver: TestClient, inbox: Inbox, part: str) -> None:
    body = event()
    signed: dict[str, str | bytes] = {**headers(body, secret="another-secret" if part == "secret" else SECRET)}
    if part == "delivery":
        signed[DELIVERY] = "another"
    if part == "timestamp":
        signed[TIMESTAMP] = str(int(time.time()) + 1)
    if part == "version of the scheme":
        signed[SIGNATURE] = str(signed[SIGNATURE]).replace("v1,", "v2,")
    if part == "not ASCII":
        signed[SIGNATURE] = "v1,é".encode("latin-1")
    sent = event(version="4") if part == "body" else body
    assert receiver.post(PATH, content=sent, headers=signed).status_code == 401
    assert not inbox.counts()


@pytest.mark.parametrize("age", [301, -301])
def test_a_delivery_outside_the_time_window_is_refused(receiver: TestClient, inbox: Inbox, age: float) -> None:
    body = event()
    reply = receiver.post(PATH, content=body, headers=headers(body, age=age))
    assert reply.status_code == 401
    assert "300 s off" in reply.json()["detail"]
    assert not inbox.counts()


def test_a_replayed_delivery_is_refused_also_after_a_restart(
    receiver: TestClient, inbox: Inbox, tmp_path: Path
) -> None:
    body = event()
    signed = headers(body)
    assert receiver.post(PATH, content=body, headers=signed).status_code == 202
    assert receiver.post(PATH, content=body, headers=signed).status_code == 409
    inbox.close()
    reopened = Inbox(f"sqlite:///{tmp_path}/inbox.db")
    restarted = TestClient(create_app(ReceiverSettings(webhook_secret=SECRET), reopened))
    assert restarted.post(PATH, content=body, headers=signed).status_code == 409
    assert reopened.counts() == {"waiting": 1}
    reopened.close()


def test_the_same_event_under_another_delivery_is_taken_and_left_to_the_worker(
    receiver: TestClient, inbox: Inbox
) -> None:
    body = event()
    for _ in range(2):
        assert receiver.post(PATH, content=body, headers=headers(body)).status_code == 202
    assert inbox.counts() == {"waiting": 2}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"entity": "model_version_alias"}',
        b'{"entity": "model_version_alias", "action": "created"}',
        b'{"entity": "model_version_alias", "action": "created", "data": {"name": "wine", "alias": "challenger"}}',
        b"[" * 20000,
        event(version=3),
        event(version="3; rm -rf /"),
        event(version="0"),
        event(name=""),
        event(name="x" * 300),
    ],
    ids=lambda body: body[:24].decode(errors="replace") + f" ({len(body)} bytes)",
)
def test_a_signed_body_that_is_no_event_is_a_bad_request(receiver: TestClient, inbox: Inbox, body: bytes) -> None:
    assert receiver.post(PATH, content=body, headers=headers(body)).status_code == 400
    assert not inbox.counts()


@pytest.mark.parametrize("lacking", [DELIVERY, TIMESTAMP])
@pytest.mark.parametrize("value", ["", "x\ty", "../../etc", "1" * 200])
def test_malformed_headers_are_refused(receiver: TestClient, lacking: str, value: str) -> None:
    body = event()
    assert receiver.post(PATH, content=body, headers={**headers(body), lacking: value}).status_code == 401


@pytest.mark.parametrize("streamed", [False, True])
def test_a_huge_body_is_refused_with_or_without_its_length(receiver: TestClient, inbox: Inbox, streamed: bool) -> None:
    body = b" " * 2**20
    content = (body[:16384] for _ in range(64)) if streamed else body
    reply = receiver.post(PATH, content=content, headers=headers(body))
    assert reply.status_code == 413
    assert not inbox.counts()


@pytest.mark.parametrize(
    "body",
    [
        event(alias="champion"),
        b'{"entity": "model_version", "action": "created", "data": {"name": "wine"}}',
        b'{"entity": "model_version_alias", "action": "deleted", "data": {"name": "wine", "alias": "challenger"}}',
    ],
)
def test_events_that_ask_for_no_promotion_are_ignored(receiver: TestClient, inbox: Inbox, body: bytes) -> None:
    reply = receiver.post(PATH, content=body, headers=headers(body))
    assert (reply.status_code, reply.json()["outcome"]) == (200, "ignored")
    assert not inbox.counts()


def test_a_full_disk_asks_mlflow_to_try_again_and_the_retry_is_no_replay(
    receiver: TestClient, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    # SQLite's own limit answers as a full disk does: SQLITE_FULL.
    connection: sqlite3.Connection = inbox._database._connection  # type: ignore[attr-defined]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    body, replies = event(name="x" * 250), []
    for _ in range(200):
        signed = headers(body)
        replies.append(receiver.post(PATH, content=body, headers=signed))
        if replies[-1].status_code != 202:
            break
    assert replies[-1].status_code == 503
    assert int(replies[-1].headers["Retry-After"]) > 0
    assert "database or disk is full" in caplog.text
    taken = inbox.counts().get("waiting", 0)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert receiver.post(PATH, content=body, headers=signed).status_code == 202
    assert inbox.counts() == {"waiting": taken + 1}


def test_health_says_whether_events_can_be_stored(receiver: TestClient, inbox: Inbox) -> None:
    assert receiver.get("/health").status_code == 200
    inbox.close()
    assert receiver.get("/health").status_code == 503


def test_only_post_is_answered(receiver: TestClient) -> None:
    assert receiver.get(PATH).status_code == 405


def test_no_secret_is_in_an_answer_or_a_log(receiver: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    body = event()
    reply = receiver.post(PATH, content=body, headers=headers(body, secret="another-secret"))
    settings = ReceiverSettings(webhook_secret=SECRET)
    assert SECRET not in reply.text + caplog.text + repr(settings) + str(settings.model_dump())
