"""The markers for values that cannot be read, and reading a value that may be a list."""

import copy
import pickle

import pytest

from kernel.values import ABSENT, UNKNOWN, Truth, all_hold, any_holds, as_list, is_list


def test_copies_of_a_marker_are_the_marker() -> None:
    assert copy.deepcopy({"a": [UNKNOWN]})["a"][0] is UNKNOWN
    assert pickle.loads(pickle.dumps(ABSENT)) is ABSENT  # noqa: S301 pickled in this line


def test_markers_print_by_name() -> None:
    assert f"{UNKNOWN!r} {ABSENT!r}" == "UNKNOWN ABSENT"


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("abc", ["abc"]),
        (["a", "b"], ["a", "b"]),
        (("a", "b"), ["a", "b"]),
        ([], []),
        ({"a": 1}, [{"a": 1}]),
        (0, [0]),
        (None, []),
        (ABSENT, []),
        (UNKNOWN, [UNKNOWN]),
    ],
)
def test_as_list(value: object, items: list[object]) -> None:
    assert as_list(value) == items


def test_text_is_not_a_list() -> None:
    assert not is_list("abc")
    assert not is_list(b"abc")
    assert is_list(["abc"])


@pytest.mark.parametrize(
    ("answers", "any_", "all_"),
    [
        ([], False, True),
        ([True, True], True, True),
        ([True, False], True, False),
        ([True, UNKNOWN], True, UNKNOWN),
        ([False, UNKNOWN], UNKNOWN, False),
        ([True, False, UNKNOWN], True, False),
    ],
)
def test_conjunction_and_disjunction_with_unknown_values(answers: list[Truth], any_: Truth, all_: Truth) -> None:
    assert any_holds(answers) is any_
    assert all_hold(answers) is all_
