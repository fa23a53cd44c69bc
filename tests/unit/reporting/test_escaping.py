"""Untrusted text in a comment, as a Markdown parser reads it.

Proves with markdown-it, which implements CommonMark and GitHub's tables, that no text becomes markup or disappears.
Not proven: that GitHub notifies nobody for names in `<code>` or split by an invisible space, as it documents.
"""

from __future__ import annotations

import html
import re

import pytest
from markdown_it import MarkdownIt

from reporting.escaping import code, escape, make_visible

HOSTILE = [
    "**bold** _it_ ~~gone~~ `code`",
    "<img src=x onerror=alert(1)>",
    "</code></td></table><script>alert(1)</script>",
    "--> <!-- ",
    "[text](https://evil.example)",
    "![pixel](https://evil.example/p.png)",
    "https://evil.example www.evil.example WWW.EVIL.EXAMPLE",
    "a | b \\| c",
    "&lt;b&gt; &#64;team",
    "@acme/admins closes #1 and GH-1",
    "$\\sqrt{x}$ and $$x$$",
    "line\n\n# heading\n- item\r\n> quote",
]


def render(markdown: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


@pytest.mark.parametrize("text", HOSTILE)
def test_text_in_a_table_stays_one_cell_of_plain_text(text: str) -> None:
    page = render(f"| a | b |\n|---|---|\n| {code(text)} | {escape(text)} |\n")
    cells = re.findall(r"<td>(.*?)</td>", page, re.DOTALL)
    assert len(cells) == 2
    # Numeric references are text, so the only tag is the one that `code` has written.
    assert re.findall(r"<[^>]*>", cells[0]) == ["<code>", "</code>"]
    assert "<" not in cells[1]
    shown = html.unescape(re.sub(r"<[^>]*>", "", cells[0]))
    assert shown == make_visible(text, 1000)
    assert html.unescape(cells[1]).replace("\u200b", "") == shown.rstrip()


@pytest.mark.parametrize("text", HOSTILE)
def test_text_starts_no_block(text: str) -> None:
    page = render(f"- {escape(text)}\n")
    assert page.startswith("<ul>\n<li>")
    assert set(re.findall(r"<(\w+)", page)) == {"ul", "li"}


def test_nobody_is_mentioned_in_a_sentence() -> None:
    assert not re.search(r"[@#]\w", html.unescape(escape("@acme/admins #12")))


def test_invisible_characters_are_shown_by_their_number() -> None:
    assert make_visible("user\u202etxt.exe\x00\u200b", 100) == "user\\u202etxt.exe\\u0000\\u200b"


def test_long_text_is_cut_and_says_so() -> None:
    assert make_visible("x" * 500, 10) == "xxxxxxx..."
    assert len(make_visible("\u202e" * 500, 10)) == 10


def test_letters_of_any_script_are_not_escaped() -> None:
    assert code("größe-模型") == "<code>größe-模型</code>"
