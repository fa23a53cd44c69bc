"""The parsing of the arguments of `pulumi`.

Proves it for all ways to write options that the engine's library accepts. That all options with paths are known is
proven in tests/engine, by comparison with the engine's own help.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.engine.command_line import parse

HERE = Path("/home/me/shop")


def absolute(arguments: str, folder: Path = HERE) -> str:
    line = parse(arguments.split(), folder)
    return " ".join(line.with_absolute_paths(lambda path: Path("/copy") / path.name))


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("preview", "preview"),
        ("--color never preview", "preview"),
        ("--color=never preview --diff", "preview"),
        ("--non-interactive -v 3 up", "up"),
        ("-s dev up", "up"),
        ("--stack dev config set a b", "config"),
        ("-e -Q stack ls", "stack"),
        ("-C sub preview", "preview"),
        ("-Csub preview", "preview"),
        ("--cwd=sub --logtostderr preview", "preview"),
        ("--version", ""),
        ("", ""),
        ("--color", ""),
        ("--cwd", ""),
    ],
)
def test_the_command_is_found_after_options(arguments: str, command: str) -> None:
    assert parse(arguments.split(), HERE).command == command


@pytest.mark.parametrize("option", ["-C ../other", "--cwd ../other", "--cwd=../other", "-C../other"])
def test_the_folder_option_is_removed_and_paths_are_relative_to_the_folder(option: str) -> None:
    line = parse(f"preview {option} --save-plan plan.json".split(), HERE)
    assert line.folder == HERE / "../other"
    assert line.arguments == ("preview", "--save-plan", "plan.json")
    assert absolute(f"preview {option} --save-plan plan.json") == "preview --save-plan /home/me/shop/../other/plan.json"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("preview --policy-pack policies", "preview --policy-pack /home/me/shop/policies"),
        ("up --policy-pack=a,/b", "up --policy-pack=/home/me/shop/a,/b"),
        ("stack export --file out.json", "stack export --file /home/me/shop/out.json"),
        ("import -f in.json -o out.py", "import -f /home/me/shop/in.json -o /home/me/shop/out.py"),
        ("import -fin.json --out -", "import -f/home/me/shop/in.json --out -"),
        ("stack graph out.dot", "stack graph /home/me/shop/out.dot"),
        ("stack -s dev graph", "stack -s dev graph"),
        ("up --config-file stacks/Pulumi.dev.yaml", "up --config-file /copy/Pulumi.dev.yaml"),
        ("up --config-file=/x/mine.yaml", "up --config-file=/copy/mine.yaml"),
        ("config set --path a.b value", "config set --path a.b value"),
        ("config set a -- --policy-pack=x", "config set a -- --policy-pack=x"),
        ("watch --path src", "watch --path /home/me/shop/src"),
        ("up -m message -s dev", "up -m message -s dev"),
    ],
)
def test_relative_paths_become_absolute(arguments: str, expected: str) -> None:
    assert absolute(arguments) == expected


def test_the_folder_of_a_template_is_a_path_and_a_stack_of_its_name_is_not(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    assert absolute("up dev", tmp_path) == f"up {tmp_path / 'dev'}"
    assert absolute("up -s dev", tmp_path) == "up -s dev"
    assert absolute("up https://example.com/template", tmp_path) == "up https://example.com/template"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("preview", True),
        ("pre", True),
        ("--color never up --yes", True),
        ("update", True),
        ("up --policy-pack mine", False),
        ("up --policy-pack=mine", False),
        ("up --help", False),
        ("destroy", False),
        ("refresh", False),
        ("stack ls", False),
    ],
)
def test_commands_that_deploy_check_the_projects_policies(arguments: str, expected: bool) -> None:
    assert parse(arguments.split(), HERE).needs_policies() is expected


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ("login s3://real", "login"),
        ("--color never logout", "logout"),
        ("stack migrate https://api.pulumi.com", "stack migrate"),
        ("env run live", "env"),
        ("package add random", "package add"),
        ("stack ls", ""),
        ("package get-schema random", ""),
        ("config env ls", ""),
    ],
)
def test_commands_that_change_something_real_are_refused(arguments: str, refused: str) -> None:
    assert parse(arguments.split(), HERE).refused == refused


@pytest.mark.parametrize(("arguments", "expected"), [("new python", True), ("version", True), ("up", False)])
def test_some_commands_do_not_concern_a_project(arguments: str, expected: bool) -> None:
    assert parse(arguments.split(), HERE).is_beside_projects is expected
