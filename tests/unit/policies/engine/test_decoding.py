"""The pack's decoder, which decodes once for all policies, returns the same values as the SDK's decoder.

Proves it for values that the engine's protocol can carry. Not proven: that the engine encodes resources like this.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi_policy import proxy
from pulumi_policy.deserialize import (
    SPECIAL_ARCHIVE_SIG,
    SPECIAL_ASSET_SIG,
    SPECIAL_SIG_KEY,
    deserialize_properties,
)

from kernel.values import UNKNOWN
from policies.engine.decoding import read_properties, to_plain
from tests.support.policies.analyzer import secret

UNKNOWNS = [value for name, value in sorted(vars(proxy).items()) if name.startswith("UNKNOWN_")]
PROPERTIES = {
    "text": "abc",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "empty": "",
    "number": 3,
    "fraction": 0.5,
    "true": True,
    "false": False,
    "null": None,
    "list": [1, "a", None, [], {}, [UNKNOWNS[0], {"deep": UNKNOWNS[1]}]],
    "object": {"a": {"b": {"c": [True]}}, "none": None},
    "unknowns": UNKNOWNS,
    "secret": secret("hunter2"),
    "unknown secret": secret(UNKNOWNS[2]),
    "secret object": secret({"a": secret([UNKNOWNS[3], 1])}),
    "secret of nothing": secret(None),
    "nested": [secret({"a": 1})],
}


def build_struct(properties: dict[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def read_as_the_sdk_does(struct: struct_pb2.Struct) -> Any:
    decoded = deserialize_properties(json_format.MessageToDict(struct))
    return to_plain(proxy.unknown_checking_proxy(decoded))


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_value_is_read_as_the_sdk_reads_it(name: str) -> None:
    struct = build_struct({"value": PROPERTIES[name]})
    assert read_properties(struct) == read_as_the_sdk_does(struct)


def test_every_marker_of_the_engine_for_unknown_values_is_read() -> None:
    assert len(UNKNOWNS) == 7
    assert read_properties(build_struct({"all": UNKNOWNS})) == {"all": [UNKNOWN] * 7}


def test_a_value_that_is_not_set_is_null() -> None:
    struct = struct_pb2.Struct()
    struct.fields["unset"].Clear()
    assert read_properties(struct) == read_as_the_sdk_does(struct) == {"unset": None}


def test_numbers_are_floats_and_secrets_are_plain_text() -> None:
    found = read_properties(build_struct({"number": 3, "password": secret("hunter2")}))
    assert found == {"number": 3.0, "password": "hunter2"}
    assert type(found["number"]) is float


def test_assets_and_archives_are_those_of_the_sdk() -> None:
    asset = {SPECIAL_SIG_KEY: SPECIAL_ASSET_SIG, "text": "abc"}
    archive = {SPECIAL_SIG_KEY: SPECIAL_ARCHIVE_SIG, "assets": {"file": asset}}
    found = read_properties(build_struct({"asset": asset, "archive": archive}))
    assert isinstance(found["asset"], pulumi.StringAsset)
    assert found["asset"].text == "abc"
    assert isinstance(found["archive"], pulumi.AssetArchive)
    assert isinstance(found["archive"].assets["file"], pulumi.StringAsset)
