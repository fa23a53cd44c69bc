"""Reading properties: proxies, unknowns, nulls, floats and lists, through the SDK's own wrapping.

Proves that no read raises, and that present, absent and unknown stay three different answers.
Does not prove that the engine wraps properties exactly so; the controls' own cases go through the whole protocol.
"""

from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_ARRAY_VALUE, UNKNOWN_BOOLEAN_VALUE, unknown_checking_proxy

from policies.pack import plain
from policies.props import (
    ABSENT,
    UNKNOWN,
    Undecided,
    Verdict,
    any_of,
    at_least,
    conclude,
    each,
    expect,
    expect_set,
    is_true,
    items,
    lookup,
    some,
)
from tests.unit.policies.harness import U

PROPS = {
    "a": {"b": True, "none": None, "unknown": UNKNOWN_BOOLEAN_VALUE},
    "list": [{"c": 1.0}, U, {"d": 2.0}],
    "unknown_list": UNKNOWN_ARRAY_VALUE,
    "empty": [],
    "single": {"c": 3.0},
    "text": "abc",
}


@pytest.fixture
def props() -> Any:
    return plain(unknown_checking_proxy(PROPS))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", True),
        ("a.none", ABSENT),
        ("a.none.deeper", ABSENT),
        ("a.nowhere", ABSENT),
        ("nowhere.at.all", ABSENT),
        ("a.unknown", UNKNOWN),
        ("a.unknown.deeper", UNKNOWN),
        ("unknown_list", UNKNOWN),
        ("text.deeper", ABSENT),
    ],
)
def test_lookup(props: Any, path: str, value: object) -> None:
    assert lookup(props, path) == value


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("list[].c", [("list[0].c", 1), ("list[1]", UNKNOWN), ("list[2].c", ABSENT)]),
        ("unknown_list[].c", [("unknown_list", UNKNOWN)]),
        ("nowhere[].c", [("nowhere.c", ABSENT)]),
        ("empty[].c", []),
        ("single[].c", [("single[0].c", 3)]),
    ],
)
def test_each(props: Any, path: str, found: list[tuple[str, object]]) -> None:
    assert list(each(props, path)) == found


def test_numbers_that_travel_as_floats_compare_and_booleans_are_no_numbers() -> None:
    assert at_least(7)(7.0)
    assert not at_least(7)(6.0)
    assert not at_least(0)(True)
    assert not at_least(7)("8")


def test_items_reads_single_values_lists_and_nothing() -> None:
    assert items("a") == ["a"]
    assert items(["a", "b"]) == ["a", "b"]
    assert items(None) == items(ABSENT) == []
    assert items(UNKNOWN) == [UNKNOWN]


def test_what_is_known_is_judged_even_beside_an_unknown(props: Any) -> None:
    verdicts = list(expect(props, "list[].c", lambda value: value == 2, "not two"))
    assert verdicts == ["list[0].c: not two", Undecided("list[1]"), "list[2].c is not set: not two"]


def test_unknown_counts_as_set_and_is_no_value(props: Any) -> None:
    assert list(expect_set(props, "a.unknown", "missing")) == []
    assert list(expect(props, "a.unknown", is_true, "wrong")) == [Undecided("a.unknown")]


@pytest.mark.parametrize(
    ("alternatives", "verdicts"),
    [
        ([[], ["bad"]], []),
        ([[Undecided("x")], []], []),
        ([["bad"], ["worse"]], ["worse"]),
        ([["bad"], [Undecided("x")]], [Undecided("x")]),
        ([["bad"], [Undecided("x"), "worse"]], [Undecided("x"), "worse"]),
        ([[Undecided("x"), "worse"], ["bad"]], ["bad"]),
    ],
)
def test_alternatives(alternatives: list[list[Verdict]], verdicts: list[Verdict]) -> None:
    assert list(any_of(alternatives)) == verdicts


def test_one_known_fact_acquits_whatever_is_unknown() -> None:
    assert list(conclude("rule", [True, UNKNOWN, False], "open")) == []
    assert list(conclude("rule", [True, UNKNOWN], "open")) == [Undecided("rule")]
    assert list(conclude("rule", [True, True], "open")) == ["rule: open"]


def test_some_finds_a_known_value_before_it_doubts_an_unknown_one() -> None:
    assert some([UNKNOWN, 1], lambda value: value == 1) is True
    assert some([UNKNOWN, 2], lambda value: value == 1) is UNKNOWN
    assert some([2], lambda value: value == 1) is False
