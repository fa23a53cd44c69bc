"""The receiver with real HTTP messages: which deliveries it accepts, and which it rejects.

Proves the checks on signed, unsigned, old, repeated, malformed and huge deliveries; that an event is on disk before the
response; that the response makes MLflow retry when the disk is full. The signature is compared with MLflow's own code.
test_end_to_end proves that MLflow itself is accepted.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid
from pathlib import Path

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature
from starlette.testclient import TestClient

from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.receiver import PATH, create_app
from lifecycle.promotion.settings import ReceiverSettings
from lifecycle.promotion.webhook_signature import DELIVERY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

SECRET = "a-secret-of-this-test"


@pytest.fixture
def receiver(inbox: Inbox) -> TestClient:
    return TestClient(create_app(ReceiverSettings(webhook_secret=SECRET), inbox))


def event(alias: str = "challenger", version: object = "3", name: str = "wine") -> bytes:
    data = {"name": name, "alias": alias, "version": version}
    return json.dumps({"entity": "model_version_alias", "action": "created", "timestamp": "now", "data": data}).encode()


def headers(body: bytes, *, delivery: str = "", age: float = 0, secret: str = SECRET) -> dict[str, str]:
    delivery, timestamp = delivery or str(uuid.uuid4()), str(int(time.time() - age))
    return {
        DELIVERY_HEADER: delivery,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: sign(secret, delivery, timestamp, body),
    }


def test_the_signature_is_mlflows_own() -> None:
    body = event(name="vin-rouge-é")
    assert sign(SECRET, "id", "1700000000", body) == _generate_hmac_signature(SECRET, "id", "1700000000", body.decode())


def test_a_signed_event_is_in_the_inbox_when_it_is_accepted(receiver: TestClient, inbox: Inbox) -> None:
    body = event()
    reply = receiver.post(PATH, content=body, headers=headers(body, delivery="first"))
    assert reply.status_code == 202
    (waiting,) = inbox.due(10)
    assert (waiting.id, waiting.model, waiting.version) == ("first", "wine", "3")


def test_an_unsigned_delivery_is_rejected(receiver: TestClient, inbox: Inbox) -> None:
    body = event()
    signed = headers(body)
    del signed[SIGNATURE_HEADER]
    reply = receiver.post(PATH, content=body, headers=signed)
    assert reply.status_code == 401
    assert "set the receiver's secret on MLflow's webhook" in reply.json()["detail"]
    assert not inbox.counts()


@pytest.mark.parametrize("part", ["secret", "body", "delivery", "timestamp", "version of the scheme", "not ASCII"])
def test_a_delivery_with_another_signature_is_rejected(receiver: TestClient, inbox: Inbox, part: str) -> None:
    body = event()
    signed: dict[str, str | bytes] = {**headers(body, secret="another-secret" if part == "secret" else SECRET)}
    if part == "delivery":
        signed[DELIVERY_HEADER] = "another"
    if part == "timestamp":
        signed[TIMESTAMP_HEADER] = str(int(time.time()) + 1)
    if part == "version of the scheme":
        signed[SIGNATURE_HEADER] = str(signed[SIGNATURE_HEADER]).replace("v1,", "v2,")
    if part == "not ASCII":
        signed[SIGNATURE_HEADER] = "v1,é".encode("latin-1")
    sent = event(version="4") if part == "body" else body
    assert receiver.post(PATH, content=sent, headers=signed).status_code == 401
    assert not inbox.counts()


# The future one has a minute more, which may pass until it is read.
@pytest.mark.parametrize("age", [301, -361])
def test_a_delivery_with_an_old_or_future_timestamp_is_rejected(receiver: TestClient, inbox: Inbox, age: float) -> None:
    body = event()
    reply = receiver.post(PATH, content=body, headers=headers(body, age=age))
    assert reply.status_code == 401
    assert "more than 300 s" in reply.json()["detail"]
    assert not inbox.counts()


def test_a_replayed_delivery_is_rejected_also_after_a_restart(
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


def test_the_same_event_in_another_delivery_is_accepted_and_the_worker_decides(
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
        event(name="x\0y"),
        event(name="\ud800"),
    ],
    ids=lambda body: body[:24].decode(errors="replace") + f" ({len(body)} bytes)",
)
def test_a_signed_body_that_is_not_an_event_is_a_bad_request(receiver: TestClient, inbox: Inbox, body: bytes) -> None:
    assert receiver.post(PATH, content=body, headers=headers(body)).status_code == 400
    assert not inbox.counts()


@pytest.mark.parametrize("header", [DELIVERY_HEADER, TIMESTAMP_HEADER])
@pytest.mark.parametrize("value", ["", "x\ty", "../../etc", "1" * 200])
def test_malformed_headers_are_rejected(receiver: TestClient, header: str, value: str) -> None:
    body = event()
    assert receiver.post(PATH, content=body, headers={**headers(body), header: value}).status_code == 401


@pytest.mark.parametrize("streamed", [False, True])
def test_a_huge_body_is_rejected_with_or_without_its_length(receiver: TestClient, inbox: Inbox, streamed: bool) -> None:
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
def test_events_that_request_no_promotion_are_ignored(receiver: TestClient, inbox: Inbox, body: bytes) -> None:
    reply = receiver.post(PATH, content=body, headers=headers(body))
    assert (reply.status_code, reply.json()["outcome"]) == (200, "ignored")
    assert not inbox.counts()


def test_with_a_full_disk_mlflow_has_to_retry_and_the_retry_is_accepted(
    receiver: TestClient, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    # SQLite's limit has the same effect as a full disk: SQLITE_FULL. It belongs to the inbox's one connection.
    with inbox._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    body, replies = event(name="x" * 250), []
    for _ in range(200):
        signed = headers(body)
        replies.append(receiver.post(PATH, content=body, headers=signed))
        if replies[-1].status_code != 202:
            break
    assert replies[-1].status_code == 503
    assert int(replies[-1].headers["Retry-After"]) > 0
    assert "database or disk is full" in caplog.text
    accepted = inbox.counts().get("waiting", 0)
    with inbox._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert receiver.post(PATH, content=body, headers=signed).status_code == 202
    assert inbox.counts() == {"waiting": accepted + 1}


def test_it_is_ready_when_events_can_be_stored_and_healthy_anyway(
    receiver: TestClient, inbox: Inbox, tmp_path: Path
) -> None:
    assert receiver.get("/ready").status_code == 200
    inbox.close()
    shutil.rmtree(tmp_path)
    assert receiver.get("/ready").status_code == 503
    assert receiver.get("/health").status_code == 200


def test_prometheus_counts_deliveries_by_outcome(receiver: TestClient) -> None:
    def read(outcome: str) -> float:
        line = rf'(?m)^groundwork_promotion_deliveries_total{{outcome="{outcome}"}} (\S+)$'
        found = re.search(line, receiver.get("/metrics").text)
        return float(found[1]) if found else 0.0

    before = {outcome: read(outcome) for outcome in ("accepted", "ignored", "rejected")}
    receiver.post(PATH, content=event(), headers=headers(event()))
    receiver.post(PATH, content=event("champion"), headers=headers(event("champion")))
    receiver.post(PATH, content=event())
    receiver.get("/health")
    assert {outcome: read(outcome) - count for outcome, count in before.items()} == dict.fromkeys(before, 1)


def test_only_post_is_allowed(receiver: TestClient) -> None:
    assert receiver.get(PATH).status_code == 405


def test_no_secret_is_in_a_response_or_a_log(receiver: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    body = event()
    reply = receiver.post(PATH, content=body, headers=headers(body, secret="another-secret"))
    settings = ReceiverSettings(webhook_secret=SECRET)
    assert SECRET not in reply.text + caplog.text + repr(settings) + str(settings.model_dump())
