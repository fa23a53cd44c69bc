"""Constraints on single inputs: what each kind refuses and accepts. Not proven: that clouds have these constraints."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.values import ABSENT, UNKNOWN
from rehearsal.simulator.core.constraints import Constraint, InputConstraints, Kind, compile_pattern

_CASES: list[tuple[Kind, Any, list[Any], list[Any]]] = [
    (Kind.REQUIRED, True, ["", 0, False], [ABSENT]),
    (Kind.PATTERN, "^[a-z]+$", ["a", 1, ABSENT], ["A", "a\n", "", "ab1"]),
    (Kind.PATTERN, "[a-z]+", ["a"], ["a1", "1a"]),
    (Kind.SHORTEST, 2, ["ab", [1, 2], {"a": 1, "b": 2}, 1], ["a", [1], {"a": 1}]),
    (Kind.LONGEST, 1, ["a", [1], {}], ["ab", [1, 2]]),
    (Kind.LOWEST, 1, [1, 1.5, True, "0"], [0]),
    (Kind.HIGHEST, 3, [3], [4]),
    (Kind.VALUES, ["On", "Off"], ["On", 1], ["on", "x"]),
]


@pytest.mark.parametrize(("kind", "limit", "accepted", "refused"), _CASES)
def test_each_kind_accepts_and_refuses(kind: Kind, limit: Any, accepted: list[Any], refused: list[Any]) -> None:
    constraint = Constraint("a", kind, limit, "a")
    assert [value for value in accepted if not constraint.accepts(value)] == []
    assert [value for value in refused if constraint.accepts(value)] == []


def test_an_enumeration_may_ignore_the_case() -> None:
    assert Constraint("a", Kind.VALUES, ["Standard"], "a", ignores_case=True).accepts("standard")


def find_problems(constraint: Constraint, inputs: dict[str, Any], *secrets: tuple[str | int, ...]) -> list[str]:
    return InputConstraints([constraint], lambda each: f"{each.path} {each.value}").find_problems(inputs, secrets)


def test_a_path_reaches_items_of_lists_values_of_maps_and_keys() -> None:
    inputs = {"rules": [{"name": "A"}, {"name": "b"}], "tags": {"B": "c", "d": "E"}}
    assert find_problems(Constraint("rules[*].name", Kind.PATTERN, "[a-z]", "m"), inputs) == ["('rules', 0, 'name') A"]
    assert find_problems(Constraint("tags[*]", Kind.PATTERN, "[a-z]", "m"), inputs) == ["('tags', 'd') E"]
    assert find_problems(Constraint("tags", Kind.PATTERN, "[a-z]", "m", of_keys=True), inputs) == ["('tags',) B"]


def test_a_required_part_is_missing_only_if_its_parent_exists() -> None:
    constraint = Constraint("rules[*].name", Kind.REQUIRED, True, "m")
    assert find_problems(constraint, {}) == find_problems(constraint, {"rules": []}) == []
    assert find_problems(constraint, {"rules": [{"name": "a"}, {}]}) == ["('rules', 1, 'name') Marker.ABSENT"]


@pytest.mark.parametrize("path", ["a", "a.b", "a[*]", "a[*].b"])
@pytest.mark.parametrize(("kind", "limit"), [case[:2] for case in _CASES])
def test_a_value_that_a_preview_does_not_know_passes(kind: Kind, limit: Any, path: str) -> None:
    constraint = Constraint(path, kind, limit, "m")
    assert find_problems(constraint, {"a": UNKNOWN}) == []
    assert path == "a" or find_problems(constraint, {"a": {"b": UNKNOWN}}) == []


def test_an_empty_value_that_the_provider_does_not_send_is_not_refused() -> None:
    assert find_problems(Constraint("a", Kind.SHORTEST, 1, "m", is_sent_empty=False), {"a": ""}) == []
    assert find_problems(Constraint("a", Kind.SHORTEST, 1, "m"), {"a": ""}) == ["('a',) "]


@pytest.mark.parametrize("secret", [("a",), ("a", "b")])
def test_no_message_contains_the_value_of_a_secret(secret: tuple[str | int, ...]) -> None:
    constraint = Constraint("a.b", Kind.LONGEST, 3, "m")
    assert find_problems(constraint, {"a": {"b": "hunter2"}}, secret) == ["('a', 'b') ***"]


def test_a_long_value_is_shortened() -> None:
    (message,) = find_problems(Constraint("a", Kind.LONGEST, 3, "m"), {"a": "x" * 1000})
    assert message == f"('a',) {'x' * 57}..."


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Ärzte 2/a@b", "a#"),
        (r"^[a-z]*$|^\d$", "1", "1\n"),
        (r"[\w+=,.@-]+", "a_b@c", "a b"),
    ],
)
def test_patterns_of_other_languages_are_understood(pattern: str, matching: str, other: str) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.fullmatch(matching)
    assert not compiled.fullmatch(other)
