"""`python -m reporting` with arguments that are wrong: one message each, before anything starts."""

from __future__ import annotations

import pytest

from rehearsal.engine import pulumi_cli
from reporting import __main__ as command


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_cli, "engine", lambda: pytest.fail("the engine was asked for"))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["reporting", *arguments])
    return command.main()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["azure-dev", "--format", "pdf"], "FORMAT='pdf' is not a format of reports. Choose markdown or html."),
        (["azure-dev", "--format", ""], "FORMAT='' is not a format of reports"),
        (["azure-dev", "--out", "none/such/report.html"], "is in a folder that does not exist"),
        (["azure-dev", "--limit", "many"], "LIMIT='many' is not a length of a comment"),
        (["azure-dev", "--limit", "80000"], "Give bytes between 8192 and 65536"),
        (["azure-dve"], "There is no stack 'azure-dve'"),
    ],
    ids=["format", "no-format", "folder", "limit", "long-limit", "stack"],
)
def test_a_wrong_argument_has_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(monkeypatch, *arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
