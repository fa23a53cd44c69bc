"""Text of others on one line: names, tags and messages from the model registry may contain anything.

Whoever may write to the registry must not be able to forge a line of a log or a commit, or to steer a terminal.
"""

from __future__ import annotations

from urllib.parse import quote


def to_line(text: str) -> str:
    """The text on one line: white space becomes single spaces, other characters that do not print `%` and their bytes.

    Those are control characters, lone surrogates, and invisible ones that change the direction of a text, as
    `str.isprintable` has them from Unicode. The same text when it is one line already.
    """
    spaced = " ".join(text.split())
    return spaced if spaced.isprintable() else "".join(map(_encode, spaced))


def _encode(character: str) -> str:
    return character if character.isprintable() else quote(character, errors="surrogatepass")
