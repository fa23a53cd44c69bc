"""Results of a step, as GitHub Actions and Azure Pipelines read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.errors import DeliveryError
from delivery.outputs import write_outputs, write_summary


def test_outputs_are_written_for_both_pipelines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(file))
    monkeypatch.delenv("TF_BUILD", raising=False)
    write_outputs(train="true", version="3")
    assert file.read_text() == capsys.readouterr().out == "train=true\nversion=3\n"
    monkeypatch.delenv("GITHUB_OUTPUT")
    monkeypatch.setenv("TF_BUILD", "True")
    write_outputs(version="3")
    assert "##vso[task.setvariable variable=version;isOutput=true]3\n" in capsys.readouterr().out


def test_a_value_of_two_lines_is_rejected() -> None:
    with pytest.raises(DeliveryError, match="more than one line"):
        write_outputs(version="3\nadmin=true")


def test_a_summary_is_added_to_the_page_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    write_summary("one")
    write_summary("two")
    assert file.read_text() == "one\ntwo\n"
