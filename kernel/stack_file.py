"""Reads a stack's file, `Pulumi.<stack>.yaml`, as the Pulumi engine reads it.

A key without a namespace belongs to the project. A program gets every value that is not an object or a list as text.
Source: sdk/go/common/workspace/loaders.go and sdk/go/common/resource/config in
https://github.com/pulumi/pulumi/tree/v3.255.0. tests/engine compares both readers. This one also rejects two spellings
of one key, of which the engine uses either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kernel import yaml_scalars
from kernel.yaml_document import Keys, Reader, compose, is_null, is_text, read_bytes

ENCRYPTED = "[encrypted]"
"""Placeholder in `StackFile.values` for a value that only the stack's secrets provider can decrypt."""

# Top-level keys that only the stack's own backend can use: its encryption, and environments of Pulumi Cloud.
_BACKEND_KEYS = frozenset({"secretsprovider", "encryptedkey", "encryptionsalt", "environment"})


@dataclass(frozen=True)
class Place:
    """Where a value is written.

    line     counted from 1
    text     text of a scalar as it is written; None for other values
    comment  text that YAML reads as a comment after a scalar without quotes, including its `#`
    """

    line: int
    text: str | None
    comment: str = ""


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
        """The stack's configuration by full key. Numbers and booleans outside of objects and lists are text."""
        config: Mapping[str, Any] = self.content.get("config", {})
        return config

    @property
    def values(self) -> dict[str, str]:
        """The configuration as a program gets it: text by full key, with objects and lists as JSON."""
        values = {key: _replace_encrypted(value, (key,), lambda _: ENCRYPTED) for key, value in self.config.items()}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

    def without_encryption(self, placeholder: Callable[[Keys], str]) -> dict[str, Any]:
        """The content for another backend: placeholders for encrypted values, no keys of the stack's own backend."""
        content = {key: value for key, value in self.content.items() if key not in _BACKEND_KEYS}
        if "config" in content:
            content["config"] = {
                key: _replace_encrypted(value, (key,), placeholder) for key, value in self.config.items()
            }
        return content


def format_content(content: Mapping[str, Any]) -> str:
    """The text of a file with this content: JSON, which all readers of YAML parse to the same values."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read(path: Path, project: str, name: str = "") -> StackFile:
    """Read a stack's file. Keys without a namespace belong to `project`; messages call the file `name`.

    Raises DocumentError with all faults.
    """
    name = name or str(path)
    return parse(read_bytes(path, name), project, name)


def parse(data: bytes, project: str, name: str) -> StackFile:
    """The same for the bytes of a file."""
    reader = _Reader(project)
    content = reader.read_root(compose(data, name), "a stack's file is a mapping with `config:` at the top")
    reader.raise_faults(name)
    return StackFile(name, content, reader.places, tuple(reader.encrypted))


class _Reader(Reader):
    """Reads `config` as the engine does, and records the place of each value."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self.places: dict[Keys, Place] = {}
        self.encrypted: list[Keys] = []
        self._project = project
        self._is_in_config = False

    def read_entry(self, key: str, node: yaml.Node) -> Any:
        if key != "config":
            return super().read_entry(key, node)
        self._is_in_config = True
        try:
            return self._read_config(node)
        finally:
            self._is_in_config = False

    def read_value(self, node: yaml.Node, keys: Keys) -> Any:
        value = super().read_value(node, keys)
        if self._is_in_config:
            text = node.value if isinstance(node, yaml.ScalarNode) else None
            self.places[keys] = Place(node.start_mark.line + 1, text, _find_comment(node))
            if _is_encrypted(value):
                self.encrypted.append(keys)
        return value

    def _read_config(self, node: yaml.Node) -> dict[str, Any]:
        if is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.add_fault(node, f"`config:` has to be a mapping of settings, such as `{self._project}:name: value`")
            return {}
        config: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, key_node, value in self.items(node):
            full = self._complete_key(key) if is_text(key_node) else ""
            if not full:
                self.add_fault(key_node, f"'{key}' is not a key of `config`. Write it as `namespace:name`")
            elif full in config:
                self.add_fault(key_node, f"'{full}' is already set in line {lines[full]}. Keep one of the two")
            else:
                lines[full] = key_node.start_mark.line + 1
                config[full] = self._read_setting(value, full)
        return config

    def _complete_key(self, key: str) -> str:
        """A key with its namespace; empty if it is not a key. `project:config:name` is an old spelling."""
        match key.split(":"):
            case [name]:
                return f"{self._project}:{name}"
            case [namespace, name] | [namespace, "config", name]:
                return f"{namespace}:{name}"
            case _:
                return ""

    def _read_setting(self, node: yaml.Node, key: str) -> Any:
        """A value directly in `config`: null becomes an empty string, and every other scalar its text."""
        value = self.read_value(node, (key,))
        match value:
            case None:
                return ""
            case bool():
                return str(value).lower()
            case int() | float():
                return yaml_scalars.format_number(value)
            case _:
                return value


def _find_comment(node: yaml.Node) -> str:
    """The comment after a plain scalar; in a quoted one a `#` is part of the text."""
    end = node.end_mark
    if node.tag != yaml_scalars.PLAIN or end.buffer is None:
        return ""
    rest = end.buffer[end.pointer :].partition("\n")[0].rstrip("\r\0 \t")
    return rest.lstrip(" \t") if re.match(r"[ \t]+#", rest) else ""


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
