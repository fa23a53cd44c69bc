"""Values to the wire format and back: unknown, secret and nested ones.

Proves the translation against the SDK's own functions, so that a change of the protocol is noticed here first.
"""

from __future__ import annotations

from pulumi.runtime import rpc

from kernel.values import UNKNOWN
from rehearsal.simulator.core.values import Values, find_strings, has_unknown


def test_values_survive_the_wire_format() -> None:
    plain = {"name": "x", "count": 3, "ratio": 0.5, "on": True, "list": [1, {"deep": "y"}], "empty": {}}
    assert Values.from_wire(Values(plain).to_wire()).plain == plain


def test_paths_of_secrets_survive_the_wire_format() -> None:
    values = Values({"a": {"b": ["open", "hidden"]}, "c": "hidden"}, {("a", "b", 1), ("c",)})
    back = Values.from_wire(values.to_wire())
    assert back == values


def test_the_sdk_recognizes_secrets() -> None:
    struct = Values({"pin": "1234"}, {("pin",)}).to_wire()
    pin = rpc.deserialize_properties(struct)["pin"]
    assert rpc.is_rpc_secret(pin)
    assert rpc.unwrap_rpc_secret(pin) == "1234"


def test_unknown_is_the_sdks_unknown() -> None:
    struct = Values({"id": UNKNOWN}).to_wire()
    assert struct.fields["id"].string_value == rpc.UNKNOWN
    assert Values.from_wire(struct).plain == {"id": UNKNOWN}


def test_strings_and_unknowns_are_found_at_any_depth() -> None:
    tree = {"a": ["x", {"b": "y", "n": 1}], "c": "z"}
    assert sorted(find_strings(tree)) == ["x", "y", "z"]
    assert not has_unknown(tree)
    assert has_unknown({"a": [{"b": UNKNOWN}]})
