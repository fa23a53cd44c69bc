"""The copy of a project that the engine works on.

Proves its content, and the effect of changes on either side. That the engine works in it, and does not change the
project's files, is proven in tests/engine.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kernel.stack_file import format_content
from kernel.yaml_document import DocumentError
from rehearsal.console import UserError
from rehearsal.engine.stack_copy import StackCopy
from rehearsal.engine.workspace import Workspace, find_project_file

PROJECT = """\
name: shop
runtime:
  name: python
  options: {virtualenv: .venv}
backend: {url: "s3://real-state"}
stackConfigDir: stacks
plugins:
  providers:
  - {name: own, path: ./provider}
packages: {local: ./package, public: terraform-provider}
config:
  shop:answer: {type: string, default: NO}
"""
STACK = """\
secretsprovider: awskms://alias/real?region=eu-west-1
encryptedkey: AQICAHj
encryptionsalt: v1:real
config:
  shop:size: 3  # small
  shop:token: {secure: v1:abc}
  shop:database:
    user: admin
    replicas:
    - password:
        secure: v1:def
environment:
- live
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text(STACK)
    created = Workspace(tmp_path / "Pulumi.yaml", tmp_path / ".groundwork" / "workspace")
    assert created.refresh() == {}
    return created


def tracked(workspace: Workspace) -> Path:
    return workspace.root / "stacks" / "Pulumi.dev.yaml"


def copy(workspace: Workspace) -> StackCopy:
    return workspace.stack_copy("dev")


def change(workspace: Workspace, remove: str = "", **settings: Any) -> None:
    """Change the copy as the engine does for `config set` and `config rm`."""
    path = workspace.folder / "Pulumi.dev.yaml"
    content = yaml.safe_load(path.read_text())
    content["encryptionsalt"] = "v1:rehearsal"
    content["config"].update({f"shop:{key}": value for key, value in settings.items()})
    content["config"].pop(f"shop:{remove}", None)
    path.write_text(yaml.safe_dump(content))


def config(workspace: Workspace) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((workspace.folder / "Pulumi.dev.yaml").read_text())["config"]
    return content


def test_the_copy_contains_nothing_of_a_real_backend(workspace: Workspace) -> None:
    text = "".join(path.read_text() for path in workspace.folder.rglob("*") if path.is_file())
    for real in ("s3:", "awskms", "AQICAHj", "v1:", "secure", "environment"):
        assert real not in text


def test_the_program_runs_in_the_projects_folder(workspace: Workspace) -> None:
    project = yaml.safe_load((workspace.folder / "Pulumi.yaml").read_text())
    root = workspace.root
    assert Path(project["main"]) == root
    assert project["runtime"]["options"]["virtualenv"] == str(root / ".venv")
    assert project["plugins"]["providers"][0]["path"] == str(root / "provider")
    assert project["packages"] == {"local": str(root / "package"), "public": "terraform-provider"}
    assert "default: NO" in (workspace.folder / "Pulumi.yaml").read_text()


def test_encrypted_values_at_any_depth_are_replaced_by_placeholders(workspace: Workspace) -> None:
    assert copy(workspace).placeholders() == ["shop:token", "shop:database.replicas.0.password"]
    assert config(workspace)["shop:token"] == "Placeholder-1-for-shop-token"
    [replica] = config(workspace)["shop:database"]["replicas"]
    assert replica == {"password": "Placeholder-1-for-shop-database-replicas-0-password"}


def test_a_placeholder_that_was_set_to_a_value_is_no_longer_listed(workspace: Workspace) -> None:
    change(workspace, token={"secure": "v1:rehearsal"})
    assert copy(workspace).placeholders() == ["shop:database.replicas.0.password"]
    assert workspace.secrets() == ["shop:token"]
    assert workspace.patch() == ""


@pytest.mark.process
def test_changes_are_a_patch_of_the_projects_file(workspace: Workspace) -> None:
    database = config(workspace)["shop:database"]
    change(workspace, size="4", database={**database, "user": "root"}, owner="me")
    patch = workspace.patch()
    assert "v1:rehearsal" not in patch
    assert "Placeholder" not in patch
    (workspace.root / "settings.patch").write_text(patch)
    subprocess.run(["git", "apply", "settings.patch"], cwd=workspace.root, check=True)
    expected = STACK.replace("size: 3 ", 'size: "4" ').replace("user: admin", "user: root")
    assert tracked(workspace).read_text() == expected.replace("environment:", "  shop:owner: me\nenvironment:")
    workspace.refresh()
    assert workspace.patch() == ""


@pytest.mark.process
def test_a_stack_that_exists_only_in_the_rehearsal_is_a_patch_that_creates_its_file(workspace: Workspace) -> None:
    (workspace.folder / "Pulumi.new.yaml").write_text("encryptionsalt: v1:x\nconfig:\n  shop:size: '1'\n")
    (workspace.root / "settings.patch").write_text(workspace.patch())
    subprocess.run(["git", "apply", "settings.patch"], cwd=workspace.root, check=True)
    assert (workspace.root / "stacks" / "Pulumi.new.yaml").read_text() == 'config:\n  shop:size: "1"\n'


def test_a_new_stack_without_settings_is_not_a_change(workspace: Workspace) -> None:
    (workspace.folder / "Pulumi.new.yaml").write_text("encryptionsalt: v1:x\n")
    assert workspace.patch() == ""


def test_changes_of_both_sides_are_merged_and_the_projects_file_wins_a_conflict(workspace: Workspace) -> None:
    change(workspace, size="4", owner="me", remove="database")
    tracked(workspace).write_text(STACK.replace("size: 3 ", "size: 5 ") + "# end\n")
    workspace.refresh()
    assert {key: config(workspace).get(f"shop:{key}") for key in ("size", "owner", "database")} == {
        "size": "5",
        "owner": "me",
        "database": None,
    }
    assert "v1:rehearsal" in copy(workspace).path.read_text(), "the engine needs its own salt"


def test_a_deleted_copy_is_created_again(workspace: Workspace) -> None:
    copy(workspace).path.unlink()
    assert workspace.patch() == ""
    workspace.refresh()
    assert config(workspace)["shop:size"] == "3"


def test_a_stack_file_that_cannot_be_read_is_reported_and_does_not_affect_other_stacks(workspace: Workspace) -> None:
    (workspace.root / "stacks" / "Pulumi.bad.yaml").write_text("config: [unclosed")
    assert workspace.refresh()["bad"].startswith("stacks/Pulumi.bad.yaml, line 1")
    change(workspace, size="4")
    assert "stacks/Pulumi.dev.yaml" in workspace.patch()


def test_a_settings_file_that_the_user_names_is_copied_too(workspace: Workspace) -> None:
    other = workspace.root / "other.yaml"
    other.write_text(STACK)
    adopted = workspace.adopt(other)
    assert adopted.is_relative_to(workspace.folder)
    assert "v1:real" not in adopted.read_text()
    assert workspace.adopt(tracked(workspace)) == copy(workspace).path
    other.write_text("- a list")
    with pytest.raises(DocumentError):
        workspace.adopt(other)


@pytest.mark.parametrize("name", ["Pulumi.json", "Pulumi.yml"])
def test_projects_in_the_engines_other_formats_are_read(tmp_path: Path, name: str) -> None:
    suffix = Path(name).suffix
    (tmp_path / name).write_text('{"name": "shop", "runtime": "nodejs", "config": "config"}')
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / f"Pulumi.dev{suffix}").write_text(format_content({"config": {"shop:size": "3"}}))
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    assert find_project_file(inside) == tmp_path / name
    workspace = Workspace(tmp_path / name, tmp_path / "workspace")
    assert workspace.refresh() == {}
    assert config(workspace) == {"shop:size": "3"}
    assert "config" not in yaml.safe_load((workspace.folder / "Pulumi.yaml").read_text())


@pytest.mark.parametrize("content", ["- a list", "name: [unclosed"])
def test_a_project_file_that_cannot_be_read_is_named(workspace: Workspace, content: str) -> None:
    workspace.project_file.write_text(content)
    with pytest.raises(UserError, match=r"Pulumi\.yaml"):
        workspace.refresh()
