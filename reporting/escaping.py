"""Escapes untrusted text in a comment: names, values and messages come from a pull request that anybody can open.

Everything but letters, digits, blanks and a few harmless marks becomes a numeric character reference. CommonMark reads
no structure from references, and GitHub neither mentions people nor links issues inside of `<code>`. In a sentence it
does, after references are resolved, so an invisible space ends the mention there.
Sources: https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references and
https://docs.github.com/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls
"""

from __future__ import annotations

import re
import unicodedata

_HARMLESS = frozenset(" .,:;/()'\"{}+=%?-")
# Text that becomes a link without brackets: https://github.github.com/gfm/#autolinks-extension-
_LINK_START = re.compile(r"(?<=www)\.|:(?=//)", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "&#8203;"
_LINKING = frozenset({"&#64;", "&#35;"})  # @somebody, #123
# Control characters, line and paragraph separators, and marks that change the direction of the text after them, such as
# U+202E, are shown as their number. https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CUT = "..."


def make_visible(text: str, limit: int) -> str:
    """One line of at most `limit` characters, in which every character can be seen."""
    shown = "".join(_show(character) for character in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - len(_CUT)] + _CUT


def escape(text: str, limit: int = 300) -> str:
    """Text for a sentence, without any markup, at most `limit` characters before escaping."""
    escaped = _escape(text, limit)
    for reference in _LINKING:
        escaped = escaped.replace(reference, reference + _ZERO_WIDTH_SPACE)
    return escaped


def code(text: str, limit: int = 120) -> str:
    """Text as code, also usable in a table's cell."""
    return f"<code>{_escape(text, limit)}</code>"


def _escape(text: str, limit: int) -> str:
    escaped = "".join(_refer(character) for character in make_visible(text, limit))
    return _LINK_START.sub(lambda found: f"&#{ord(found[0])};", escaped)


def _show(character: str) -> str:
    if unicodedata.category(character) in _INVISIBLE:
        return " " if character in "\t\n" else f"\\u{ord(character):04x}"
    return character


def _refer(character: str) -> str:
    return character if character.isalnum() or character in _HARMLESS else f"&#{ord(character)};"
