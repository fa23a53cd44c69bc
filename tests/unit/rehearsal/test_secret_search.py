"""Secrets are found in the forms in which programs write them, and their values are not printed.

Proves the search in texts and files. test_secret_leaks.py proves what is searched, and
tests/engine/test_secret_canaries.py that the engine writes the forms that are searched for.
"""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from rehearsal.secret_search import _PART, SecretSearch

PASSWORD = "a&b<C>d+e/f?g h%i\"j'k"
OWNER = "the result of RandomPassword db"


def find(text: str | bytes, password: str = PASSWORD) -> list[str]:
    return [str(leak) for leak in SecretSearch([(password, OWNER)]).search_text("the log", text)]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (PASSWORD, "in plain text"),
        (f"postgresql://mlflow:{quote_plus(PASSWORD)}@db:5432/mlflow?sslmode=require", "URL-encoded"),
        (f"https://{quote(PASSWORD)}@db", "URL-encoded"),
        (f"https://{quote(PASSWORD, safe='')}@db", "URL-encoded"),
        (json.dumps({"password": PASSWORD}), "in JSON"),
        (json.dumps({"password": PASSWORD}).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"), "in JSON"),  # noqa: E501
        (html.escape(f"<td>{PASSWORD}</td>"), "in HTML"),
        *((base64.b64encode(f"{'x' * before}{PASSWORD}{'y' * after}".encode()), "in base64")
          for before in range(4) for after in range(3)),
        (base64.urlsafe_b64encode(f"user:{PASSWORD}".encode()), "in base64"),
        (base64.b64encode(f"postgresql://u:{quote(PASSWORD, safe='')}@db".encode()), "in base64"),
    ],
)  # fmt: skip
def test_every_form_is_found_with_its_owner_and_without_its_value(text: str | bytes, form: str) -> None:
    assert f"the log contains {OWNER}, {form}" in find(text)
    assert PASSWORD not in " ".join(find(text))


def test_a_password_in_plain_text_is_one_leak() -> None:
    assert find("alpha12345") == []
    assert find("... Abcdefgh12345678 ...", "Abcdefgh12345678") == [f"the log contains {OWNER}, in plain text"]


def test_each_resource_that_contains_it_is_named() -> None:
    text = "".join(f'{{"urn":"urn:pulumi:test::shop::x:y:Z::{name}","inputs":"{PASSWORD}"}}' for name in ("a", "b"))
    assert find(text) == [f"the log, resource x:y:Z::{name}, contains {OWNER}, in plain text" for name in ("a", "b")]


@pytest.mark.parametrize("text", ["", "another", PASSWORD[:-1], base64.b64encode(b"another password").decode()])
def test_text_without_a_secret_has_no_leaks(text: str) -> None:
    assert find(text) == []


@pytest.mark.parametrize("before", [0, _PART - 5, _PART, 3 * _PART - 1])
def test_a_secret_on_the_border_of_two_parts_is_found_once(tmp_path: Path, before: int) -> None:
    file = tmp_path / "log"
    file.write_text("." * before + PASSWORD + "." * _PART)
    assert [str(leak) for leak in SecretSearch([(PASSWORD, OWNER)]).search_file("log", file)] == [
        f"log contains {OWNER}, in plain text"
    ]


def test_a_file_that_no_longer_exists_has_no_leaks(tmp_path: Path) -> None:
    assert list(SecretSearch([(PASSWORD, OWNER)]).search_file("log", tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("before", "what"),
    [
        (b'{"urn":"urn:pulumi:test::shop::shop:core:Store$aws:s3/bucket:Bucket::assets","outputs":{"x":"', "resource aws:s3/bucket:Bucket::assets"),  # noqa: E501
        (b'"urn": "urn:pulumi:test::shop::pulumi:pulumi:Stack::shop-test", "x": "', "resource pulumi:pulumi:Stack::shop-test"),  # noqa: E501
        (b"\x0a\x2b/registry/configmaps/serving/router\x10\x9a\x05*\x20k8s", "object configmaps/serving/router"),
    ],
)  # fmt: skip
def test_the_resource_or_object_is_named(tmp_path: Path, before: bytes, what: str) -> None:
    file = tmp_path / "db"
    file.write_bytes(b"-" * 3 * _PART + before + PASSWORD.encode())
    assert [str(leak) for leak in SecretSearch([(PASSWORD, OWNER)]).search_file("db", file)] == [
        f"db, {what}, contains {OWNER}, in plain text"
    ]


def test_an_event_is_described_by_its_own_line(tmp_path: Path) -> None:
    file = tmp_path / "up-events.jsonl"
    other = '{"resourcePreEvent":{"metadata":{"urn":"urn:pulumi:test::shop::aws:s3/bucket:Bucket::assets"}}}'
    for line, what in (
        ('{"diagnosticEvent":{"message":"the password is ', ", a line of the log,"),
        ('{"stdoutEvent":{"message":"', ""),
        (
            '{"resOutputsEvent":{"metadata":{"urn":"urn:pulumi:test::shop::x:y:Z::z","new":{"a":"',
            ", resource x:y:Z::z,",
        ),
    ):
        file.write_text(f"{other}\n{line}{PASSWORD}")
        assert [str(leak) for leak in SecretSearch([(PASSWORD, OWNER)]).search_file("up-events.jsonl", file)] == [
            f"up-events.jsonl{what} contains {OWNER}, in plain text"
        ]
