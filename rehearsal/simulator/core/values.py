"""Property values as Pulumi's provider protocol carries them, and as the simulated clouds read them.

On the wire a value may be unknown (a preview does not know it yet) or secret. Here an unknown value is UNKNOWN, and
secrets are plain values whose paths are listed beside them: rules can read them, and code that stores or prints values
knows which ones to leave out.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from kernel.paths import Path, look_up
from kernel.values import UNKNOWN

# The key and the value that mark a secret, in the protocol and in the engine's state.
# Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/properties.go
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 the protocol's mark, not a secret
# The key of a stored fingerprint. It is part of the state file's format.
FINGERPRINT: Final = "sealed:sha256"


@dataclass
class Values:
    """A resource's properties, and the paths of those that are secret."""

    plain: dict[str, Any] = field(default_factory=dict)
    secrets: set[Path] = field(default_factory=set)

    @classmethod
    def from_wire(cls, struct: struct_pb2.Struct) -> Values:
        secrets: set[Path] = set()
        plain = {key: _decode(value, (key,), secrets) for key, value in struct.fields.items()}
        return cls({key: value for key, value in plain.items() if value is not None}, secrets)

    def to_wire(self) -> struct_pb2.Struct:
        struct = struct_pb2.Struct()
        for key, value in self.plain.items():
            struct.fields[key].CopyFrom(_encode(value, (key,), self.secrets))
        return struct

    def replace_secrets(self, key: bytes) -> dict[str, Any]:
        """The properties with each secret replaced by its keyed fingerprint, so that they can be written to disk."""
        return {name: _replace(value, (name,), self.secrets, key) for name, value in self.plain.items()}

    @classmethod
    def restore_secrets(cls, stored: Mapping[str, Any], known: Values, key: bytes) -> Values:
        """The reverse of `replace_secrets`: each secret is taken from `known` if its fingerprint matches.

        Otherwise the property is left out, because its value is stored nowhere.
        """
        secrets: set[Path] = set()
        plain = {name: _restore(value, known, (name,), secrets, key) for name, value in stored.items()}
        return cls({name: value for name, value in plain.items() if value is not None}, secrets)


def find_strings(value: Any) -> Iterator[str]:
    """Every string inside a value, at any depth; keys are not included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from find_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from find_strings(item)


def has_unknown(value: Any) -> bool:
    """Whether a value is UNKNOWN, or contains it at any depth."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def _decode(value: struct_pb2.Value, path: Path, secrets: set[Path]) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = value.struct_value.fields
        if SIGNATURE in fields and fields[SIGNATURE].string_value == _SECRET:
            secrets.add(path)
            return _decode(fields["value"], path, secrets)
        return {name: _decode(item, (*path, name), secrets) for name, item in fields.items()}
    if kind == "list_value":
        return [_decode(item, (*path, index), secrets) for index, item in enumerate(value.list_value.values)]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return UNKNOWN if value.string_value == rpc.UNKNOWN else value.string_value
    return value.bool_value if kind == "bool_value" else None


def _encode(value: Any, path: Path, secrets: set[Path]) -> struct_pb2.Value:
    if path in secrets:
        wrapped = struct_pb2.Struct()
        wrapped.fields[SIGNATURE].string_value = _SECRET
        wrapped.fields["value"].CopyFrom(_encode(value, path, secrets - {path}))
        return struct_pb2.Value(struct_value=wrapped)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=rpc.UNKNOWN)
    if isinstance(value, Mapping):
        struct = struct_pb2.Struct()
        for name, item in value.items():
            struct.fields[name].CopyFrom(_encode(item, (*path, name), secrets))
        return struct_pb2.Value(struct_value=struct)
    if isinstance(value, list | tuple):
        items = [_encode(item, (*path, index), secrets) for index, item in enumerate(value)]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    return struct_pb2.Value(string_value=str(value))


def _fingerprint(value: Any, key: bytes) -> str:
    return hmac.new(key, repr(value).encode(), hashlib.sha256).hexdigest()


def _replace(value: Any, path: Path, secrets: set[Path], key: bytes) -> Any:
    if path in secrets:
        return {FINGERPRINT: _fingerprint(value, key)}
    if isinstance(value, Mapping):
        return {name: _replace(item, (*path, name), secrets, key) for name, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, (*path, index), secrets, key) for index, item in enumerate(value)]
    return value


def _restore(value: Any, known: Values, path: Path, secrets: set[Path], key: bytes) -> Any:
    if isinstance(value, Mapping):
        if FINGERPRINT in value:
            candidate = look_up(known.plain, path, None)
            if candidate is None or _fingerprint(candidate, key) != value[FINGERPRINT]:
                return None
            secrets.add(path)
            return candidate
        return {name: _restore(item, known, (*path, name), secrets, key) for name, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, known, (*path, index), secrets, key) for index, item in enumerate(value)]
    return value
