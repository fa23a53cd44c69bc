"""Edits of a stack's file: the requested settings change, and the rest of the text is preserved.

Proves it for the ways in which people write such files. That the result is read as intended is checked with the
project's reader, which tests/engine compares with the engine's.
"""

from __future__ import annotations

from typing import Any

import pytest

from kernel import stack_file
from rehearsal.engine.settings_text import replace_config

TEXT = """\
# Who runs this
encryptionsalt: v1:salt
config:
  # how many
  shop:size: 3   # small

  name: "NO"
  shop:database:
    user: admin  # not root
    hosts:
    - one
    - two
  shop:limits: {cpu: 1, memory: 2}
  shop:motto: |
    first
    second

  aws:region: eu-west-1
environment:
- live
"""


def complete(key: str) -> str:
    return key if ":" in key else f"shop:{key}"


def edit(text: str, **changes: Any) -> str:
    """Set settings of shop, or remove one with None; checks that the result has exactly these settings."""
    file = stack_file.parse(text.encode(), "shop", "test")
    config = {**file.config, **{f"shop:{key}": value for key, value in changes.items()}}
    config = {key: value for key, value in config.items() if value is not None}
    result = replace_config(text, file, config, complete)
    assert stack_file.parse(result.encode(), "shop", "test").config == config
    return result


@pytest.mark.parametrize(
    ("changes", "old", "new"),
    [
        ({}, "", ""),
        ({"size": "4"}, "size: 3 ", 'size: "4" '),
        ({"name": "yes"}, 'name: "NO"', "name: 'yes'"),
        ({"name": None}, '  name: "NO"\n', ""),
        ({"motto": None}, "  shop:motto: |\n    first\n    second\n\n", ""),
        ({"motto": "one line"}, "motto: |\n    first\n    second\n\n", "motto: one line\n"),
        ({"database": {"user": "root", "hosts": ["one", "two"]}}, "user: admin ", "user: root "),
        ({"database": {"hosts": ["one", "two"]}}, "    user: admin  # not root\n", ""),
        ({"database": {"user": "admin", "hosts": ["one"]}}, "    - one\n    - two\n", "    - one\n"),
        ({"limits": {"cpu": 2}}, "limits: {cpu: 1, memory: 2}\n", "limits:\n    cpu: 2\n"),
        ({"owner": "a: b"}, "eu-west-1\n", "eu-west-1\n  shop:owner: 'a: b'\n"),
        ({"owner": {"first": True}}, "eu-west-1\n", "eu-west-1\n  shop:owner:\n    first: true\n"),
    ],
    ids=str,
)
def test_only_changed_settings_are_edited(changes: dict[str, Any], old: str, new: str) -> None:
    assert edit(TEXT, **changes) == TEXT.replace(old, new, 1)


@pytest.mark.parametrize(
    "text", ["NO", "on", "12:30:45", "0042", "1e3", "~", "", "#1", "- a", "two\nlines", "ü", "v1:x"]
)
def test_text_that_looks_like_another_type_stays_text(text: str) -> None:
    edit(TEXT, size=text, more={"text": text, "list": [text]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "config:\n",
        "config: {}\n",
        "config: {shop:size: 3}\n",
        "{config: {shop:size: 3}}",
        "config:\n  shop:size: 3",
        "config:\r\n  shop:size: 3\r\n",
        "\ufeffconfig:\n  shop:size: 3\n",
        "config:\n  shop:base: &base {a: 1}\n  shop:more: *base\n  shop:size: 3\n",
        "config:\n  shop:base: &base {a: 1}\n  shop:more:\n    <<: *base\n    b: 2\n",
    ],
    ids=repr,
)
def test_every_style_of_a_file_can_be_edited(text: str) -> None:
    result = edit(text, size="4", owner="me")
    assert ("\r\n" in result) == ("\r\n" in text)
    edit(result, size=None, owner=None)
