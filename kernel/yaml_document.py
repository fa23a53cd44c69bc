"""Reads a YAML file that people write, as the Pulumi engine reads it. Errors say where, what, and how to fix it.

The engine reads YAML with gopkg.in/yaml.v3, whose scalars are not those of YAML 1.1, which Python's readers follow:
`NO` and `12:30:45` are text, `0042` is 34, and a date becomes a timestamp (`kernel.yaml_scalars`).

This reader is stricter in two places, where the engine silently does what nobody intends: it rejects a second document,
which the engine ignores, and UTF-16, which other readers of the file do not expect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kernel import yaml_scalars

Keys = tuple[str, ...]
"""The place of a value: the keys and indices that lead to it."""

_SAVE_AS_UTF_8 = (
    "Save it as UTF-8: an editor has `Save with Encoding`, PowerShell `Set-Content -Encoding utf8`, a shell `iconv`"
)


class DocumentError(ValueError):
    """A file that cannot be read, or that has mistakes; the message says where, what, and how to fix it."""


def read_bytes(path: Path, name: str) -> bytes:
    """The content of a file. Raises DocumentError if it cannot be read; `name` is its name in messages."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(f"{name} cannot be read: {error.strerror}.") from None


def read_mapping(path: Path, name: str = "") -> dict[str, Any]:
    """The mapping in a file, empty for an empty file. Raises DocumentError with all faults."""
    name = name or str(path)
    reader = Reader()
    content = reader.read_root(compose(read_bytes(path, name), name), "the file must be a mapping")
    reader.raise_faults(name)
    return content


def compose(data: bytes, name: str) -> yaml.Node | None:
    """The root of the document; None for an empty file. Raises DocumentError with line and column."""
    text = decode(data, name)
    try:
        loader = _Loader(text)
        node: yaml.Node | None = loader.get_node() if loader.check_node() else None
        if second := loader.get_node():
            line = second.start_mark.line + 1
            raise DocumentError(
                f"{name}, line {line}: a second document begins, which the engine never reads. Remove the line `---`."
            )
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(
            f"{name}, line {line}: the character U+{error.character:04X} is not allowed in YAML. Remove it."
        ) from None
    except yaml.MarkedYAMLError as error:
        raise DocumentError(f"{name}, {_explain(error, text)}") from None
    return node


def decode(data: bytes, name: str) -> str:
    """The text of a file. Raises DocumentError if it is not UTF-8; `name` is the file's name in messages."""
    if wide := _detect_wide_encoding(data):
        raise DocumentError(f"{name} is encoded in {wide}, but must be UTF-8. {_SAVE_AS_UTF_8}.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        byte = data[error.start : error.start + 1]
        raise DocumentError(
            f"{name}, line {line}, column {column}: byte 0x{byte.hex()} is not UTF-8; it would be "
            f"'{byte.decode('latin-1')}' in Latin-1. {_SAVE_AS_UTF_8}."
        ) from None


def _detect_wide_encoding(data: bytes) -> str:
    """UTF-32 or UTF-16, detected by a byte order mark or by zero bytes beside ASCII characters; empty for neither."""
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    return "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4] else ""


class _Loader(yaml.SafeLoader):
    """Leaves plain scalars unresolved, and marks them with a tag that quoted ones do not have."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and value is not None and implicit[0]:
            return yaml_scalars.PLAIN
        return super().resolve(kind, value, (False, True))  # type: ignore[no-untyped-call]


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    """Place, reason and remedy of a syntax error, and the line that it is in."""
    problem = error.problem or error.context or "it cannot be parsed"
    remedy = next((remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, problem)), "")
    starts_earlier = re.search(f"{_END}|{_NO_COLON}", problem)
    mark = error.context_mark if starts_earlier else error.problem_mark or error.context_mark
    if mark is None:
        return f"this is not YAML: {problem}."
    lines = text.split("\n")
    return (
        f"line {mark.line + 1}, column {mark.column + 1}: this is not YAML: {problem}.{remedy and ' '}{remedy}\n"
        f"    {lines[mark.line].expandtabs(1)}\n    {' ' * mark.column}^"
    )


_END = "end of stream|stream end"
_NO_COLON = "could not find expected ':'"
# Remedies for common mistakes, keyed by a pattern of the parser's message.
_REMEDIES = {
    _END: "Close the quotes or brackets that begin here.",
    r"'\\t'": "Indent with blanks, not with tabs.",
    r"character '[@`%]'": "Put text that begins with this character in quotes.",
    r"mapping values are not allowed": "Indent this line as far as the others of its section; put text that has a "
    "colon and a blank in quotes.",
    r"<block end>|<document start>": "Indent this line as far as the others of its section.",
    _NO_COLON: "Write it as `key: value`.",
    r"expected ',' or '[]}]'": "Close the brackets, or write a comma between two items.",
    r"undefined alias": "Put text that begins with `*` in quotes.",
}


class Reader:
    """Turns nodes into values, and collects their faults."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._open: list[yaml.Node] = []  # nodes that contain the current one

    def raise_faults(self, name: str) -> None:
        """Raises DocumentError if there are any faults; `name` is the file's."""
        if self.faults:
            raise DocumentError("\n".join(f"{name}, {fault}" for fault in self.faults))

    def add_fault(self, node: yaml.Node, fault: str) -> None:
        self.faults.append(f"line {node.start_mark.line + 1}: {fault}.")

    def read_root(self, node: yaml.Node | None, rule: str) -> dict[str, Any]:
        """The content of a document that is a mapping; `rule` is the fault if it is not."""
        if node is None or is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.add_fault(node, rule)
            return {}
        content: dict[str, Any] = {}
        for key, key_node, value in self.items(node):
            if not is_text(key_node):
                self.add_fault(key_node, f"the key {key} is not text. Put it in quotes")
            content[key] = self.read_entry(key, value)
        return content

    def read_entry(self, key: str, node: yaml.Node) -> Any:
        """The value of a top-level key."""
        return self.read_value(node, (key,))

    def read_value(self, node: yaml.Node, keys: Keys) -> Any:
        """The value of a node at a place in the document."""
        if isinstance(node, yaml.ScalarNode):
            return self._read_scalar(node)
        if node in self._open:
            self.add_fault(node, "an anchor contains itself. Write its content out")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.read_value(item, (*keys, str(index))) for index, item in enumerate(node.value)]
            return {key: self.read_value(item, (*keys, key)) for key, _, item in self.items(node)}
        finally:
            self._open.pop()

    def _read_scalar(self, node: yaml.ScalarNode) -> yaml_scalars.Scalar:
        try:
            value = yaml_scalars.resolve(node.tag, node.value)
            if isinstance(value, float):
                yaml_scalars.format_number(value)
        except ValueError as error:
            self.add_fault(node, f"{error}. Put the value in quotes if it is text")
            return ""
        return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value

    def items(self, node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Keys, their nodes, and the values' nodes. Keys merged by `<<` come last, and never replace another key."""
        own: dict[str, yaml.Node] = {}
        merged: list[yaml.Node] = []
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.add_fault(key_node, "a key must be text, not a list or a mapping")
            elif key_node.value == "<<" and not _is_quoted(key_node):
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif (first := own.get(key_node.value)) is not None:
                line = first.start_mark.line + 1
                self.add_fault(key_node, f"'{key_node.value}' is already set in line {line}. Keep one of the two")
            else:
                own[key_node.value] = key_node
                yield self._format_key(key_node), key_node, value
        yield from self._merged_items(merged, set(own))

    def _merged_items(self, nodes: list[yaml.Node], known: set[str]) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        for node in nodes:
            if not isinstance(node, yaml.MappingNode):
                self.add_fault(node, "`<<` needs a mapping, or a list of mappings")
                continue
            for key, key_node, value in self.items(node):
                if key_node.value not in known:
                    known.add(key_node.value)
                    yield key, key_node, value

    def _format_key(self, node: yaml.ScalarNode) -> str:
        match self._read_scalar(node):
            case str(text):
                return text
            case bool(value):
                return str(value).lower()
            case None:
                return "<nil>"
            case number:
                return yaml_scalars.format_number(number)


def is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and yaml_scalars.resolve(node.tag, node.value) is None


def is_text(node: yaml.Node) -> bool:
    return isinstance(yaml_scalars.resolve(node.tag, node.value), str)


def _is_quoted(node: yaml.Node) -> bool:
    return bool(node.tag != yaml_scalars.PLAIN)
