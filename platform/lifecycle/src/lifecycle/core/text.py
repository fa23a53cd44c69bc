"""Untrusted text on one line: names, tags and messages from the model registry may contain anything.

Somebody who can write to the registry must not be able to forge a line of a log or a commit, or to control a terminal.
"""

from __future__ import annotations

from urllib.parse import quote


def to_line(text: str) -> str:
    """The text on one line: white space becomes single spaces, and other characters that do not print are URL-encoded.

    Those are control characters, lone surrogates, and invisible characters that change the direction of a text, as
    `str.isprintable` defines them. Text that is one line already is returned unchanged.
    """
    spaced = " ".join(text.split())
    return spaced if spaced.isprintable() else "".join(map(_encode, spaced))


def _encode(character: str) -> str:
    return character if character.isprintable() else quote(character, errors="surrogatepass")
