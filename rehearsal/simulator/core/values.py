"""Values as the provider protocol carries them, and as the simulated clouds see them.

On the wire a value may be unknown (a preview does not know it yet) or secret. In here an unknown is the object
UNKNOWN, and secrets are plain values whose paths are kept beside them, so that rules can read them and nothing
that stores or prints has to guess.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"  # the key that marks a secret, in the protocol and in the state
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 the protocol's mark of a secret, not one
FINGERPRINT: Final = "sealed:sha256"

Path = tuple[str | int, ...]


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


@dataclass
class Values:
    """A resource's properties, and which of them are secret."""

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
        """The properties with each secret replaced by its keyed fingerprint: fit to be written to disk."""
        return {name: _replace(value, (name,), self.secrets, key) for name, value in self.plain.items()}

    @classmethod
    def restore_secrets(cls, stored: Mapping[str, Any], known: Values, key: bytes) -> Values:
        """What `sealed` stored, its secrets taken from `known` where the fingerprints agree.

        A secret whose value nobody brings is left out: the simulated cloud does not have it.
        """
        secrets: set[Path] = set()
        plain = {name: _restore(value, known, (name,), secrets, key) for name, value in stored.items()}
        return cls({name: value for name, value in plain.items() if value is not None}, secrets)


def look_up(values: Any, path: str) -> Any:
    """The value at a dotted path (`sku.name`, `subnets.0.id`): None where absent, UNKNOWN where unknown."""
    for step in path.split("."):
        if values is UNKNOWN:
            return UNKNOWN
        if isinstance(values, Mapping):
            values = values.get(step)
        elif isinstance(values, list) and step.isdigit() and int(step) < len(values):
            values = values[int(step)]
        else:
            return None
    return values


def strings(value: Any) -> Iterator[str]:
    """Every string inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def has_unknown(value: Any) -> bool:
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
            candidate = look_up(known.plain, ".".join(map(str, path)))
            if candidate is None or _fingerprint(candidate, key) != value[FINGERPRINT]:
                return None
            secrets.add(path)
            return candidate
        return {name: _restore(item, known, (*path, name), secrets, key) for name, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, known, (*path, index), secrets, key) for index, item in enumerate(value)]
    return value
