"""What a preview would change, read from event logs written by hand.

Proves how the engine's operations, differences, secrets and unknown values are read, and the message
about the log of another engine. tests/engine/test_report.py proves that the real engine writes such logs.
"""

from __future__ import annotations

from typing import Any

import pytest

from kernel.values import ABSENT
from rehearsal.console import UserError
from reporting.changes import HIDDEN, UNKNOWN_TEXT, Kind, PropertyChange, read_preview
from tests.support.report_findings import GROUP, POOL, event

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def test_operations_are_counted_by_their_effect_on_a_resource() -> None:
    preview = read_preview(
        [
            {"preludeEvent": {}},
            event("create", GROUP, "new", None, {}),
            event("same", GROUP, "same", {}, {}),
            event("update", GROUP, "changed", {}, {}),
            event("delete", GROUP, "gone", {}, None),
            event("create-replacement", POOL, "pool", {}, {}),
            event("replace", POOL, "pool", {}, {}),
            event("delete-replaced", POOL, "pool", {}, None),
        ]
    )
    assert [(each.name, each.kind) for each in preview.changes] == [
        ("pool", Kind.REPLACED),
        ("gone", Kind.DELETED),
        ("changed", Kind.CHANGED),
        ("new", Kind.ADDED),
    ]
    assert preview.unchanged == 1


def test_components_and_providers_are_not_cloud_resources() -> None:
    preview = read_preview(
        [
            event("create", "groundwork:azure:Network", "network", None, {}, custom=False),
            event("create", "pulumi:providers:azure-native", "azure", None, {}),
        ]
    )
    assert preview.changes == ()


def test_a_property_has_both_values_and_whether_it_replaces() -> None:
    [change] = read_preview(
        [
            event(
                "replace",
                POOL,
                "pool",
                {"vmSize": "small", "tags": {"a/b": "1"}},
                {"vmSize": "large"},
                {"vmSize": "update-replace", 'tags["a/b"]': "delete"},
                protect=True,
            )
        ]
    ).changes
    assert change.properties == (
        PropertyChange("tags.a/b", "1", ABSENT),
        PropertyChange("vmSize", "small", "large", replaces=True),
    )
    assert change.is_protected


def test_secrets_stay_hidden_and_unknown_values_are_named() -> None:
    old, new = {"password": HIDDEN, "ids": ["x"]}, {"password": HIDDEN, "ids": [UNKNOWN]}
    [change] = read_preview([event("update", POOL, "p", old, new, {"ids": "update", "password": "update"})]).changes
    assert [(each.path, each.after) for each in change.properties] == [("ids[0]", UNKNOWN_TEXT), ("password", HIDDEN)]


def test_differences_inside_a_value_are_named() -> None:
    old: dict[str, Any] = {"rules": [{"port": 1, "name": "a"}, {"port": 2}], "zones": ["1", "2"]}
    new: dict[str, Any] = {"rules": [{"port": 1, "name": "a"}, {"port": 3}, {"port": 4}], "zones": ["0", "1", "2"]}
    [change] = read_preview([event("update", POOL, "p", old, new, {"rules": "update", "zones": "update"})]).changes
    assert [(each.path, each.before, each.after) for each in change.properties] == [
        ("rules", old["rules"], new["rules"]),
        ("zones", old["zones"], new["zones"]),
    ]
    new["rules"] = [*old["rules"], {"port": 4}]
    old["zones"], new["zones"] = ["1", "2"], ["1", "3"]
    [change] = read_preview([event("update", POOL, "p", old, new, {"rules": "update", "zones": "update"})]).changes
    assert [(each.path, each.before, each.after) for each in change.properties] == [
        ("rules[2]", ABSENT, {"port": 4}),
        ("zones[1]", "2", "3"),
    ]


def test_a_path_that_cannot_be_read_has_no_value() -> None:
    [change] = read_preview([event("update", POOL, "p", {}, {}, {"a]b": "update"})]).changes
    assert change.properties == (PropertyChange("a]b", ABSENT, ABSENT),)


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ([{"resourcePreEvent": {"metadata": {"operation": "create"}}}], "a resource without operation, URN or type"),
        ([{"resourcePreEvent": {"step": {}}}], "a resource without operation, URN or type"),
        ([{"resourcePreEvent": "create"}], "a resource without operation, URN or type"),
        ([event("transmute", POOL, "pool", {}, {})], "the operation 'transmute'"),
    ],
    ids=["renamed", "moved", "text", "operation"],
)
def test_a_log_of_another_engine_is_refused(log: list[dict[str, object]], found: str) -> None:
    with pytest.raises(UserError, match="from a version of Pulumi that this project cannot read") as raised:
        read_preview(log)
    assert found in str(raised.value)
    assert "pulumi/go.mod" in str(raised.value)
