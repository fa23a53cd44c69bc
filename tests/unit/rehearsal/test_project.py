"""The description of the project that is rehearsed.

Proves that paths resolve against the project's root from any folder inside, and that an invalid description is one
message. That a project other than this one can be rehearsed is proven in tests/engine/test_other_project.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kernel.stack_file import StackFile
from rehearsal import project
from rehearsal.console import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "stacks").mkdir()
    for stack in ("test", "live"):
        (tmp_path / "stacks" / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    describe(tmp_path, "stacks: stacks\n")
    return tmp_path


def describe(root: Path, text: str) -> None:
    (root / "rehearsal.yaml").write_text(text)


def test_a_project_is_found_from_any_folder_inside(root: Path) -> None:
    inside = root / "a" / "b"
    inside.mkdir(parents=True)
    found = project.find(inside)
    assert (found.root, found.name, found.stack_names) == (root, "shop", ["live", "test"])
    assert found.stack_file("test") == root / "stacks" / "Pulumi.test.yaml"


def test_outside_a_project_the_message_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no rehearsal\.yaml in"):
        project.find(tmp_path)


def test_without_a_folder_stacks_are_beside_pulumi_yaml(root: Path) -> None:
    describe(root, "")
    (root / "Pulumi.test.yaml").write_text("config: {}\n")
    assert project.load(root).stack_names == ["test"]


def test_secrets_that_people_store_are_a_list_of_names(root: Path) -> None:
    describe(root, "given_secrets: [git-token, slack-url]\n")
    assert project.load(root).given_secrets == ("git-token", "slack-url")
    describe(root, "")
    assert project.load(root).given_secrets == ()


def test_a_missing_key_is_an_error_only_in_a_command_that_needs_it(root: Path) -> None:
    found = project.load(root)
    assert found.policy_pack is None
    with pytest.raises(UserError, match=r"does not set 'lifecycle', which this command needs"):
        found.require("lifecycle")


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("stacks: elsewhere", "stacks = 'elsewhere' does not exist"),
        ("stack: stacks", "'stack' is not a key; remove it. The keys are callers, causes, changes"),
        ("- stacks", "the file must be a mapping"),
        ("stacks: [", "line 1, column 10: this is not YAML"),
    ],
)
def test_an_invalid_description_is_one_message(root: Path, description: str, message: str) -> None:
    describe(root, description)
    with pytest.raises(UserError) as caught:
        project.load(root)
    assert message in str(caught.value)
    assert str(root / "rehearsal.yaml") in str(caught.value)


def test_settings_are_checked_by_the_projects_own_code(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (root / "shop_settings.py").write_text("def parse(file, stack):\n    raise ValueError(f'{stack}: {file.values}')\n")
    describe(root, "settings: shop_settings:parse")
    check = project.load(root).settings_check()
    assert check is not None
    with pytest.raises(ValueError, match=r"test: \{'shop:size': '3'\}"):
        check(StackFile("Pulumi.test.yaml", {"config": {"shop:size": "3"}}), "test")


@pytest.mark.parametrize("entry_point", ["nowhere:parse", "rehearsal.project:nothing"])
def test_an_entry_point_that_does_not_exist_is_named(root: Path, entry_point: str) -> None:
    describe(root, f"settings: {entry_point}")
    with pytest.raises(UserError, match=f"settings = '{entry_point}'"):
        project.load(root).settings_check()
