"""Runs of the engine whose output is shown, with a shell command in place of the engine.

Proves which options it gets without a terminal, and when its output is shown. That the engine accepts the options is
proven in tests/engine.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rehearsal.engine_runs import run_engine
from rehearsal.project import Project
from rehearsal.session import Rehearsal

pytestmark = pytest.mark.process


@pytest.fixture
def rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """A rehearsal whose engine is a shell that prints its arguments, and exits with the first of them."""

    def run(
        _: Rehearsal, arguments: Sequence[str], environment: Mapping[str, str], *, quiet: bool = False
    ) -> subprocess.CompletedProcess[str]:
        script = f"echo ran {shlex.join(arguments)}; echo trouble >&2; exit {arguments[0]}"
        return subprocess.run(["sh", "-c", script], env=environment, capture_output=quiet, text=True, check=False)

    monkeypatch.setattr(Rehearsal, "pulumi", run)
    (tmp_path / "Pulumi.test.yaml").write_text("config: {}\n")
    return Rehearsal("test", project=Project(tmp_path, "shop", tmp_path))


def test_without_a_terminal_the_engine_prints_no_dots_and_writes_its_log(
    rehearsal: Rehearsal, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text("of another run")
    assert run_engine(rehearsal, ["3"], {}, log) == 3
    assert not log.exists()
    assert capfd.readouterr().out == f"ran 3 --color never --suppress-progress --event-log {log}\n"


@pytest.mark.parametrize("code", [0, 1])
def test_output_for_failures_is_shown_only_on_failure(
    rehearsal: Rehearsal, tmp_path: Path, capfd: pytest.CaptureFixture[str], code: int
) -> None:
    assert run_engine(rehearsal, [str(code)], {}, tmp_path / "log", shown_on_failure=True) == code
    shown = capfd.readouterr()
    assert ("ran" in shown.out, "trouble" in shown.err) == (bool(code), bool(code))
