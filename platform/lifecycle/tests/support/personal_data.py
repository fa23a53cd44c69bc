"""Marked values of features and IDs of users, and requests that are full of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx

VALUE, WORD, USER = 987654.321, "marked-feature-4711", "marked-user-0815"
MARKS = ("987654", WORD, USER)


def assert_unmarked(output: Path, *expected: str) -> None:
    """The log has the expected text, no mark, and only lines of JSON."""
    text = output.read_text()
    for line in expected:
        assert line in text, text
    assert [mark for mark in MARKS if mark in text] == []
    for line in text.splitlines():
        assert json.loads(line)["message"], line


def bodies() -> Iterator[bytes]:
    """Bytes that are not a valid request for any server, in several ways."""
    content = {"features": {"alcohol": WORD, WORD: VALUE}, "user_id": USER, "inputs": [{"name": WORD, "data": [VALUE]}]}
    yield json.dumps(content).encode()
    yield json.dumps([content]).encode()
    yield f'{{"{WORD}": {VALUE}, "user_id": "{USER}"'.encode()
    yield f"{WORD} {VALUE} {USER}\xff".encode("latin-1")


def send_everywhere(client: httpx.Client, *paths: str, **headers: str) -> None:
    """Bad requests: to each path with each body, and to paths that do not exist."""
    marked = {"x-user-id": USER, "x-request-id": "r-1", **headers}
    for path in (*paths, f"/{WORD}"):
        for body in bodies():
            client.post(path, params={"user": USER, "value": VALUE}, content=body, headers=marked)
        client.get(path, params={"user": USER}, headers=marked)
