"""A deployed rehearsal is compared with its stack's settings before anything starts.

Proves that the project's own comparison receives the settings in the engine's state. The comparison itself is tested
with the project.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal import setting_changes
from rehearsal.console import UserError
from rehearsal.project import Project
from rehearsal.session import Rehearsal

COMPARISON = """
def compare(file, stack, deployed, confirmed):
    if deployed["size"] == "huge" and "size" not in confirmed:
        raise ValueError(f"{stack}: size {deployed['size']} -> {file.values['shop:size']} is not possible")
    return "  - size"


def explain(file, stack, refusals):
    return "\\n".join(f"  - size {file.values['shop:size']} of {name}: {text}" for name, text in refusals.items())
"""


@pytest.fixture
def rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "Pulumi.test.yaml").write_text("config:\n  shop:size: '3'\n")
    (tmp_path / "shop_changes.py").write_text(COMPARISON)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Rehearsal("test", project=Project(tmp_path, "shop", tmp_path, changes="shop_changes:compare"))


def deploy(rehearsal: Rehearsal, outputs: object) -> None:
    """Write the state of a deployment with these outputs, as the engine does."""
    other = {"type": "shop:index:Shelf", "urn": "urn", "custom": True, "outputs": {"settings": {"size": "none"}}}
    resources = [other, {"type": "shop:core:Shop", "urn": "urn", "outputs": outputs}]
    file = rehearsal.backend / ".pulumi" / "stacks" / "shop" / "test.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": resources}}}))


def test_before_the_first_deployment_nothing_is_compared(
    rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str]
) -> None:
    setting_changes.check(rehearsal, [])
    assert capsys.readouterr() == ("", "")


def test_a_deployment_that_never_ended_is_not_compared(
    rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(rehearsal, {})
    setting_changes.check(rehearsal, [])
    captured = capsys.readouterr()
    assert "test has no finished deployment that records its settings" in captured.out + captured.err


def test_changes_in_the_rehearsal_are_compared_too(rehearsal: Rehearsal) -> None:
    rehearsal.refresh_settings()
    copy = rehearsal.workspace.stack_copy(rehearsal.stack).path
    copy.write_text(copy.read_text().replace('"3"', '"4"'))
    deploy(rehearsal, {"settings": {"size": "huge"}})
    with pytest.raises(UserError, match="size huge -> 4 is not possible"):
        setting_changes.check(rehearsal, [])


def test_changes_are_listed(rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(rehearsal, {"settings": {"size": "2"}})
    changes = setting_changes.check(rehearsal, [])
    captured = capsys.readouterr()
    assert "test is already deployed, and its settings change:\n  - size" in captured.out + captured.err
    assert "these settings in Pulumi.test.yaml have changed:\n  - size" in setting_changes.explain_failure(
        rehearsal, changes, {}
    )


def test_the_settings_behind_a_refusal_of_a_first_deployment_are_named(rehearsal: Rehearsal) -> None:
    assert setting_changes.explain_failure(rehearsal, "", {"shelf": "too large"}) == ""
    project = replace(rehearsal.project, causes="shop_changes:explain")
    explained = setting_changes.explain_failure(Rehearsal("test", project=project), "", {"shelf": "too large"})
    assert "depends on these settings in Pulumi.test.yaml:\n  - size 3 of shelf: too large\n" in explained
    assert setting_changes.explain_failure(Rehearsal("test", project=project), "", {}) == ""


def test_a_forbidden_change_is_an_error_unless_it_is_confirmed(rehearsal: Rehearsal) -> None:
    deploy(rehearsal, {"settings": {"size": "huge"}})
    with pytest.raises(UserError, match="test: size huge -> 3 is not possible"):
        setting_changes.check(rehearsal, ["colour"])
    setting_changes.check(rehearsal, ["size"])


def test_the_message_on_a_damaged_state_names_how_to_delete_it(rehearsal: Rehearsal) -> None:
    deploy(rehearsal, {})
    next(rehearsal.backend.rglob("test.json")).write_text("{")
    with pytest.raises(UserError, match=r"cannot be read: .*make rehearse-reset STACK=test"):
        setting_changes.check(rehearsal, [])
