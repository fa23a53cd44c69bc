"""The messages of commands that have nothing to work on, and that these commands change nothing.

Proves the messages for a rehearsal that never existed, and for one that was destroyed. Does not start clouds or an
engine: tests/engine does.
"""

from __future__ import annotations

import json
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path

import pytest

from rehearsal import commands
from rehearsal.console import UserError
from rehearsal.project import Project
from rehearsal.session import Rehearsal, RunningRehearsal
from rehearsal.shell import ShellStart

ARGUMENTS = Namespace(stack="test", purpose="", port=0)
NOTHING = "Nothing of test is deployed"


@pytest.fixture
def rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "Pulumi.test.yaml").write_text("config: {}\n")
    project = Project(tmp_path, "shop", tmp_path)
    monkeypatch.setattr("rehearsal.project.current", lambda: project)

    monkeypatch.setattr(Rehearsal, "running", lambda *_: nullcontext(RunningRehearsal({}, None, "")))
    monkeypatch.setattr(Rehearsal, "prepare_shell", lambda *_: ShellStart(["true"], {}, True))
    return Rehearsal("test")


def write_state(rehearsal: Rehearsal, *resources: object) -> None:
    file = rehearsal.backend / ".pulumi" / "stacks" / "shop" / "test.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": resources}}}))


@pytest.mark.usefixtures("rehearsal")
def test_a_rehearsal_that_never_existed_is_neither_destroyed_nor_discarded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"There is no rehearsal of test to destroy. `make rehearse STACK=test` begins"):
        commands.destroy(ARGUMENTS)
    assert commands.reset(ARGUMENTS) == 0
    assert capsys.readouterr().err == (
        "There is no rehearsal of test to discard. `make rehearse STACK=test` begins one.\n"
    )


def test_a_rehearsal_that_was_destroyed_is_not_destroyed_again(
    rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(rehearsal)
    assert commands.destroy(ARGUMENTS) == 0
    assert f"{NOTHING}, so there is nothing to destroy." in capsys.readouterr().err


@pytest.mark.process
def test_a_shell_reports_that_nothing_is_deployed_and_how_to_begin(
    rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.shell(ARGUMENTS)
    assert f"{NOTHING} in this rehearsal: `pulumi up` brings it up." in capsys.readouterr().err
    write_state(rehearsal, {"type": "pulumi:pulumi:Stack"})
    commands.shell(ARGUMENTS)
    assert NOTHING not in capsys.readouterr().err
