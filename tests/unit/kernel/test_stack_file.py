"""The reader of stack files: values, places, and one message for each way in which a file can be wrong.

Proves only the reader. That the engine reads its table of spellings in the same way is proven in tests/engine.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel import stack_file
from kernel.stack_file import Place, StackFile, format_content
from kernel.yaml_document import DocumentError, read_mapping
from tests.support.stack_files import REFUSED, SPELLINGS, write

NAME = "stacks/Pulumi.test.yaml"


def parse(text: str | bytes) -> StackFile:
    return stack_file.parse(text if isinstance(text, bytes) else text.encode(), "shop", NAME)


def refusal(text: str | bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse(text)
    return str(caught.value)


def test_every_spelling_has_the_engines_value() -> None:
    values = parse(write(SPELLINGS)).values
    assert {spelling: _comparable(value) for spelling, value in zip(SPELLINGS, values.values(), strict=True)} == {
        spelling: _comparable(value) for spelling, value in SPELLINGS.items()
    }


def _comparable(value: str) -> object:
    return json.loads(value) if value[:1] in ("{", "[") else value


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "config:\n", "config: {}\n", "~\n"])
def test_a_file_without_settings_is_empty(text: str) -> None:
    assert parse(text).values == {}


def test_keys_get_the_projects_namespace() -> None:
    text = "config:\n  a: 1\n  shop:b: 2\n  shop:config:c: 3\n  aws:region: x\n"
    assert parse(text).values == {"shop:a": "1", "shop:b": "2", "shop:c": "3", "aws:region": "x"}


def test_each_value_has_its_line_and_its_text() -> None:
    places = parse("config:\n  a: 0042\n  b:\n    c: [1.30]\n").places
    assert places[("shop:a",)] == Place(2, "0042")
    assert places[("shop:b",)].text is None
    assert places[("shop:b", "c", "0")] == Place(4, "1.30")


def test_encrypted_values_at_any_depth_are_named_and_replaced() -> None:
    file = parse("encryptionsalt: grain\nconfig:\n  a: {secure: x}\n  b: {c: [{secure: y}], d: 1}\n")
    assert file.encrypted == (("shop:a",), ("shop:b", "c", "0"))
    assert file.values == {"shop:a": "[encrypted]", "shop:b": '{"c": ["[encrypted]"], "d": 1}'}
    copy = file.without_encryption(lambda keys: "/".join(keys))
    assert copy == {"config": {"shop:a": "shop:a", "shop:b": {"c": ["shop:b/c/0"], "d": 1}}}
    assert parse(format_content(copy)).config == copy["config"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config:\n  a: 1\n  b: 2\n  a: 3\n", f"{NAME}, line 4: 'a' is already set in line 2. Keep one of the two."),
        ("config:\n  a: 1\n  shop:a: 2\n", f"{NAME}, line 3: 'shop:a' is already set in line 2."),
        ("config:\n  a: {b: 1,\n    b: 2}\n", f"{NAME}, line 3: 'b' is already set in line 2."),
        ("config:\n  a:b:c: 1\n", "line 2: 'a:b:c' is not a key of `config`. Write it as `namespace:name`."),
        ("config: 3\n", "line 1: `config:` has to be a mapping of settings, such as `shop:name: value`."),
        ("- config\n", "line 1: a stack's file is a mapping with `config:` at the top."),
        ("config:\n\ta: 1\n", "line 2, column 1: this is not YAML: found character '\\t' that cannot start any token."),
        ('config:\n  a: "b\n  c: d\n', 'line 2, column 6: this is not YAML: found unexpected end of stream. Close'),
        ("config:\n  a: b: c\n", "line 2, column 7: this is not YAML: mapping values are not allowed here. Indent"),
        ("config:\n  a: b: c\n", "as far as the others of its section; put text that has a colon and a blank in"),
        ("config:\n  a: b\n   c: d\n", "line 3, column 5: this is not YAML: mapping values are not allowed here. In"),
        ("config:\n  a: b\n c: d\n", "line 3, column 2: this is not YAML: expected <block end>, but found '<block map"),
        ("config:\n  a: b\n c: d\n", "Indent this line as far as the others of its section."),
        ("config:\n  a: b\nc\n", "line 3, column 1: this is not YAML: could not find expected ':'. Write it as `key"),
        ("config:\n  a: {b: c\n  d: e\n", "Close the brackets, or write a comma between two items."),
        ("config:\n  a: @b\n", "Put text that begins with this character in quotes."),
        ("config:\n  a: .inf\n", "line 2: infinity and NaN are not valid values of a setting. Put the value in quotes"),
        ("config:\n  a: b\n---\nc: d\n", "a second document begins, which the engine never reads."),
        ("config:\n  a: b\x07c\n", "line 2: the character U+0007 is not allowed in YAML. Remove it."),
        ("config:\n  a: ü\n".encode("latin-1"), "line 2, column 6: byte 0xfc is not UTF-8; it would be 'ü' in Lat"),
        ("config:\n  a: ü\n".encode("utf-16"), "is encoded in UTF-16, but must be UTF-8. Save it"),
        ("config:\n  a: ü\n".encode("utf-16-be"), "is encoded in UTF-16"),
        ("config:\n  a: ü\n".encode("utf-32"), "is encoded in UTF-32"),
    ],
)  # fmt: skip
def test_an_unreadable_file_is_reported_with_place_and_remedy(text: str | bytes, message: str) -> None:
    reported = refusal(text)
    assert NAME in reported
    assert message in reported


def test_the_line_of_a_mistake_is_shown() -> None:
    assert refusal("config:\n  a: b: c\n").endswith("\n      a: b: c\n          ^")


def test_all_faults_are_reported_together() -> None:
    assert len(refusal("config:\n  a: 1\n  a: 2\n  b: {c: 1, c: 2}\n  d:e:f: 1\n").splitlines()) == 3


@pytest.mark.parametrize("reason", REFUSED)
def test_files_that_the_engine_rejects_are_rejected(reason: str) -> None:
    assert refusal(REFUSED[reason])


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"Pulumi.x.yaml cannot be read: No such file or directory\."):
        stack_file.read(tmp_path / "Pulumi.x.yaml", "shop")


def test_other_yaml_files_are_read_in_the_same_way(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.yaml"
    file.write_text("name: NO\nruntime: {name: python, options: {on: 1.50}}\n")
    assert read_mapping(file) == {"name": "NO", "runtime": {"name": "python", "options": {"on": 1.5}}}
    file.write_text("name: a\nname: b\n")
    with pytest.raises(DocumentError, match=r"Pulumi\.yaml, line 2: 'name' is already set in line 1\. Keep"):
        read_mapping(file)
    file.write_text("- name\n")
    with pytest.raises(DocumentError, match=r"Pulumi\.yaml, line 1: the file must be a mapping\."):
        read_mapping(file)
