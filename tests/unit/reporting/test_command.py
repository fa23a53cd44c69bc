"""`python -m reporting` with invalid arguments: one message for each, before anything starts.

Invalid settings are part of the report, since people read the comment rather than the log.
"""

from __future__ import annotations

import html
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal import project
from rehearsal.engine import pulumi_cli
from rehearsal.toolchain import ROOT
from reporting import __main__ as command


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_cli, "engine", lambda: pytest.fail("the engine was requested"))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["reporting", *arguments])
    return command.main()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["azure-dev", "--format", "pdf"], "FORMAT='pdf' is not a format of reports. Choose markdown or html."),
        (["azure-dev", "--format", ""], "FORMAT='' is not a format of reports"),
        (["azure-dev", "--out", "none/such/report.html"], "is in a folder that does not exist"),
        (["azure-dev", "--limit", "many"], "LIMIT='many' is not a valid length"),
        (["azure-dev", "--limit", "80000"], "Set it to 8192 to 65536 bytes"),
        (["azure-dve"], "There is no stack 'azure-dve'"),
    ],
    ids=["format", "no-format", "folder", "limit", "long-limit", "stack"],
)
def test_an_invalid_argument_has_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(monkeypatch, *arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.process
@pytest.mark.parametrize("style", ["markdown", "html"])
def test_invalid_settings_are_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], style: str
) -> None:
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    file = tmp_path / "stacks" / "Pulumi.azure-dev.yaml"
    file.write_text(file.read_text().replace("groundwork:owner", "groundwork:ownr"))
    copy = replace(project.load(ROOT), root=tmp_path, stacks=tmp_path / "stacks")
    monkeypatch.setattr(project, "current", lambda: copy)
    assert run(monkeypatch, "azure-dev", "--format", style) == 0
    text = html.unescape(capsys.readouterr().out)
    assert "cannot be deployed like this" in text
    assert "groundwork:ownr (line " in text
    assert "not run: the settings are not valid" in text
    assert "Nothing was previewed." in text
