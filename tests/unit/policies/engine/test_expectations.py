"""Reading properties: proxies, unknown values, nulls, floats and lists, through the SDK's own proxies.

Proves that reading never raises an error, and that present, absent and unknown values are three different results.
Does not prove that the engine wraps properties in the same way; the controls' own cases use the whole protocol.
"""

from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_ARRAY_VALUE, UNKNOWN_BOOLEAN_VALUE, unknown_checking_proxy

from kernel.paths import each_value, look_up
from kernel.values import ABSENT, UNKNOWN
from policies import Finding, Undecided
from policies.engine.decoding import to_plain
from policies.engine.expectations import (
    IS_TRUE,
    Requirement,
    any_matches,
    at_least,
    at_most,
    check_each,
    expect,
    expect_set,
    fail_if_all,
    none_of,
    one_of,
    pass_if_any,
)
from tests.support.policies.cases import UNKNOWN_TEXT

PROPS = {
    "a": {"b": True, "none": None, "unknown": UNKNOWN_BOOLEAN_VALUE},
    "list": [{"c": 1.0}, UNKNOWN_TEXT, {"d": 2.0}],
    "unknown_list": UNKNOWN_ARRAY_VALUE,
    "empty": [],
    "single": {"c": 3.0},
    "text": "abc",
}


@pytest.fixture
def props() -> Any:
    return to_plain(unknown_checking_proxy(PROPS))


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
def test_single_values(props: Any, path: str, value: object) -> None:
    assert look_up(props, path) == value


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("list[*].c", [("list[0].c", 1), ("list[1]", UNKNOWN), ("list[2].c", ABSENT)]),
        ("unknown_list[*].c", [("unknown_list", UNKNOWN)]),
        ("nowhere[*].c", [("nowhere[*].c", ABSENT)]),
        ("empty[*].c", [("empty[*].c", ABSENT)]),
        ("single[*].c", [("single[0].c", 3)]),
    ],
)
def test_values_in_lists(props: Any, path: str, found: list[tuple[str, object]]) -> None:
    assert list(each_value(props, path)) == found


def test_numbers_compare_as_floats_and_booleans_are_not_numbers() -> None:
    assert at_least(7).accepts(7.0)
    assert not at_least(7).accepts(6.0)
    assert not at_least(0).accepts(True)
    assert not at_least(7).accepts("8")
    assert at_most(1).accepts(1.0)
    assert not at_most(1).accepts(2.0)
    assert not at_most(1).accepts("1")


def test_enumerations_ignore_case() -> None:
    assert one_of("Disabled").accepts("disabled")
    assert not one_of("Disabled").accepts("Enabled")
    assert not one_of("Disabled").accepts(None)
    assert none_of("must not be off", "none").accepts("stable")
    assert not none_of("must not be off", "none").accepts("None")


def test_known_values_are_evaluated_even_beside_an_unknown_one(props: Any) -> None:
    findings = list(expect(props, "list[*].c", Requirement("must be 2", lambda value: value == 2), "it is odd"))
    assert findings == [
        "list[0].c must be 2, otherwise it is odd",
        Undecided("list[1]"),
        "list[2].c is not set and must be 2, otherwise it is odd",
    ]


def test_a_check_of_each_value_passes_absent_ones(props: Any) -> None:
    found = check_each(props, "list[*].c", lambda where, value: iter([f"{where} is {value:g}"]))
    assert list(found) == ["list[0].c is 1", Undecided("list[1]")]


def test_an_unknown_property_is_set_but_its_value_is_undecided(props: Any) -> None:
    assert list(expect_set(props, "a.unknown", "missing")) == []
    assert list(expect(props, "a.unknown", IS_TRUE, "wrong")) == [Undecided("a.unknown")]


@pytest.mark.parametrize(
    ("alternatives", "findings"),
    [
        ([[], ["bad"]], []),
        ([[Undecided("x")], []], []),
        ([["bad"], ["worse"]], ["worse"]),
        ([["bad"], [Undecided("x")]], [Undecided("x")]),
        ([["bad"], [Undecided("x"), "worse"]], [Undecided("x"), "worse"]),
        ([[Undecided("x"), "worse"], ["bad"]], ["bad"]),
    ],
)
def test_alternatives(alternatives: list[list[Finding]], findings: list[Finding]) -> None:
    assert list(pass_if_any(alternatives)) == findings


def test_one_condition_that_does_not_hold_passes_despite_unknown_ones() -> None:
    assert list(fail_if_all("rule", [True, UNKNOWN, False], "open")) == []
    assert list(fail_if_all("rule", [True, UNKNOWN], "open")) == [Undecided("rule")]
    assert list(fail_if_all("rule", [True, True], "is open")) == ["rule is open"]


def test_one_match_decides_despite_unknown_values() -> None:
    assert any_matches([UNKNOWN, 1], lambda value: value == 1) is True
    assert any_matches([UNKNOWN, 2], lambda value: value == 1) is UNKNOWN
    assert any_matches([2], lambda value: value == 1) is False
