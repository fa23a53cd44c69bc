"""Searches texts and files for secrets, in the forms in which people and programs write them.

A text is searched once per form: substring search in bytes is faster than one pass of Python's regular expressions for
all forms, or of an automaton written in Python (docs/adr/0044). Memory is bounded, since files are read in parts.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote, quote_plus

REMEDY = (
    "Remedy: keep the value secret until it is read: use `pulumi.Output.secret`, `additional_secret_outputs`, or a "
    "Secret instead of a ConfigMap or a chart's plain values, and do not log it."
)

_PART = 1 << 18  # bytes of a file at once, which fit in a processor's cache
_CONTEXT = 1 << 16  # bytes before a leak that are searched for the resource or object it belongs to
# The beginning of a resource in the engine's state and events, and of an object in etcd.
_URN = re.compile(rb'"urn"\s*:\s*"([^"]+)"')
_LOG_LINE = b'"diagnosticEvent"'
_OBJECT = re.compile(rb"/registry/([!-~]+)\x10")


@dataclass(frozen=True)
class Leak:
    """A secret found in a place where it must not be. It does not contain the value, so it can be printed.

    owner  `the result of RandomPassword database-password`
    form   how it is written there: `in plain text`
    place  file or text, and the resource or object in it
    """

    owner: str
    form: str
    place: str

    def __str__(self) -> str:
        return f"{self.place} contains {self.owner}, {self.form}"


@dataclass
class SecretSearch:
    """A search for pairs of a secret and its owner, in all forms."""

    secrets: Iterable[tuple[str, str]]
    _forms: Mapping[bytes, tuple[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self._forms = {form: (owner, name) for value, owner in self.secrets for form, name in list_forms(value)}
        self._overlap = max(map(len, self._forms), default=1) - 1

    def search_text(self, place: str, text: str | bytes) -> Iterator[Leak]:
        """One leak per occurrence in a text, which messages call `place`."""
        data = text if isinstance(text, bytes) else text.encode()
        for form, (owner, name) in self._forms.items():
            for position in _find_all(form, data):
                context = data[max(0, position - _CONTEXT) : position]
                yield Leak(owner, name, place + _describe_context(context))

    def search_file(self, place: str, path: Path) -> Iterator[Leak]:
        """The same for a file. A file that no longer exists has no leaks."""
        try:
            with path.open("rb") as stream:
                yield from self.search_stream(place, stream, lambda position: _read_before(path, position))
        except FileNotFoundError:
            return

    def search_stream(
        self, place: str, stream: IO[bytes], read_before: Callable[[int], bytes] = lambda _: b""
    ) -> Iterator[Leak]:
        """The same for a stream, of which only one part is in memory at a time.

        `read_before` returns the bytes before a position, from which the resource or object is read.
        """
        for offset, part in self._read_parts(stream):
            for form, (owner, name) in self._forms.items():
                for position in _find_all(form, part):
                    yield Leak(owner, name, place + _describe_context(read_before(offset + position)))

    def _read_parts(self, stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
        """Parts of a stream with their offsets, overlapping so that no secret is split."""
        kept, offset = b"", 0
        while data := stream.read(_PART):
            part = kept + data
            yield offset - len(kept), part
            offset += len(data)
            kept = part[-self._overlap :] if self._overlap else b""


def _find_all(form: bytes, data: bytes) -> Iterator[int]:
    """The positions at which a form begins."""
    position = data.find(form)
    while position >= 0:
        yield position
        position = data.find(form, position + len(form))


def list_forms(value: str) -> Iterator[tuple[bytes, str]]:
    """The forms in which a secret may be written, each with a description for messages."""
    escaped = json.dumps(value)[1:-1]
    go_escaped = re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", escaped)
    texts = {
        "in plain text": [value],
        "in JSON": [escaped, go_escaped],
        "in HTML": [html.escape(value)],
        "URL-encoded": [quote(value), quote(value, safe=""), quote_plus(value)],
    }
    forms: dict[bytes, str] = {}
    for name, variants in texts.items():
        for text in variants:
            forms.setdefault(text.encode(), name)
    for text in [value, quote(value, safe="")]:
        for encoded in _list_base64(text.encode()):
            forms.setdefault(encoded, "in base64")
    yield from forms.items()


def _list_base64(data: bytes) -> Iterator[bytes]:
    """Strings, one of which is in the base64 of any text that contains `data`: it starts at one of three offsets."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data)
        begin, end = (before * 8 + 5) // 6, (before + len(data)) * 8 // 6
        certain = encoded[begin:end]
        yield certain
        yield certain.translate(bytes.maketrans(b"+/", b"-_"))


def _read_before(path: Path, position: int) -> bytes:
    """The bytes of a file before a position, to find what is there; in an event log, only of the same line."""
    with path.open("rb") as stream:
        stream.seek(max(0, position - _CONTEXT))
        before = stream.read(min(position, _CONTEXT))
    return before.rpartition(b"\n")[2] if path.suffix == ".jsonl" else before


def _describe_context(before: bytes) -> str:
    """The resource or object that a leak in a state, an event log or etcd belongs to; empty elsewhere."""
    if _LOG_LINE in before:
        return ", a line of the log,"
    for pattern, words in ((_OBJECT, "object"), (_URN, "resource")):
        if found := list(pattern.finditer(before)):
            name = found[-1][1].decode(errors="replace").split("::", 2)[-1]
            return f", {words} {name.rpartition('$')[2]},"
    return ""
