"""No Python file of the project is too long to be read as a whole; longer ones are split by subject."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400


def test_no_python_file_has_too_many_lines() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in listed if (ROOT / name).exists()}
    assert len(lengths) > 100, "git lists the project's files"
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}
