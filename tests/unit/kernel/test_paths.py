"""Property paths: reading and writing them, finding values with them, comparing them.

Proves the syntax that Pulumi's engine and the Kubernetes API server write, and that no lookup raises an error on values
of any shape. The examples of syntax are those of Pulumi's own documentation and tests.
"""

from typing import Any

import pytest

from kernel.paths import EVERY, Path, each_value, format_path, look_up, overlaps, parse_path
from kernel.values import ABSENT, UNKNOWN

VALUES = {
    "a": {"b": True, "none": None, "unknown": UNKNOWN, "zero": 0},
    "list": [{"c": 1.0}, UNKNOWN, {"d": 2.0}, None],
    "unknown_list": UNKNOWN,
    "empty": [],
    "single": {"c": 3.0},
    "text": "abc",
    "metadata": {"annotations": {"example.com/owner": "ml", "0": "zero"}},
}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ()),
        ("root", ("root",)),
        ("root.nested", ("root", "nested")),
        ('root["nested"]', ("root", "nested")),
        ('root["a.b/c"].d', ("root", "a.b/c", "d")),
        ("root.array[0]", ("root", "array", 0)),
        ("root.array[0][10].nested", ("root", "array", 0, 10, "nested")),
        ('["root key with a ."][100]', ("root key with a .", 100)),
        (r'root["key with \"escaped\" quotes"]', ("root", 'key with "escaped" quotes')),
        ("root.array[*].field", ("root", "array", EVERY, "field")),
        ('root[""]', ("root", "")),
        ("metadata.labels[example.com/owner]", ("metadata", "labels", "example.com/owner")),
        ("metadata.labels.example-com/owner", ("metadata", "labels", "example-com/owner")),
        ("root.0", ("root", "0")),
    ],
)
def test_parse(text: str, path: Path) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", [".", ".root", "root.", "root..nested", "root[", "root[0", "root[]", "root[0]nested", "a]"]
)
def test_text_that_is_not_a_path_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not a property path"):
        parse_path(text)


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("a",),
        ("a", "b", 0, "c"),
        (0, "a"),
        ("a", "0", "b"),
        ("metadata", "annotations", "example.com/owner"),
        ("a", 'quoted "key"', "back\\slash", "b[0]", ""),
        ("rules", EVERY, "name"),
        ("key with spaces", "x"),
    ],
)
def test_format_and_parse_are_inverse(path: Path) -> None:
    assert parse_path(format_path(path)) == path


def test_format() -> None:
    path = ("spec", "containers", 0, "env", EVERY, "a.b/c")
    assert format_path(path) == 'spec.containers[0].env[*]["a.b/c"]'


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", True),
        ("a.zero", 0),
        ("a.none", ABSENT),
        ("a.none.deeper", ABSENT),
        ("a.nowhere", ABSENT),
        ("nowhere.at.all", ABSENT),
        ("a.unknown", UNKNOWN),
        ("a.unknown.deeper", UNKNOWN),
        ("unknown_list[0].c", UNKNOWN),
        ("text.deeper", ABSENT),
        ("text[0]", ABSENT),
        ("list[0].c", 1.0),
        ("list[1].c", UNKNOWN),
        ("list[3]", ABSENT),
        ("list[9]", ABSENT),
        ("list.c", ABSENT),
        ('metadata.annotations["example.com/owner"]', "ml"),
        (("metadata", "annotations", "example.com/owner"), "ml"),
        (("metadata", "annotations", 0), "zero"),
        ((), VALUES),
    ],
)
def test_look_up(path: str | Path, value: object) -> None:
    assert look_up(VALUES, path) == value


def test_the_default_replaces_absent_values_but_not_unknown_ones() -> None:
    assert look_up(VALUES, "a.nowhere", None) is None
    assert look_up(VALUES, "a.none", 7) == 7
    assert look_up(VALUES, "a.unknown", None) is UNKNOWN
    assert look_up(ABSENT, "", None) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", [("a.b", True)]),
        ("list[*].c", [("list[0].c", 1), ("list[1]", UNKNOWN), ("list[2].c", ABSENT), ("list[3].c", ABSENT)]),
        ("list[*]", [("list[0]", {"c": 1}), ("list[1]", UNKNOWN), ("list[2]", {"d": 2}), ("list[3]", ABSENT)]),
        ("unknown_list[*].c", [("unknown_list", UNKNOWN)]),
        ("nowhere[*].c", [("nowhere[*].c", ABSENT)]),
        ("empty[*].c", [("empty[*].c", ABSENT)]),
        ("single[*].c", [("single[0].c", 3)]),
        ("list[0].c", [("list[0].c", 1)]),
    ],
)
def test_each_value(path: str, found: list[tuple[str, object]]) -> None:
    assert list(each_value(VALUES, path)) == found


def test_an_absent_root_has_no_values() -> None:
    nothing: Any
    for nothing in (None, ABSENT):
        assert list(each_value(nothing, "a.b")) == [("a.b", ABSENT)]
    assert list(each_value(UNKNOWN, "a.b")) == [("", UNKNOWN)]


@pytest.mark.parametrize(
    ("path", "other", "expected"),
    [
        ("spec", "spec.template.spec", True),
        ("spec.template", "spec", True),
        ("spec.a", "spec.a", True),
        ("spec.a", "spec.b", False),
        ("spec.containers[*].image", "spec.containers[0].image", True),
        ("spec.containers[*].image", "spec.containers[0].name", False),
        ("spec.containers[1]", "spec.containers[0].image", False),
        ((), "anything", True),
    ],
)
def test_overlaps(path: str | Path, other: str | Path, expected: bool) -> None:
    assert overlaps(path, other) is expected
    assert overlaps(other, path) is expected
