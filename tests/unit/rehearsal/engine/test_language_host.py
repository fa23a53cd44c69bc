"""The program's process is started early, and never left behind.

Proves the life of the process without an engine. That programs run in it is proven by tests/engine.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from pulumi.runtime.proto import language_pb2

from rehearsal.engine import language_host, program_runner
from rehearsal.engine.language_host import LanguageHost

REPORT = """
import os, sys
from pulumi.runtime.proto import language_pb2
request = language_pb2.RunRequest.FromString(sys.stdin.buffer.read())
with open(os.path.join(request.pwd, "report"), "w") as report:
    report.write(f"{os.getpid()} {request.args[0]}")
"""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's process that reports which it was, and from which engine its request came."""
    (tmp_path / "runner.py").write_text(REPORT)
    monkeypatch.setattr(language_host, "_PROGRAM_RUNNER", tmp_path / "runner.py")


def run(host: LanguageHost, folder: Path) -> list[str]:
    response = host.Run(language_pb2.RunRequest(pwd=str(folder)), Mock())
    assert not response.bail
    return (folder / "report").read_text().split()


@pytest.mark.usefixtures("runner")
def test_a_run_takes_the_process_that_was_started_for_it(tmp_path: Path) -> None:
    host = LanguageHost("127.0.0.1:1")
    host.GetRequiredPackages(None, None)
    [started] = host._children
    assert run(host, tmp_path) == [str(started.pid), "127.0.0.1:1"]
    assert host._children == set()


@pytest.mark.usefixtures("runner")
def test_a_run_for_which_none_was_started_starts_one(tmp_path: Path) -> None:
    host = LanguageHost("127.0.0.1:1")
    host.GetRequiredPackages(None, None)
    first, _ = run(host, tmp_path)
    second, _ = run(host, tmp_path)
    assert first != second


def test_a_process_that_no_run_took_ends_with_its_host() -> None:
    host = LanguageHost("127.0.0.1:1")
    host.GetRequiredPackages(None, None)
    [started] = host._children
    host.stop()
    assert started.wait(timeout=60) != 0


def test_a_process_whose_host_was_killed_ends_by_itself() -> None:
    command: list[Any] = [sys.executable, program_runner.__file__]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
