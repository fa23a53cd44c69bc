"""Reads a stack's file, `Pulumi.<stack>.yaml`, as the Pulumi engine reads it.

The engine reads YAML with gopkg.in/yaml.v3, whose scalars are not those of YAML 1.1, which Python's readers follow:
`NO` and `12:30:45` are text, `0042` is 34, and a date becomes a timestamp (`kernel.yaml_scalars`). A key without a
namespace belongs to the project. Source: sdk/go/common/workspace/loaders.go and sdk/go/common/resource/config in
https://github.com/pulumi/pulumi/tree/v3.255.0. tests/engine compares both readers.

This reader is stricter in three places, where the engine silently does what nobody means: two spellings of one key, of
which it takes either; a second document, which it ignores; and UTF-16, which editors beside it do not expect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kernel import yaml_scalars

Keys = tuple[str, ...]
"""Where a value is: its full key, `namespace:name`, then the keys and indices inside of it."""

ENCRYPTED = "[encrypted]"
"""What `StackFile.values` has for a value that only the stack's secrets provider can decrypt."""

_ENCRYPTION = frozenset({"secretsprovider", "encryptedkey", "encryptionsalt"})
_SAVE_AS_UTF_8 = (
    "Save it as UTF-8: an editor has `Save with Encoding`, PowerShell `Set-Content -Encoding utf8`, a shell `iconv`"
)


class StackFileError(ValueError):
    """A file that cannot be read, or not as it is meant; the message says where, what and how to mend it."""


@dataclass(frozen=True)
class Place:
    """Where a value is written: its line, from 1, and the text of a scalar as it stands there, None for the others."""

    line: int
    text: str | None


@dataclass(frozen=True)
class StackFile:
    """The content of a stack's file.

    name       the file, as messages name it
    content    top-level keys and values; `config` has full keys, and `{"secure": text}` for each encrypted value
    places     where each value of `config` is written
    encrypted  which values of `config` are encrypted
    """

    name: str
    content: Mapping[str, Any]
    places: Mapping[Keys, Place] = field(default_factory=dict)
    encrypted: Sequence[Keys] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        """The stack's configuration by full key. Only in objects and lists are numbers and booleans more than text."""
        config: Mapping[str, Any] = self.content.get("config", {})
        return config

    @property
    def values(self) -> dict[str, str]:
        """The configuration as a program gets it: text by full key, with objects and lists as JSON."""
        values = {key: _replace_encrypted(value, (key,), lambda _: ENCRYPTED) for key, value in self.config.items()}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

    def without_encryption(self, placeholder: Callable[[Keys], str]) -> dict[str, Any]:
        """The content with a placeholder for each encrypted value, and without the keys of its encryption."""
        content = {key: value for key, value in self.content.items() if key not in _ENCRYPTION}
        if "config" in content:
            content["config"] = {
                key: _replace_encrypted(value, (key,), placeholder) for key, value in self.config.items()
            }
        return content


def format_content(content: Mapping[str, Any]) -> str:
    """The text of a file with this content: JSON, which every reader of YAML reads alike."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read(path: Path, project: str, name: str = "") -> StackFile:
    """Read a stack's file. Keys without a namespace belong to `project`; messages call the file `name`.

    Raises StackFileError, whose message lists all faults.
    """
    name = name or str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StackFileError(f"{name} cannot be read: {error.strerror}.") from None
    return parse(data, project, name)


def parse(data: bytes, project: str, name: str) -> StackFile:
    """The same for the bytes of a file."""
    reader = _Reader(name, project)
    node = _compose(_decode(data, name), name)
    content = reader.read_root(node) if node else {}
    if reader.faults:
        raise StackFileError("\n".join(f"{name}, {fault}" for fault in reader.faults))
    return StackFile(name, content, reader.places, tuple(reader.encrypted))


def _decode(data: bytes, name: str) -> str:
    if wide := _detect_wide_encoding(data):
        raise StackFileError(f"{name} is encoded in {wide}, and a stack's file has to be UTF-8. {_SAVE_AS_UTF_8}.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        byte = data[error.start : error.start + 1]
        raise StackFileError(
            f"{name}, line {line}, column {column}: byte 0x{byte.hex()} is not UTF-8; it would be "
            f"'{byte.decode('latin-1')}' in Latin-1. {_SAVE_AS_UTF_8}."
        ) from None


def _detect_wide_encoding(data: bytes) -> str:
    """UTF-32 or UTF-16, by its byte order mark or by the zeros beside ASCII characters; empty for neither."""
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    return "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4] else ""


class _Loader(yaml.SafeLoader):
    """Leaves plain scalars unresolved, and tells them from quoted ones by their tag."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and value is not None and implicit[0]:
            return yaml_scalars.PLAIN
        return super().resolve(kind, value, (False, True))


def _compose(text: str, name: str) -> yaml.Node | None:
    """The root of the first document; None for an empty file. Raises StackFileError with line and column."""
    try:
        loader = _Loader(text)
        node: yaml.Node | None = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            line = loader.get_node().start_mark.line + 1
            raise StackFileError(
                f"{name}, line {line}: a second document begins, which the engine never reads. Remove the line `---`."
            )
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise StackFileError(
            f"{name}, line {line}: the character U+{error.character:04X} may not stand in YAML. Remove it."
        ) from None
    except yaml.MarkedYAMLError as error:
        raise StackFileError(f"{name}, {_explain(error, text)}") from None
    return node


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    """Place, reason and remedy of a mistake in YAML's grammar, and the line that it is in."""
    problem = error.problem or error.context or "it cannot be parsed"
    remedy = next((remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, problem)), "")
    unclosed = re.search(_END, problem)
    mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
    if mark is None:
        return f"this is not YAML: {problem}."
    lines = text.split("\n")
    return (
        f"line {mark.line + 1}, column {mark.column + 1}: this is not YAML: {problem}.{remedy and ' '}{remedy}\n"
        f"    {lines[mark.line].expandtabs(1)}\n    {' ' * mark.column}^"
    )


_END = "end of stream|stream end"
# What to do about the mistakes that people make, by the parser's words for them.
_REMEDIES = {
    _END: "Close the quotes or brackets that begin here.",
    r"'\\t'": "Indent with blanks, not with tabs.",
    r"character '[@`%]'": "Put text that begins with this character in quotes.",
    r"mapping values are not allowed": "Put text that has a colon and a blank in quotes, or begin a new line.",
    r"undefined alias": "Put text that begins with `*` in quotes.",
}


class _Reader:
    """Turns a document into a stack's content, collecting what is wrong with it."""

    def __init__(self, name: str, project: str) -> None:
        self.faults: list[str] = []
        self.places: dict[Keys, Place] = {}
        self.encrypted: list[Keys] = []
        self._name = name
        self._project = project
        self._open: list[yaml.Node] = []  # nodes that contain the present one

    def read_root(self, node: yaml.Node) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            if _is_null(node):
                return {}
            self._add_fault(node, "a stack's file is a mapping with `config:` at the top")
            return {}
        content: dict[str, Any] = {}
        for key, key_node, value in self._items(node):
            if not _is_text(key_node):
                self._add_fault(key_node, f"the key {key} is not text. Put it in quotes")
            content[key] = self._read_config(value) if key == "config" else self._read_value(value)
        return content

    def _read_config(self, node: yaml.Node) -> dict[str, Any]:
        if _is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._add_fault(node, f"`config:` has to be a mapping of settings, such as `{self._project}:name: value`")
            return {}
        config: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, key_node, value in self._items(node):
            full = self._complete_key(key) if _is_text(key_node) else ""
            if not full:
                self._add_fault(key_node, f"'{key}' is not a key of `config`. Write it as `namespace:name`")
            elif full in config:
                self._add_fault(key_node, f"'{full}' is set before, in line {lines[full]}. Keep one of the two")
            else:
                lines[full] = key_node.start_mark.line + 1
                config[full] = self._read_setting(value, full)
        return config

    def _complete_key(self, key: str) -> str:
        """A key with its namespace, empty when it is none. `project:config:name` is an old spelling."""
        match key.split(":"):
            case [name]:
                return f"{self._project}:{name}"
            case [namespace, name] | [namespace, "config", name]:
                return f"{namespace}:{name}"
            case _:
                return ""

    def _read_setting(self, node: yaml.Node, key: str) -> Any:
        """A value of `config` itself: null is an empty text, and every scalar is its text."""
        value = self._read_value(node, (key,))
        match value:
            case None:
                return ""
            case bool():
                return str(value).lower()
            case int() | float():
                return yaml_scalars.format_number(value)
            case _:
                return value

    def _read_value(self, node: yaml.Node, keys: Keys = ()) -> Any:
        """The value of a node; `keys` say where in `config` it is, none that it is elsewhere."""
        if keys:
            text = node.value if isinstance(node, yaml.ScalarNode) else None
            self.places[keys] = Place(node.start_mark.line + 1, text)
        if isinstance(node, yaml.ScalarNode):
            return self._read_scalar(node)
        if node in self._open:
            self._add_fault(node, "an anchor contains itself. Write its content out")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._read_value(item, keys and (*keys, str(index))) for index, item in enumerate(node.value)]
            return self._read_object(node, keys)
        finally:
            self._open.pop()

    def _read_object(self, node: yaml.Node, keys: Keys) -> dict[str, Any]:
        value = {key: self._read_value(item, keys and (*keys, key)) for key, _, item in self._items(node)}
        if keys and _is_encrypted(value):
            self.encrypted.append(keys)
        return value

    def _read_scalar(self, node: yaml.ScalarNode) -> yaml_scalars.Scalar:
        try:
            value = yaml_scalars.resolve(node.tag, node.value)
            if isinstance(value, float):
                yaml_scalars.format_number(value)
        except ValueError as error:
            self._add_fault(node, f"{error}. Put the value in quotes if it is text")
            return ""
        return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value

    def _items(self, node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Key, its node, and the value's node. What `<<` brings in comes last, and never replaces a key."""
        own: dict[str, yaml.Node] = {}
        merged: list[yaml.Node] = []
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._add_fault(key_node, "a key has to be text, not a list or a mapping")
            elif key_node.value == "<<" and not _is_quoted(key_node):
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif (first := own.get(key_node.value)) is not None:
                line = first.start_mark.line + 1
                self._add_fault(key_node, f"'{key_node.value}' is set before, in line {line}. Keep one of the two")
            else:
                own[key_node.value] = key_node
                yield self._format_key(key_node), key_node, value
        yield from self._merged_items(merged, set(own))

    def _merged_items(self, nodes: list[yaml.Node], known: set[str]) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        for node in nodes:
            if not isinstance(node, yaml.MappingNode):
                self._add_fault(node, "`<<` takes a mapping, or a list of them")
                continue
            for key, key_node, value in self._items(node):
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

    def _add_fault(self, node: yaml.Node, fault: str) -> None:
        self.faults.append(f"line {node.start_mark.line + 1}: {fault}.")


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and yaml_scalars.resolve(node.tag, node.value) is None


def _is_text(node: yaml.Node) -> bool:
    return isinstance(yaml_scalars.resolve(node.tag, node.value), str)


def _is_quoted(node: yaml.Node) -> bool:
    return bool(node.tag != yaml_scalars.PLAIN)


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, Mapping) and list(value) == ["secure"] and isinstance(value["secure"], str)


def _replace_encrypted(value: Any, keys: Keys, placeholder: Callable[[Keys], str]) -> Any:
    """A value with a placeholder for each encrypted value in it."""
    if _is_encrypted(value):
        return placeholder(keys)
    if isinstance(value, Mapping):
        return {key: _replace_encrypted(item, (*keys, key), placeholder) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace_encrypted(item, (*keys, str(index)), placeholder) for index, item in enumerate(value)]
    return value
